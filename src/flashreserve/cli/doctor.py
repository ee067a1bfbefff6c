"""`flashreserve doctor`: checks everything that a server needs, changes nothing, and says what to do."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import msgspec
import rich_click as click
from msgspec.structs import replace

from flashreserve.cli.checks import CheckResult, Finding, as_settings_finding, check_all, links
from flashreserve.cli.endpoint_checks import endpoints
from flashreserve.cli.failures import Exit
from flashreserve.cli.invocation import log_to_stderr, settings_here
from flashreserve.clock import SystemClock
from flashreserve.logs import printable
from flashreserve.redaction import redact
from flashreserve.settings import SettingsError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON list.")
def doctor(as_json: bool) -> int:  # noqa: FBT001 - click passes by name
    """Check configuration, database, keys, disk, clock and versions, and say what to do. Exit code 1 on a failure."""
    if as_json:
        found = [_as_shown(finding) for finding in _findings()]
        click.echo(msgspec.json.encode(found).decode())
        return Exit.FAILED if any(each.verdict is CheckResult.FAIL for each in found) else Exit.DONE
    seen: Counter[CheckResult] = Counter()
    for finding in map(_as_shown, _findings()):
        seen[finding.verdict] += 1
        click.echo(f"{finding.verdict.value:4}  {finding.what:11}  {finding.seen}")
        if finding.advice:
            click.echo(f"{'':17}  → {finding.advice}")
    click.echo(summary(seen))
    return Exit.FAILED if seen[CheckResult.FAIL] else Exit.DONE


def _as_shown(finding: Finding) -> Finding:
    """The finding without secrets, and without characters that a terminal would obey."""
    return replace(finding, seen=printable(redact(finding.seen)), advice=printable(redact(finding.advice)))


def _findings() -> Iterable[Finding]:
    try:
        settings = settings_here()
    except SettingsError as error:
        return [as_settings_finding(error)]
    log_to_stderr(settings)
    now_ms = SystemClock().now_ms()
    return chain(links(os.environ), check_all(settings, Path.cwd(), now_ms), endpoints(settings, now_ms))


def summary(findings: Mapping[CheckResult, int]) -> str:
    """The last line."""
    if findings.get(CheckResult.FAIL):
        return f"{findings[CheckResult.FAIL]} to be put right before a server can be relied on."
    if findings.get(CheckResult.WARN):
        return "A server can work here; see the warnings."
    return "All is well."
