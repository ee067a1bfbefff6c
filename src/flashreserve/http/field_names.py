"""The names of fields over HTTP, where outcomes of the core speak of its own fields."""

import re
from typing import Final

from flashreserve.core.model import Product

_OTHERS: Final = {"stocked": "stockQuantity", "hold_s": "holdSeconds", "extensions_max": "maxExtensions"}
"""Fields that have another name, and not only another spelling."""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


_WIRE_NAMES: Final = {name: _OTHERS.get(name, _camel(name)) for name in Product.__struct_fields__}
_named: Final = re.compile(rf"\b({'|'.join(_WIRE_NAMES)})\b")


def with_wire_names(text: str) -> str:
    """The text with each of the product's fields by its name over HTTP: `sale_ends_at` is `saleEndsAt`."""
    return _named.sub(lambda found: _WIRE_NAMES[found[1]], text)
