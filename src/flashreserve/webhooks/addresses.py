"""Addresses that webhooks may be sent to: protection against server-side request forgery (SSRF).

An endpoint's URL comes from an admin, or from somebody who got hold of an admin's session. Deliveries must not reach
servers that trust this machine, such as a database beside it or a cloud's metadata service. So public addresses only
are called, and private ones if FLASHRESERVE_WEBHOOK_NETWORKS has them. The address is checked when it is dialled
(`webhooks.sender`), because a name may have another address each time it is resolved (DNS rebinding).

Tables of `ipaddress` aren't enough: Python 3.11 calls `fec0::1` and `::7f00:1` global. The tables here are those of the
IANA registries of special-purpose addresses (RFC 6890), as of November 2026.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

import msgspec

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NETWORKS_MAX: Final = 50
PORTS_MAX: Final = 20
PORT_MAX: Final = 65_535
_USUAL_PORTS: Final = frozenset({443, 8443})

_NAT64: Final = IPv6Network("64:ff9b::/96")
_UNICAST: Final = IPv6Network("2000::/3")
"""The only part of IPv6 in which public addresses are assigned."""

_CONFIGURABLE: Final = tuple(map(IPv6Network, ("::1/128", "fc00::/7", "2000::/3")))
"""IPv6 networks that the setting may allow. The others are no places of servers, or they carry IPv4."""

_SPECIAL: Final = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "2001::/23",
            "2001:db8::/32",
            "3fff::/20",
        ),
    )
)
"""Not public: private, shared, loopback, or for benchmarks, documentation and protocols. Teredo is in 2001::/23."""

_NEVER: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "::/128",
            "fe80::/10",
            "fec0::/10",
            "ff00::/8",
        ),
    )
)
"""Unspecified, link-local, site-local, multicast and reserved. The setting can't allow them."""

_METADATA: Final = frozenset(
    (
        IPv4Address("100.100.100.200"),
        IPv4Address("192.0.0.192"),
        IPv6Address("fd00:ec2::254"),
    )
)
"""Metadata services of clouds that aren't link-local. They give credentials away, so the setting can't allow them."""


class Destinations(msgspec.Struct, frozen=True):
    """The addresses and ports that deliveries may go to.

    Attributes:
        networks: Networks that are allowed besides public addresses, as `read_networks` returns them.
        ports: Ports that are allowed besides 443 and 8443.
        production: Development allows any port, and http to every allowed address. Production allows http only to
            `networks`.
    """

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset()
    production: bool = True

    def allows(self, address: Address, *, encrypted: bool) -> bool:
        """Whether the address may be dialled. `encrypted` is true for https, false for http."""
        target = _target(address)
        if target is None or target in _METADATA or _is_in(target, _NEVER):
            return False
        if _is_in(target, self.networks):
            return True
        return (encrypted or not self.production) and _is_public(target)

    def allows_port(self, port: int) -> bool:
        """Whether the port may be dialled."""
        return not self.production or port in _USUAL_PORTS or port in self.ports

    @property
    def allowed_ports(self) -> tuple[int, ...]:
        """The ports that production allows, in ascending order."""
        return tuple(sorted(_USUAL_PORTS | self.ports))


def read_networks(text: str) -> tuple[Network, ...]:
    """The networks in a list separated by commas. The list may be empty; an address is a network of one.

    Raises:
        ValueError: what was expected.
    """
    entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
    if len(entries) > NETWORKS_MAX:
        raise ValueError(f"at most {NETWORKS_MAX} networks")
    return tuple(map(_network, entries))


def read_ports(text: str) -> frozenset[int]:
    """The ports in a list separated by commas. The list may be empty.

    Raises:
        ValueError: what was expected.
    """
    entries = [entry.strip() for entry in text.split(",")] if text.strip() else []
    if len(entries) > PORTS_MAX:
        raise ValueError(f"at most {PORTS_MAX} ports")
    return frozenset(map(_port, entries))


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"networks such as 10.1.0.0/16, separated by commas; {text!r} isn't one: {error}") from None
    if any(_overlap(network, never) for never in _NEVER):
        raise ValueError(f"networks without link-local, multicast and reserved addresses; {text} has some")
    if isinstance(network, IPv6Network) and not any(network.subnet_of(part) for part in _CONFIGURABLE):
        raise ValueError(f"IPv6 networks in fc00::/7 or 2000::/3, or ::1, not {text}; write IPv4 inside IPv6 as IPv4")
    return network


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(PORT_MAX)) and 0 < int(text) <= PORT_MAX):
        raise ValueError(f"ports from 1 to {PORT_MAX}, separated by commas, not {text!r}")
    return int(text)


def _target(address: Address) -> Address | None:
    """The address that packets end up at: IPv4 inside IPv6 is taken out. None for addresses that are never called.

    A Teredo address names a relay, a server and a client; an address with a zone has a meaning on one machine only.
    """
    if isinstance(address, IPv4Address):
        return address
    if address.teredo is not None or address.scope_id is not None:
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not _is_in(address, _SPECIAL)


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
