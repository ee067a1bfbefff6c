"""URLs of endpoints, checked when an endpoint is added.

Only URLs that every parser reads in the same way are valid, so that the port and the host checked here are those that
the client calls later. A host's name isn't resolved here: `webhooks.sender` checks each address when it dials it.
"""

import re
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Final

import msgspec

from flashreserve.core.limits import URL_LENGTH_MAX
from flashreserve.core.outcomes import Invalid
from flashreserve.host_names import check_resolvable, is_host_name
from flashreserve.webhooks.addresses import PORT_MAX, Address, Destinations

_FIELD: Final = "url"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"(https?)://([^/?#]+)([/?][^#]*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_PATH: Final = re.compile(r"[!-~]*")
_AMBIGUOUS: Final = re.compile(r'[\\"<>^`{|}]')
"""Signs that some parsers escape, and others take as they are or as a slash."""

_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCALHOST: Final = ("127.0.0.1", "::1")
_NETWORKS: Final = "FLASHRESERVE_WEBHOOK_NETWORKS"


class EndpointUrl(msgspec.Struct, frozen=True):
    """A valid URL of an endpoint.

    Attributes:
        text: The whole URL, to be stored and called; scheme and host are in lower case.
        host: A name, or an address without brackets.
        port: The port, also where the URL leaves it out.
        encrypted: True for https, false for http.
    """

    text: str
    host: str
    port: int
    encrypted: bool


def read_endpoint_url(text: str, destinations: Destinations) -> EndpointUrl | Invalid:
    """The URL, if deliveries may be sent there. The message of `Invalid` says what was expected."""
    try:
        return _read(text, destinations)
    except ValueError as error:
        return Invalid(_FIELD, f"expected {error}")


def _read(text: str, destinations: Destinations) -> EndpointUrl:
    scheme, authority, rest = _split(text)
    if "@" in authority:
        raise ValueError("a URL without user name and password; signatures show who sends")
    found = _AUTHORITY.fullmatch(authority)
    if found is None:
        raise ValueError("a host, and perhaps a port from 1 to 65535, after https://")
    encrypted = scheme == "https"
    written = found[1].lower()
    host = _checked_host(written, destinations, encrypted=encrypted)
    port = int(found[2]) if found[2] else _DEFAULT_PORTS[scheme]
    if port != _DEFAULT_PORTS[scheme]:
        _check_port(port, destinations)
    place = written + (f":{port}" if found[2] else "")
    return EndpointUrl(f"{scheme}://{place}{rest}", host, port, encrypted)


def _split(text: str) -> tuple[str, str, str]:
    """Scheme, host with port, and path with query."""
    if len(text) > URL_LENGTH_MAX:
        raise ValueError(f"at most {URL_LENGTH_MAX} characters")
    if _PATH.fullmatch(text) is None or _AMBIGUOUS.search(text):
        raise ValueError('visible ASCII characters, others and any of \\ " < > ^ ` { | } escaped with %')
    if "#" in text:
        raise ValueError("a URL without a fragment (#), which no server is sent")
    found = _URL.fullmatch(text)
    if found is None:
        raise ValueError("a URL such as https://shop.example/hooks")
    return found[1].lower(), found[2], found[3] or ""


def _check_port(port: int, destinations: Destinations) -> None:
    if not 0 < port <= PORT_MAX:
        raise ValueError(f"a port from 1 to {PORT_MAX}")
    if not destinations.allows_port(port):
        ports = ", ".join(map(str, destinations.allowed_ports))
        raise ValueError(f"one of the ports {ports}; FLASHRESERVE_WEBHOOK_PORTS allows others")


def _checked_host(written: str, destinations: Destinations, *, encrypted: bool) -> str:
    """The host without brackets.

    Raises:
        ValueError: what was expected.
    """
    address = _address(written)
    if address is not None:
        if not destinations.allows(address, encrypted=encrypted):
            raise _refusal(https_is_allowed=destinations.allows(address, encrypted=True))
        return str(address)
    if not is_host_name(written):
        raise ValueError("a host's name of letters, digits, dots and dashes, or an address (IPv6 in [ ])")
    check_resolvable(written)
    if written == "localhost" or written.endswith(".localhost"):
        if not any(destinations.allows(ip_address(each), encrypted=encrypted) for each in _LOCALHOST):
            raise _refusal(https_is_allowed=False)
    elif not encrypted and destinations.production and not destinations.networks:
        # With networks, the name may have an address in them. The sender refuses http to any other address.
        raise _refusal(https_is_allowed=True)
    return written


def _refusal(*, https_is_allowed: bool) -> ValueError:
    if https_is_allowed:
        return ValueError(f"https://; http is allowed in development, and to networks of {_NETWORKS}")
    return ValueError(f"a public address, or one in a network that {_NETWORKS} allows")


def _address(written: str) -> Address | None:
    """The address that the host is; None for a name.

    Raises:
        ValueError: the host is an address in an unusual form, such as `127.1`, `0x7f.1` or `2130706433`. Resolvers take
            these for IPv4, and so do browsers, where the last label is a number (WHATWG URL, 3.5).
    """
    if written.startswith("["):
        with suppress(ValueError):
            address = ip_address(written[1:-1])
            if isinstance(address, IPv6Address) and address.scope_id is None:
                return address
        raise ValueError("an IPv6 address without a zone in [ ]")
    with suppress(ValueError):
        return ip_address(written)
    if _NUMBER.fullmatch(written.removesuffix(".").rpartition(".")[2]):
        raise ValueError("an IPv4 address as four decimal numbers, such as 203.0.113.7")
    return None
