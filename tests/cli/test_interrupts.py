"""Files that are cleaned up however many signals come, and wherever in the code they come."""

import subprocess
import sys
from pathlib import Path

import pytest

_EVERYWHERE = '''
import contextlib, dis, os, signal, sys, tempfile
from pathlib import Path
from flashreserve.cli.interrupts import Interrupts

TRACED = {Interrupts.hold.__code__.co_filename, contextlib.contextmanager.__code__.co_filename, "<string>"}
CALLS = {"RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX"}
HERE = Path(sys.argv[1])

interrupts = Interrupts()
interrupts.watch()


def make_and_clean_up():
    with interrupts.held() as hearing, tempfile.NamedTemporaryFile(dir=HERE, delete=False) as file:
        fresh = Path(file.name)
        try:
            with hearing():
                try:
                    if sys.argv[2] == "interrupted":
                        signal.raise_signal(signal.SIGTERM)
                finally:
                    sys.settrace(trace)
                    sys._getframe().f_trace = trace
                    sys._getframe().f_trace_opcodes = True
        finally:
            signal.raise_signal(signal.SIGTERM)
            fresh.unlink()


def trace(frame, event, _argument):
    """Send a signal at the call whose turn it is: between other instructions Python runs no handlers."""
    global at
    if frame.f_code.co_filename not in TRACED:
        return None
    frame.f_trace_opcodes = True
    if event == "opcode" and dis.opname[frame.f_code.co_code[frame.f_lasti]] in CALLS:
        at -= 1
        if at == 0:
            os.kill(os.getpid(), signal.SIGHUP)
    return trace


call, at = 0, 0
while at <= 0:
    call += 1
    at = call
    try:
        make_and_clean_up()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    if left := os.listdir(HERE):
        sys.exit(f"a signal at call {call} left {left}")
print(call)
'''


@pytest.mark.parametrize("begins", ["undisturbed", "interrupted"])
def test_a_signal_at_any_call_leaves_no_file(begins: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _EVERYWHERE, str(tmp_path), begins]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout) > 15  # calls
