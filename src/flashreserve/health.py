"""Health checks: the parts that a process needs to serve requests, and their state now."""

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One named part and its state. `/readyz` is 503 while a check fails that is `needed`; the others only inform.

    `detail` is a clause for an operator. While a needed check fails, strangers read it too, so it names no path, host
    or customer.
    """

    name: str
    ok: bool
    detail: str = ""
    needed: bool = True


def missing(checks: list[Check]) -> list[Check]:
    """The checks that keep the process from serving."""
    return [check for check in checks if check.needed and not check.ok]


class ReportedFinding(msgspec.Struct, frozen=True):
    """A finding of `flashreserve doctor`: `verdict` is `ok`, `warn` or `fail`, and `advice` says what to do."""

    verdict: str
    what: str
    seen: str
    advice: str = ""


class ShopReport(msgspec.Struct, frozen=True):
    """The state of a shop for an operator. Settings have their environment variables' names, and no secrets."""

    engine: str
    versions: dict[str, str]
    checks: list[Check]
    findings: list[ReportedFinding]
    settings: dict[str, str]
