"""The operator's figures: the overview, holds, audits and health; and the time."""

from typing import Any, Final

from flashreserve.http import audit_views, monitor_views
from flashreserve.http.operations.examples import MADE_AT, PRODUCT_ID, USER_ID
from flashreserve.http.operations.operation import Operation, Success
from flashreserve.http.operations.parameters import PRODUCT_IN_PATH

_TAG: Final = "Operations"
_SALE: Final[dict[str, Any]] = {
    "id": PRODUCT_ID,
    "name": "iPhone 15",
    "price": "999.99",
    "currency": "USD",
    "stockQuantity": 10,
    "available": 8,
    "held": 1,
    "sold": 1,
    "saleStartsAt": None,
    "saleEndsAt": None,
    "pauseReason": None,
}
_ACTIVITY: Final[dict[str, Any]] = {
    "start": MADE_AT,
    "everySeconds": 1,
    "reserved": [2, 0],
    "bought": [0, 1],
    "refused": [None, 0],
    "returned": [0, 0],
}
_VERDICT: Final[dict[str, Any]] = {
    "clean": True,
    "complete": True,
    "products": 1,
    "reservations": 2,
    "differences": [],
    "unreadable": 0,
    "setAside": [],
    "id": "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c99",
    "at": MADE_AT,
    "tookMs": 12,
    "by": USER_ID,
}
_PROCESS: Final[dict[str, Any]] = {
    "id": "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c98",
    "role": "all",
    "host": "shop-1",
    "pid": 4711,
    "version": "0.1.0",
    "startedAt": MADE_AT,
    "seenAt": MADE_AT,
}
OVERVIEW: Final[dict[str, Any]] = {
    "asOf": MADE_AT,
    "sales": [_SALE],
    "shopPauseReason": None,
    "rates": {"reserved": 0, "bought": 1, "refused": 0, "returned": 0},
    "recent": _ACTIVITY,
    "latencyMs": {"p50": 1.2, "p99": 4.8},
    "queue": 0,
    "oldestDueSeconds": 0.0,
    "streams": 1,
    "processes": [_PROCESS],
    "audit": _VERDICT,
}
_NOT_ALL: Final = "Refusals are counted by each process since it started; all other figures come from the database."

MONITOR: Final = (
    Operation(
        name="getTime",
        method="get",
        path="/time",
        tag=_TAG,
        summary="The time by which sales open and holds lapse",
        description="A page counts down by it, because a visitor's own clock may be wrong.",
        who="anyone",
        successes=(Success(200, "The time.", monitor_views.TimeView, {"now": MADE_AT}),),
    ),
    Operation(
        name="getOverview",
        method="get",
        path="/overview",
        tag=_TAG,
        summary="The state of the shop: sales, rates, processes, the last audit",
        description=_NOT_ALL,
        who="admin",
        successes=(Success(200, "The state.", monitor_views.OverviewView, OVERVIEW),),
    ),
    Operation(
        name="getHistory",
        method="get",
        path="/overview/history",
        tag=_TAG,
        summary="Holds granted, bought, refused and returned in each second of the last quarter of an hour",
        description=_NOT_ALL,
        who="admin",
        successes=(Success(200, "The counts.", monitor_views.ActivityView, _ACTIVITY),),
    ),
    Operation(
        name="getHolds",
        method="get",
        path="/holds",
        tag=_TAG,
        summary="Open holds, by the time at which they lapse",
        who="admin",
        successes=(
            Success(
                200,
                "The holds of the next ten minutes in intervals of ten seconds, those before and after.",
                monitor_views.HoldsView,
                {
                    "asOf": MADE_AT,
                    "everySeconds": 10,
                    "lapsed": {"holds": 0, "units": 0},
                    "next": [{"holds": 1, "units": 2}],
                    "later": {"holds": 0, "units": 0},
                },
            ),
        ),
    ),
    Operation(
        name="getFigures",
        method="get",
        path="/products/{id}/figures",
        tag="Products",
        summary="A product's units available, held and sold, and their movements since its sale began",
        description=_NOT_ALL,
        who="admin",
        parameters=(PRODUCT_IN_PATH,),
        successes=(
            Success(
                200,
                "The figures.",
                monitor_views.ProductFiguresView,
                {
                    "productId": PRODUCT_ID,
                    "stockQuantity": 10,
                    "available": 8,
                    "held": 1,
                    "sold": 1,
                    "start": MADE_AT,
                    "everySeconds": 1,
                    "reserved": [2, 0],
                    "bought": [0, 1],
                    "returned": [0, 0],
                    "refusals": {"sold-out": 3},
                },
            ),
        ),
        codes=("not-found",),
    ),
    Operation(
        name="listAudits",
        method="get",
        path="/audits",
        tag=_TAG,
        summary="The verdicts of the last audits, newest first",
        description="Those that were run by `POST /audits`, at most 100.",
        who="admin",
        successes=(Success(200, "The verdicts.", audit_views.VerdictsView, {"items": [_VERDICT]}),),
    ),
    Operation(
        name="runAudit",
        method="post",
        path="/audits",
        tag=_TAG,
        summary="Check every product's stock against its reservations now",
        description="It reads the whole database, beside all other requests, and takes as long as that.",
        who="admin",
        successes=(Success(201, "The verdict.", audit_views.VerdictView, _VERDICT),),
        codes=("audit-running",),
    ),
    Operation(
        name="getHealth",
        method="get",
        path="/health",
        tag=_TAG,
        summary="The checks of this process and of `flashreserve doctor`, versions, and settings",
        description="Secrets are hidden. The checks of the machine take some seconds.",
        who="admin",
        successes=(
            Success(
                200,
                "The state.",
                monitor_views.HealthReportView,
                {
                    "engine": "embedded (SQLite)",
                    "versions": [{"name": "FlashReserve", "value": "0.1.0"}],
                    "checks": [{"name": "process", "ok": True, "detail": "running", "needed": True}],
                    "findings": [{"verdict": "ok", "what": "clock", "seen": "set", "advice": ""}],
                    "settings": [{"name": "FLASHRESERVE_PORT", "value": "3000"}],
                },
            ),
        ),
    ),
)
