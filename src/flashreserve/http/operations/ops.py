"""Health, metrics, problems and documentation: for operators and their machines."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from flashreserve.http import views
from flashreserve.http.assets import ASSETS, content_type
from flashreserve.http.operations.operation import Operation, Parameter, Success
from flashreserve.http.operations.parameters import IF_NONE_MATCH, UNCHANGED
from flashreserve.http.problems import KINDS, Code

_KIND: Final = KINDS["sold-out"]
OPS: Final = (
    Operation(
        name="live",
        method="get",
        path="/livez",
        tag="Operations",
        summary="Whether the process answers",
        who="anyone",
        successes=(Success(200, "The process answers.", views.HealthView, {"status": "ok"}),),
    ),
    Operation(
        name="ready",
        method="get",
        path="/readyz",
        tag="Operations",
        summary="Whether requests can be served",
        description=(
            "If not, the answer is 503, and `detail` names what is missing. With `?verbose`, both answers list every"
            " check."
        ),
        who="anyone",
        parameters=(
            Parameter(
                "verbose",
                "query",
                Literal["", "true"],
                "List every check. In production, only operators see the details of checks that pass.",
            ),
        ),
        successes=(Success(200, "Requests can be served.", views.ReadinessView, {"status": "ok"}),),
    ),
    Operation(
        name="metrics",
        method="get",
        path="/metrics",
        tag="Operations",
        summary="Figures for Prometheus, summed over the processes of the machine",
        who="operator",
        successes=(Success(200, "The figures.", media_types=("text/plain",)),),
    ),
    Operation(
        name="getProblem",
        method="get",
        path="/problems/{code}",
        tag="Operations",
        summary="The meaning of a kind of problem",
        description="The page that a problem's `type` leads to.",
        who="anyone",
        parameters=(Parameter("code", "path", Code, "The problem's `code`.", required=True, example="sold-out"),),
        successes=(
            Success(
                200,
                "The kind.",
                views.ProblemKindView,
                {"code": "sold-out", "status": _KIND.status, "title": _KIND.title, "meaning": _KIND.meaning},
            ),
        ),
        codes=("not-found",),
    ),
    Operation(
        name="getFrontPage",
        method="get",
        path="/",
        tag="Operations",
        summary="A page that links what is here",
        description="For browsers: without `text/html` in `Accept` the answer is 404.",
        who="anyone",
        parameters=(IF_NONE_MATCH,),
        successes=(Success(200, "The page.", media_types=("text/html",), headers=("ETag",)), UNCHANGED),
        codes=("not-found",),
    ),
    Operation(
        name="getDocument",
        method="get",
        path="/openapi.json",
        tag="Operations",
        summary="This document",
        who="operator",
        parameters=(IF_NONE_MATCH,),
        successes=(
            Success(200, "The document.", media_types=("application/json",), headers=("ETag",)),
            UNCHANGED,
        ),
    ),
    Operation(
        name="getPage",
        method="get",
        path="/api-docs",
        tag="Operations",
        summary="This document as a page to read and to try",
        who="operator",
        parameters=(IF_NONE_MATCH,),
        successes=(Success(200, "The page.", media_types=("text/html",), headers=("ETag",)), UNCHANGED),
    ),
    Operation(
        name="getPageFile",
        method="get",
        path="/api-docs/{file}",
        tag="Operations",
        summary="A file of that page",
        who="operator",
        parameters=(
            Parameter(
                "file",
                "path",
                Annotated[str, Meta(extra_json_schema={"enum": sorted(ASSETS)})],
                "The file's name.",
                required=True,
            ),
            IF_NONE_MATCH,
        ),
        successes=(
            Success(200, "The file.", media_types=tuple(sorted(set(map(content_type, ASSETS)))), headers=("ETag",)),
            UNCHANGED,
        ),
        codes=("not-found",),
    ),
)
