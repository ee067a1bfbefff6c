"""A request's context: facts about a request that the edge and the application share."""

from typing import Final

from flashreserve.http.places import Place

UNKNOWN_ROUTE: Final = "other"


class RequestContext:
    """A request as the edge and the application see it. It has a subclass for ASGI and one for the express lane.

    Attributes:
        method: As the client sent it.
        path: Without the query and the prefix, percent-decoded.
        prefix: That of all addresses, see `Place`.
        client: The client's address and port.
        headers: The request's, by lower-case name; repeated ones are joined.
        route: The template of the route that answers (`/products/{id}`), set by the application. The request is
            counted under it.
        over: Whether the edge drops everything that the application still sends.
        started_at: Seconds of the monotonic clock.
    """

    # Defaults that most requests never change are class attributes: this saves an assignment for each request.
    route = UNKNOWN_ROUTE
    over = False
    id = b""

    method: str
    path: str
    prefix: str
    client: tuple[str, int] | None
    headers: dict[bytes, bytes]
    started_at: float

    @property
    def place(self) -> Place:
        """The path and the prefix."""
        return Place(self.path, self.prefix)

    @property
    def request_id(self) -> str:
        """The request's id in the log and in the answer's X-Request-Id."""
        return self.id.decode("ascii")
