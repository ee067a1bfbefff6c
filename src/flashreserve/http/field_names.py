"""The names of fields over HTTP, for outcomes of the core, which have the core's names."""

import re
from typing import Final

from flashreserve.core.model import Product, ProductDetails

_OTHERS: Final = {"stocked": "stockQuantity", "hold_s": "holdSeconds", "extensions_max": "maxExtensions"}
"""Fields whose name over HTTP differs by more than the spelling."""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


_FIELDS: Final = (*Product.__struct_fields__, *ProductDetails.__struct_fields__)
_WIRE_NAMES: Final = {name: _OTHERS.get(name, _camel(name)) for name in _FIELDS}
_named: Final = re.compile(rf"\b({'|'.join(_WIRE_NAMES)})\b")


def with_wire_names(text: str) -> str:
    """The text with each product field under its name over HTTP, such as `saleEndsAt` for `sale_ends_at`."""
    return _named.sub(lambda found: _WIRE_NAMES[found[1]], text)
