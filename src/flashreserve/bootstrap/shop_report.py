"""The report on the state of a shop that the console's health page shows."""

import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Final

import msgspec

from flashreserve import __version__
from flashreserve.bootstrap.stores import engine_version
from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.health import Check, ReportedFinding, ShopReport
from flashreserve.redaction import redact
from flashreserve.settings import Settings, shown_settings

_DOCTOR_S: Final = 20.0
"""The longest time that `flashreserve doctor` gets. It reads the whole database file."""

_NOT_RUN: Final = ReportedFinding("warn", "doctor", "the checks of the machine didn't end", "run `flashreserve doctor`")

_findings: Final = msgspec.json.Decoder(list[ReportedFinding])


class Doctor:
    """Checks the machine and the settings by a process of its own, because the checks read many files.

    One process runs at a time: everybody who asks meanwhile gets its findings.
    """

    def __init__(self) -> None:
        self._running: asyncio.Task[list[ReportedFinding]] | None = None

    async def findings(self) -> list[ReportedFinding]:
        """The findings, or one that says that there are none."""
        if self._running is None:
            self._running = asyncio.create_task(_doctor())
            self._running.add_done_callback(self._ended)
        return await asyncio.shield(self._running)  # A caller that is cancelled doesn't end it for the others.

    def _ended(self, _: asyncio.Task[list[ReportedFinding]]) -> None:
        self._running = None


async def shop_report(settings: Settings, health: Callable[[], Awaitable[list[Check]]], doctor: Doctor) -> ShopReport:
    """The report."""
    checks, findings = await asyncio.gather(health(), doctor.findings())
    return ShopReport(
        engine=settings.engine,
        versions={
            "FlashReserve": __version__,
            "Python": platform.python_version(),
            "SQLite": engine_version()[0],
            **{name: version(name) for name in ("apsw", "bullmq", "litestar", "msgspec", "pymongo", "uvloop")},
        },
        checks=[msgspec.structs.replace(check, detail=redact(check.detail)) for check in checks],
        findings=findings,
        settings=shown_settings(settings),
    )


async def _doctor() -> list[ReportedFinding]:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-P", "-m", "flashreserve", "doctor", "--json")
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:  # No process or memory is left: an operator needs the rest of the report all the more.
        return [_NOT_RUN]
    try:
        out, _ = await asyncio.wait_for(process.communicate(), _DOCTOR_S)
        return _findings.decode(out)
    except (TimeoutError, *DECODE_ERRORS):
        return [_NOT_RUN]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
