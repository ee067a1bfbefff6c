"""The application that the server serves, in the form that the server needs."""

import msgspec

from flashreserve.server.asgi import App, Header
from flashreserve.server.express import Express
from flashreserve.server.refusals import Refuse


class Application(msgspec.Struct, frozen=True):
    """An application, and the facts about it that the server needs.

    Attributes:
        asgi: Serves the requests and the lifespan.
        refuse: Writes the text of the server's own refusals.
        express: The express lane. Complete requests are offered to it before ASGI.
        usual_headers: Headers of nearly every answer. The server encodes them once.
    """

    asgi: App
    refuse: Refuse
    express: Express | None = None
    usual_headers: tuple[Header, ...] = ()
