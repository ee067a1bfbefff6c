"""A request's context: what the edge and the application know of a request beside the server's exchange."""

from typing import Final

UNKNOWN_ROUTE: Final = "other"


class RequestContext:
    """A request as the edge and the application see it. There is one subclass for each of a request's two ways.

    Attributes:
        method: As the client sent it.
        path: Without the query, percent-decoded.
        client: Who sent it: address and port.
        headers: The request's, by lower-case name; those that came several times are joined.
        route: For the application to set to the template of the route that answers (`/products/{id}`): the label
            under which the request is counted.
        over: Whether the edge lets no answer through any more.
        started_at: In the monotonic clock's seconds.
    """

    # What most requests never change stands on the class: that spares its assignment for each of them.
    route = UNKNOWN_ROUTE
    over = False
    id = b""

    method: str
    path: str
    client: tuple[str, int] | None
    headers: dict[bytes, bytes]
    started_at: float

    @property
    def request_id(self) -> str:
        """The id under which this request stands in the log and in the answer's X-Request-Id."""
        return self.id.decode("ascii")
