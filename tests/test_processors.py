"""The processors that a process may use, and the threads that hash passwords on them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flashreserve import processors
from flashreserve.auth.passwords import Passwords
from flashreserve.bootstrap import ProcessPlace, Watchdog, open_service, prepare, services
from flashreserve.processors import usable_processors
from flashreserve.server.limits import HttpLimits
from flashreserve.settings import Settings

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Sets the machine's number of processors, the number this process is bound to, and its cgroup's `cpu.max`."""

    def be(*, cores: int | None = 64, bound_to: int | None = 64, quota: str | None = None) -> None:
        monkeypatch.setattr(os, "cpu_count", lambda: cores)
        if bound_to is None:
            monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        else:
            monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(bound_to)), raising=False)
        file = tmp_path / "cpu.max"
        if quota is not None:
            file.write_text(quota)
        monkeypatch.setattr(processors, "_QUOTA_FILE", file)

    return be


def test_a_process_that_is_bound_to_processors_may_use_those(machine: Machine) -> None:
    machine(cores=64, bound_to=3)
    assert usable_processors() == 3


@pytest.mark.parametrize(("cores", "usable"), [(6, 6), (None, 1)])
def test_without_affinity_the_machines_processors_count(machine: Machine, cores: int | None, usable: int) -> None:
    machine(cores=cores, bound_to=None)
    assert usable_processors() == usable


@pytest.mark.parametrize(
    ("quota", "usable"),
    [
        ("100000 100000\n", 1),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("9900000 100000\n", 64),
        ("max 100000\n", 64),
        ("", 64),
    ],
)
def test_a_containers_quota_of_processor_time_counts(machine: Machine, quota: str, usable: int) -> None:
    machine(quota=quota)
    assert usable_processors() == usable


async def test_processes_of_one_start_hash_on_the_processors_that_they_may_use(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = []

    class RecordedPasswords(Passwords):
        def __init__(self, *, threads: int, **others: object) -> None:
            made.append(threads)
            super().__init__(threads=threads, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(services, "Passwords", RecordedPasswords)
    machine(cores=64, bound_to=16, quota="1200000 100000\n")
    settings = Settings(data_dir=tmp_path)
    async with prepare(settings) as prepared:
        (tmp_path / "metrics").mkdir()
        for place in (None, ProcessPlace("worker-0", 3, tmp_path / "metrics", prepared.database)):
            async with open_service(settings, sweeps=False, place=place, limits=HttpLimits(), watchdog=Watchdog()):
                pass
    assert made == [8, 3]
