"""Every command under every failure ends with the exit code of the table in docs/commands.md, and with one sentence."""

import contextlib
import fcntl
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from pathlib import Path
from typing import Any, Final

import apsw
import click
import pytest
from tests.cli.conftest import KEYS, PASSWORD, CommandShop
from tests.cli.test_docs import commands

from flashreserve.cli.failures import JUDGES, SERVERS
from flashreserve.cli.main import flashreserve
from flashreserve.jobs.job_list import JOBS
from flashreserve.stores.sqlite.admission import OPENING_WAIT_S

pytestmark = pytest.mark.timeout(600)

PAGE: Final = Path(__file__).parents[2] / "docs" / "commands.md"
ADMIN: Final = "o@example.com"
OTHER: Final = "other@example.com"
SIGNING: Final = {"FLASHRESERVE_SECRET_KEYS": KEYS}
HANGS_S: Final = 120
"""Seconds, far more than any command takes: a command that takes longer hangs."""

AT_ONCE: Final = 3
"""Processes that are started at the same time in tests with time limits."""

ADMIN_CREATE: Final = ("admin", "create", "new@example.com", "--password-stdin")
IMPORT: Final = ("products", "import", "-")
ACCOUNT_CHANGES: Final = ("disable", "enable", "promote", "demote", "sign-out")
ENDPOINT_ID: Final = "0199f3a2-7c10-7d63-9e4f-6b8d0f2a4c81"
ENDPOINT_ACTIONS: Final = ("show", "test", "rotate", "disable", "enable", "remove", "deliveries")
COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "serve": ("serve", "--port", "0"),
    "worker": ("worker",),
    "admin create": ADMIN_CREATE,
    "accounts list": ("accounts", "list"),
    "accounts show": ("accounts", "show", OTHER),
    **{f"accounts {each}": ("accounts", each, OTHER) for each in ACCOUNT_CHANGES},
    "accounts reset": ("accounts", "reset", ADMIN),
    "customers export": ("customers", "export", "shop:42"),
    "customers erase": ("customers", "erase", "shop:42"),
    "keys create": ("keys", "create", "Backend", "--scope", "read"),
    "keys list": ("keys", "list"),
    "keys revoke": ("keys", "revoke", "0123456789abcdef0123456789abcdef"),
    "webhooks add": ("webhooks", "add", "https://shop.example/hooks"),
    "webhooks list": ("webhooks", "list"),
    **{f"webhooks {each}": ("webhooks", each, ENDPOINT_ID) for each in ENDPOINT_ACTIONS},
    "webhooks edit": ("webhooks", "edit", ENDPOINT_ID, "--event", "product.paused"),
    "webhooks resend": ("webhooks", "resend", ENDPOINT_ID, f"{ENDPOINT_ID}-1"),
    "token": ("token", "--email", ADMIN, "--role", "admin"),
    "products import": IMPORT,
    "products list": ("products", "list"),
    "pause": ("pause", "--all", "--reason", "a fault"),
    "resume": ("resume", "--all"),
    "reservations export": ("reservations", "export"),
    "trail": ("trail",),
    "listen": ("listen",),
    "audit": ("audit",),
    **{job.name: (job.name,) for job in JOBS},
    "deliver": ("deliver",),
    "doctor": ("doctor",),
    "rehearse": ("rehearse", "--customers", "5", "--units", "2", "--seconds", "0.1", "--hold-seconds", "1"),
}
INPUT: Final = {ADMIN_CREATE: f"{PASSWORD}\n", IMPORT: "name,price,stockQuantity\nA,1,1\n"}
UNTIL_STOPPED: Final = ("serve", "worker", "listen")
ONCE: Final = [name for name in COMMANDS if name not in UNTIL_STOPPED]
"""The commands that end by themselves."""

_ABSENT: Final = {f"webhooks {each}" for each in (*ENDPOINT_ACTIONS, "edit", "resend")}
PRINTING: Final = [name for name in ONCE if name not in {"rehearse", "customers erase", "keys revoke", *_ABSENT}]
"""The commands that succeed in a shop of `open_shop`, and print to standard output alone."""

STORED: Final = [name for name in COMMANDS if name != "rehearse"]
"""The commands that use the settings' database; a rehearsal has its own."""

MAKING: Final = {"serve", "admin create", "products import", "doctor"}
"""The commands that need no existing database: they make one, or say that the first start will."""


def test_the_table_knows_every_command() -> None:
    assert set(COMMANDS) == {path for path, command in commands(flashreserve) if not isinstance(command, click.Group)}


def test_exactly_the_commands_that_return_a_verdict_are_judges() -> None:
    """A server returns the number with which its processes ended."""
    returning = {
        path
        for path, command in commands(flashreserve)
        if command.callback is not None and signature(command.callback).return_annotation is int
    }
    assert returning - SERVERS == JUDGES


def documented(failure: str, names: Sequence[str]) -> dict[str, int]:
    """The exit codes of a failure in docs/commands.md."""
    rows = [re.split(r" *\| *", line.strip("| ")) for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    row = next(row for row in rows if row[0] == failure)
    columns = {**dict.fromkeys(COMMANDS, row[3]), **dict.fromkeys(UNTIL_STOPPED, row[2])}
    columns |= {"audit": row[1], "doctor": row[1], "rehearse": row[1]}
    own = re.search(r"`doctor`: (\d+)", row[1])
    if own:
        columns["doctor"] = own[1]
    return {name: int(re.match(r"\d+", columns[name])[0]) for name in names}  # type: ignore[index]


class CommandProcess:
    """A command in a process of its own, with files as its standard output and error."""

    def __init__(self, shop: CommandShop, name: str, args: Sequence[str], streams: str = "", **options: Any) -> None:
        self.out = shop.directory / f"{name}.out"
        self.err = shop.directory / f"{name}.err"
        environment = {**shop.environment, **SIGNING, "TMPDIR": str(shop.directory)}
        environment |= options.pop("environment", {})
        # The shell closes the streams that a test wants closed.
        command = [
            "sh",
            "-c",
            f'exec "$@" {streams}',
            "sh",
            *options.pop("before", ()),
            sys.executable,
            "-m",
            "flashreserve",
            *args,
        ]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=shop.directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=options.pop("stdout", out),
                stderr=err,
                **options,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(INPUT.get(COMMANDS[name], "").encode())  # type: ignore[call-overload]
        self.process.stdin.close()

    def code(self) -> int:
        return self.process.wait(HANGS_S)

    def said(self) -> str:
        return self.err.read_text()


@pytest.fixture
def run(shop: CommandShop) -> Iterator[Callable[..., CommandProcess]]:
    started: list[CommandProcess] = []

    def start(name: str, *more: str, streams: str = "", **options: Any) -> CommandProcess:
        started.append(CommandProcess(shop, name, (*COMMANDS[name], *more), streams, **options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def codes_here(shop: CommandShop, names: Sequence[str], *more: str, **environment: str) -> dict[str, int]:
    """The exit codes of commands run inside this process, which is much faster."""
    ended = {
        name: shop.run(*COMMANDS[name], *more, stdin=INPUT.get(COMMANDS[name], ""), **SIGNING, **environment)  # type: ignore[call-overload]
        for name in names
    }
    for name, end in ended.items():
        assert "fault of FlashReserve" not in end.err, (name, end.err)
    return {name: end.code for name, end in ended.items()}


def codes(run: Callable[..., CommandProcess], names: Sequence[str], *more: str, **options: Any) -> dict[str, int]:
    """The exit codes of commands run concurrently. Each one that fails must say why in one sentence."""
    running = {name: run(name, *more, **options) for name in names}
    ended = {name: process.code() for name, process in running.items()}
    for name, process in running.items():
        said = process.said()
        assert "Traceback" not in said, (name, said)
        assert "fault of FlashReserve" not in said, (name, said)
    return ended


def open_shop(shop: CommandShop) -> None:
    shop.reserve(shop.stock(), user_id="shop:42")
    for email in (ADMIN, OTHER):
        assert shop.run("admin", "create", email, "--password-stdin", stdin=f"{PASSWORD}\n").code == 0


def none(shop: CommandShop) -> None:
    shutil.rmtree(shop.settings.data_dir)


def a_directory(shop: CommandShop) -> None:
    none(shop)
    shop.settings.sqlite_path.mkdir(parents=True)


def something_else(shop: CommandShop) -> None:
    shop.settings.sqlite_path.write_bytes(b"no database " * 1_000)


def another_applications(shop: CommandShop) -> None:
    shop.settings.sqlite_path.unlink()
    with contextlib.closing(apsw.Connection(str(shop.settings.sqlite_path))) as connection:
        connection.execute("CREATE TABLE t (x)")


def a_newer_versions(shop: CommandShop) -> None:
    with contextlib.closing(apsw.Connection(str(shop.settings.sqlite_path))) as connection:
        connection.execute("PRAGMA user_version = 9999")


@pytest.mark.parametrize(
    "spoil",
    [a_directory, something_else, another_applications, a_newer_versions],
    ids=lambda each: each.__name__,
)
def test_a_database_that_is_unusable(shop: CommandShop, spoil: Callable[[CommandShop], None]) -> None:
    open_shop(shop)
    spoil(shop)

    assert codes_here(shop, STORED) == documented("the database is unusable", STORED)


def test_a_database_that_is_missing(shop: CommandShop) -> None:
    names = [name for name in STORED if name not in MAKING]

    assert codes_here(shop, names) == documented("the database is missing", names)
    assert not shop.settings.data_dir.exists()


def test_a_directory_that_may_not_be_read(shop: CommandShop, run: Callable[..., CommandProcess]) -> None:
    open_shop(shop)
    shop.settings.data_dir.chmod(0)

    assert codes(run, STORED, before=_AS_ANYBODY) == documented("the database is unusable", STORED)


_READ_ALL: Final = "-dac_override,-dac_read_search"
_AS_ANYBODY: Final = () if os.getuid() else ("setpriv", f"--inh-caps={_READ_ALL}", f"--bounding-set={_READ_ALL}")
"""Drops root's right to read everything, so that directory modes apply to the command as to any user."""


def test_a_database_that_is_locked(shop: CommandShop, run: Callable[..., CommandProcess]) -> None:
    open_shop(shop)
    with contextlib.closing(apsw.Connection(str(shop.settings.sqlite_path))) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("UPDATE accounts SET role = role")

        assert codes(run, STORED) == documented("the database is unusable", STORED)


def test_a_server_that_is_away(shop: CommandShop, run: Callable[..., CommandProcess]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    store = {"FLASHRESERVE_STORE": f"mongodb://127.0.0.1:{port}/shop"}
    stored = {name: run(name, environment=store) for name in STORED}
    rehearsal = run("rehearse", "--url", f"http://127.0.0.1:{port}", "--admin-token", "x")

    ended = {name: process.code() for name, process in stored.items()} | {"rehearse": rehearsal.code()}

    assert ended == documented("the server is away", list(COMMANDS))


def test_arguments_that_are_invalid(shop: CommandShop) -> None:
    assert codes_here(shop, list(COMMANDS), "--nonsense") == documented("an argument is invalid", list(COMMANDS))


def test_settings_that_are_invalid(shop: CommandShop) -> None:
    # A fresh shop takes no settings from the environment.
    assert codes_here(shop, STORED, FLASHRESERVE_PORT="none") == documented("a setting is invalid", STORED)


def test_an_input_file_that_is_invalid(shop: CommandShop) -> None:
    (shop.directory / "products.csv").write_text("name\n")
    (shop.directory / "tokens").write_text("not a token\n")
    (shop.directory / "few").write_text("a.b.c\n")
    there = ("--url", "http://127.0.0.1:1", "--admin-token", "x")
    reads: dict[str, list[Sequence[str]]] = {
        "products import": [("products", "import", "products.csv"), ("products", "import", "nowhere.csv")],
        "admin create": [ADMIN_CREATE],
        "rehearse": [(*COMMANDS["rehearse"], *there, "--tokens", file) for file in ("tokens", "few", "nowhere")],
    }

    for name, lines in reads.items():
        for args in lines:
            assert {name: shop.run(*args, stdin=b"\xff\n").code} == documented("an input file is invalid", [name])


def test_things_that_do_not_exist(shop: CommandShop) -> None:
    open_shop(shop)
    lines = {
        **{
            name: ("accounts", name.split()[1], "nobody@example.com")
            for name in COMMANDS
            if name.startswith("accounts ")
        },
        "customers export": ("customers", "export", "shop:nobody"),
        "customers erase": ("customers", "erase", "shop:nobody"),
        "keys revoke": COMMANDS["keys revoke"],
        **{name: COMMANDS[name] for name in sorted(_ABSENT)},
        "pause": ("pause", "01a20b39-4685-7139-95e5-df707f880fb4", "--reason", "a fault"),
        "resume": ("resume", "01a20b39-4685-7139-95e5-df707f880fb4"),
    }
    del lines["accounts list"]

    ended = {name: shop.run(*args, **SIGNING).code for name, args in lines.items()}

    assert ended == documented(
        "an account, an API key, an endpoint, a customer or a product does not exist", list(lines)
    )


def test_a_full_standard_output(shop: CommandShop, run: Callable[..., CommandProcess]) -> None:
    open_shop(shop)

    assert codes(run, PRINTING, streams="> /dev/full") == documented("standard output is full", PRINTING)
    assert "standard output can't be written: No space left on device" in (shop.directory / "audit.err").read_text()
    judges = [name for name in PRINTING if name in JUDGES]
    helped = {name: run(name, "--help", streams="> /dev/full") for name in judges}
    assert {name: process.code() for name, process in helped.items()} == dict.fromkeys(judges, 3), "1 is a verdict"


def test_a_standard_output_whose_reader_has_gone(shop: CommandShop, run: Callable[..., CommandProcess]) -> None:
    open_shop(shop)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert codes(run, PRINTING, stdout=writing) == documented("the reader of standard output has gone", PRINTING)
    finally:
        os.close(writing)
    assert {(shop.directory / f"{name}.err").read_text() for name in PRINTING} == {""}


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", "2> /dev/full"])
def test_closed_streams_change_no_exit_code(
    shop: CommandShop, run: Callable[..., CommandProcess], streams: str
) -> None:
    open_shop(shop)
    names = [name for name in PRINTING if "<&-" not in streams or COMMANDS[name] not in INPUT]

    ended = codes(run, names, streams=streams, environment={"FLASHRESERVE_PORT": "0"})

    assert ended == dict.fromkeys(names, 0)
    with contextlib.closing(apsw.Connection(str(shop.settings.sqlite_path))) as connection:
        assert connection.execute("PRAGMA integrity_check").get == "ok"


@pytest.fixture
def silent_server() -> Iterator[Callable[[], socket.socket]]:
    """Starts servers that accept connections and never answer, so that a command that asks one keeps waiting."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_server(("127.0.0.1", 0)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal(
    run: Callable[..., CommandProcess], silent_server: Callable[[], socket.socket], number: signal.Signals
) -> None:
    names = list(COMMANDS) if number is signal.SIGTERM else ["audit", "products list", *UNTIL_STOPPED]

    def end(name: str) -> int:
        server = silent_server()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        more = ("--url", f"http://{address}", "--admin-token", "x") if name == "rehearse" else ()
        process = run(name, *more, environment={"FLASHRESERVE_STORE": f"mongodb://{address}/shop"})
        code = _end_once_connected(server, process, number)
        assert ("Interrupted." in process.said()) == (name in ONCE), name
        return code

    # Few at a time, because a command waits only a few seconds.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = dict(zip(names, pool.map(end, names), strict=True))

    assert ended == documented(number.name, names)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_several_processes_that_start(
    run: Callable[..., CommandProcess], silent_server: Callable[[], socket.socket], number: signal.Signals
) -> None:
    server = silent_server()
    store = {"FLASHRESERVE_STORE": f"mongodb://127.0.0.1:{server.getsockname()[1]}/shop"}
    process = run("serve", "--workers", "2", environment=store)

    assert {"serve": _end_once_connected(server, process, number)} == documented(number.name, ["serve"])
    assert "Interrupted." not in process.said()


def test_a_signal_while_another_process_opens_the_database(
    shop: CommandShop, run: Callable[..., CommandProcess]
) -> None:
    names = ["serve", "worker", "admin create", "reservations export", "sweep", "doctor"]
    open_shop(shop)
    directory = os.open(shop.settings.data_dir, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    try:
        ended = {name: _end_while_it_waits(run(name), shop.settings.data_dir) for name in names}
        ended["several"] = _end_while_it_waits(run("serve", "--workers", "2"), shop.settings.data_dir)
    finally:
        os.close(directory)

    assert ended == {**documented("SIGTERM", names), "several": 0}


def _end_while_it_waits(process: CommandProcess, directory: Path) -> int:
    """End the process while it waits for the directory's lock. Returns its exit code."""
    _until_open(process, directory)
    process.process.terminate()
    return process.process.wait(OPENING_WAIT_S / 2)


def _until_open(process: CommandProcess, path: Path) -> None:
    """Wait until the process has the file open."""
    descriptors = Path("/proc", str(process.process.pid), "fd")
    while not any(_leads_to(each, path) for each in descriptors.iterdir()):
        assert process.process.poll() is None, process.said()


def _leads_to(link: Path, path: Path) -> bool:
    with contextlib.suppress(OSError):  # It may be closed just now.
        return link.samefile(path)
    return False


@pytest.mark.parametrize("name", ["serve", "worker", "several"])
def test_more_signals_while_a_server_ends_change_nothing(
    shop: CommandShop, run: Callable[..., CommandProcess], name: str
) -> None:
    open_shop(shop)
    process = run("serve", "--workers", "2") if name == "several" else run(name)
    while "ready" not in process.said():
        assert process.process.poll() is None, process.said()

    _send_until_it_ends(process, signal.SIGTERM, signal.SIGHUP)

    assert process.code() == 0
    assert "Traceback" not in process.said()


def _send_until_it_ends(process: CommandProcess, *numbers: signal.Signals) -> None:
    """Send the signals repeatedly, thousands a second, because some handlers are in force for microseconds only."""
    for number in itertools.cycle(numbers):
        if process.process.poll() is not None:
            return
        process.process.send_signal(number)
        time.sleep(0.0001)


@pytest.mark.parametrize(
    ("module", "number"), [("rich_click", signal.SIGINT), ("rich_click", signal.SIGTERM), ("uvloop", signal.SIGTERM)]
)
def test_a_signal_while_modules_are_imported(
    shop: CommandShop, run: Callable[..., CommandProcess], module: str, number: signal.Signals
) -> None:
    """One of these errors comes from the command line, the other from the servers."""
    open_shop(shop)
    (shop.directory / "sitecustomize.py").write_text(_SIGNAL_AT_IMPORT)
    here = {"PYTHONPATH": os.pathsep.join([str(shop.directory), *sys.path]), "AT": module, "NUMBER": str(int(number))}
    names = ["serve", "worker"] if module == "uvloop" else ["serve", "worker", "audit"]

    running = {name: run(name, environment=here) for name in names}

    assert {name: process.code() for name, process in running.items()} == documented(number.name, names)
    said = {name: process.said() for name, process in running.items()}
    assert said == {name: "Interrupted.\n" if name in ONCE else "" for name in names}


_SIGNAL_AT_IMPORT: Final = """
import os, sys

class Signal:
    def find_spec(self, name, path, target=None):
        if name == os.environ["AT"]:
            os.kill(os.getpid(), int(os.environ["NUMBER"]))

sys.meta_path.insert(0, Signal())
"""


def _end_once_connected(server: socket.socket, process: CommandProcess, number: signal.Signals) -> int:
    connection, _ = server.accept()
    with connection:
        process.process.send_signal(number)
        return process.code()


@pytest.mark.parametrize("more", [(), (signal.SIGTERM,), (signal.SIGHUP, signal.SIGTERM), (signal.SIGINT,)])
def test_an_export_that_is_ended_leaves_no_customers_data(
    shop: CommandShop,
    run: Callable[..., CommandProcess],
    silent_server: Callable[[], socket.socket],
    more: Sequence[signal.Signals],
) -> None:
    server = silent_server()
    (shop.directory / "sold.csv").write_text("the earlier one")
    store = {"FLASHRESERVE_STORE": f"mongodb://127.0.0.1:{server.getsockname()[1]}/shop"}
    process = run("reservations export", "--output", "sold.csv", environment=store)
    connection, _ = server.accept()
    assert list(shop.directory.glob(".sold.csv.*"))

    process.process.terminate()
    if more:
        _send_until_it_ends(process, *more)

    with connection:
        assert process.code() in {128 + number for number in (signal.SIGTERM, *more)}
    assert list(shop.directory.glob("*sold.csv*")) == [shop.directory / "sold.csv"]
    assert (shop.directory / "sold.csv").read_text() == "the earlier one"


def test_a_signal_in_the_background_where_ctrl_c_is_ignored(
    run: Callable[..., CommandProcess], silent_server: Callable[[], socket.socket]
) -> None:
    server = silent_server()
    store = {"FLASHRESERVE_STORE": f"mongodb://127.0.0.1:{server.getsockname()[1]}/shop"}
    ignored = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    process = run("products list", environment=store, **ignored)

    assert _end_once_connected(server, process, signal.SIGTERM) == 128 + signal.SIGTERM


_SIGNAL_IN_A_COROUTINE: Final = """
import asyncio, os, signal, sys
from flashreserve.cli.interrupts import interrupts

async def main():
    try:
        for _ in range(int(sys.argv[1])):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                print("cancelled", flush=True)
        await asyncio.sleep(0)
        raise asyncio.CancelledError
    except KeyboardInterrupt:
        print("raised", flush=True)
        raise

interrupts.watch()
try:
    interrupts.run(main())
except KeyboardInterrupt:
    print(interrupts.exit_code)
"""


@pytest.mark.parametrize(("signals", "said"), [(1, "cancelled"), (2, "cancelled raised")])
@pytest.mark.parametrize("sigint", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_signal_cancels_what_runs_and_a_second_one_ends_it(signals: int, said: str, sigint: signal.Handlers) -> None:
    """The same holds if Ctrl-C is ignored, as in a shell's background processes."""
    ended = subprocess.run(
        [sys.executable, "-c", _SIGNAL_IN_A_COROUTINE, str(signals)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, sigint),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.stdout.split(), ended.stderr) == ([*said.split(), str(128 + signal.SIGTERM)], "")
