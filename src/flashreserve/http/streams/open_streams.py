"""All that a process needs to keep streams open."""

from typing import Final

import msgspec

from flashreserve.auth.purpose_tokens import PurposeTokens
from flashreserve.http.streams.overview_stream import OverviewStreams
from flashreserve.http.streams.stock_stream import StockStreams
from flashreserve.http.streams.stream_room import StreamRoom

TICKET_S: Final = 60
"""How long a ticket opens streams."""


class OpenStreams(msgspec.Struct, frozen=True):
    """The room of all streams, the two kinds of them, and the tickets that open those of admins."""

    room: StreamRoom
    stock: StockStreams
    overview: OverviewStreams
    tickets: PurposeTokens
