"""FlashReserve: the reservation engine that a shop puts in front of a flash sale."""

from typing import Final

__version__: Final = "0.1.0"
