"""Web origins in settings: the sites whose pages may call this service from a browser (CORS)."""

from typing import Final
from urllib.parse import urlsplit

from flashreserve.host_names import check_resolvable

ORIGINS_MAX: Final = 50
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_EXPECTED: Final = "origins such as https://shop.example, separated by commas, without a path"


def read_origins(text: str) -> list[str]:
    """The origins in a list separated by commas, as browsers send them. The list may be empty.

    Raises:
        ValueError: what was expected.
    """
    origins = [entry.strip() for entry in text.split(",")] if text.strip() else []
    if len(origins) > ORIGINS_MAX:
        raise ValueError(f"at most {ORIGINS_MAX} origins")
    for origin in origins:
        _check(origin)
    return origins


def _check(origin: str) -> None:
    if origin in {"*", "null"}:
        raise ValueError(f"{_EXPECTED}; {origin} would let in the pages of anybody")
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        raise ValueError(f"{_EXPECTED}, not {origin!r}") from None
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host
    written = f"{parts.scheme}://{name}" + ("" if port is None else f":{port}")
    if parts.scheme not in _DEFAULT_PORTS or not host or origin != written or not origin.isascii():
        raise ValueError(f"{_EXPECTED}, all in lower case, not {origin!r}")
    if port == _DEFAULT_PORTS[parts.scheme]:
        raise ValueError(f"{_EXPECTED}, not {origin!r}: browsers leave out the port {port}")
    check_resolvable(host)
