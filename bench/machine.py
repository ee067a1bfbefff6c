"""The conditions of the measurements: the machine, its disk and the versions."""

import os
import platform
import statistics
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
from bench.load import generator

_FSYNCS: Final = 100
_BLOCK: Final = b"x" * 4096


def conditions(directory: Path) -> dict[str, str]:
    """The conditions that affect the figures, by name. `directory` is where the databases are made."""
    return {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB, {platform.system()}",
        "shared": "load generator, servers and databases on the same cores",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "disk": f"{_file_system(directory)}, fsync of 4 KiB {_fsync_ms(directory):.2f} ms (median of {_FSYNCS})",
        "generator": generator(),
        "Python": platform.python_version(),
        "SQLite": apsw.sqlite_lib_version(),
    }


def processor_s(pid: int) -> float:
    """Seconds of processor time that a process and its children have used; 0 where the system has no such counts.

    Source: Linux's scheduler, by thread. Threads and processes that have ended aren't included.
    """
    spent_s = 0.0
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # It has just ended.
            children = (thread / "children").read_text(encoding="ascii").split()
            spent_s += int((thread / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
            spent_s += sum(processor_s(int(child)) for child in children)
    return spent_s


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _file_system(directory: Path) -> str:
    command = ["stat", "--file-system", "--format=%T", str(directory)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _fsync_ms(directory: Path) -> float:
    taken_ms = []
    path = directory / "fsync"
    with path.open("wb") as file:
        for _ in range(_FSYNCS):
            file.write(_BLOCK)
            file.flush()
            begun_s = time.perf_counter()
            os.fsync(file.fileno())
            taken_ms.append((time.perf_counter() - begun_s) * 1000)
    path.unlink()
    return statistics.median(taken_ms)
