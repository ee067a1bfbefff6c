"""Work before each route: the label that the request is counted by, the answer to OPTIONS, the check of the query."""

from collections.abc import Iterable
from typing import Final

from litestar import Response

from flashreserve.http.answers import Answer
from flashreserve.http.edge import context_of
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.requests import HttpRequest, check_parameters
from flashreserve.http.routes.replies import reply


def allow(methods: Iterable[str]) -> str:
    """The Allow header of an address with these methods. HEAD works wherever GET does, OPTIONS everywhere."""
    own = set(methods)
    return ", ".join(sorted(own | {"OPTIONS"} | ({"HEAD"} if "GET" in own else set())))


async def before_route(request: HttpRequest) -> Response[bytes] | None:
    """Label the request with its route's template, answer OPTIONS, and refuse unknown query parameters."""
    context_of(request.scope).route = request.scope["path_template"]
    answer = await answer_options(request)
    if answer is None:
        check_parameters(request)
    return answer


async def answer_options(request: HttpRequest) -> Response[bytes] | None:
    """The answer to OPTIONS. It replaces the framework's own, which names only some of an address's methods."""
    if request.scope["method"] != "OPTIONS":
        return None
    allowed = _ALLOWED[request.scope["path_template"]]
    return reply(Answer(204, b"", headers=(("allow", allowed),)))


_ALLOWED: Final = {
    path: allow(operation.method.upper() for operation in OPERATIONS if operation.path == path)
    for path in dict.fromkeys(operation.path for operation in OPERATIONS)
}
