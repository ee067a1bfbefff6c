"""What the server needs of the application that it serves."""

import msgspec

from flashreserve.server.asgi import App, Header
from flashreserve.server.express import Express
from flashreserve.server.refusals import Refuse


class Application(msgspec.Struct, frozen=True):
    """An application, and what the server can't know by itself.

    Attributes:
        asgi: Serves the requests and the lifespan.
        refuse: Words the server's own refusals.
        express: Where requests that came whole are offered, before ASGI's way.
        usual_headers: Headers of nearly every answer. The server encodes them once.
    """

    asgi: App
    refuse: Refuse
    express: Express | None = None
    usual_headers: tuple[Header, ...] = ()
