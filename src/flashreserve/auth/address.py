"""The address that a request came from, behind proxies or not, and the groups of addresses that count as one.

Any client can send any X-Forwarded-For, so only the entries that trusted proxies wrote are believed. Each proxy appends
the address that it saw, so the list is read from its end.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

HOPS_MAX: Final = 16
"""Entries of X-Forwarded-For that are read at most."""

NOWHERE: Final = "nowhere"
"""Stands for all clients without an address."""

UNIX: Final = "unix"
"""Stands in the list of proxies for one that connects through a Unix socket and so has no address."""

_IPV6_PREFIXES: Final = (64, 56, 48)
"""Usual sizes of one customer's IPv6 network: a /64 at least, often a /56, for sites a /48."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
_MAPPED: Final = IPv6Network("::ffff:0:0/96")

_UNREADABLE_LENGTH_MAX: Final = 64

Address = IPv4Address | IPv6Address


class TrustedProxies:
    """The networks whose X-Forwarded-For is believed. Empty by default: then the peer is the client."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        """Take networks or single addresses (`10.0.0.0/8`, `::1`) and the word `unix`.

        Raises:
            ValueError: an entry is invalid; the text names it.
        """
        self._unix = UNIX in networks
        self._networks = [_network(text) for text in networks if text != UNIX]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a list separated by commas; an empty text trusts nobody.

        Raises:
            ValueError: an entry is invalid; the text names it.
        """
        return cls([entry.strip() for entry in text.split(",")] if text.strip() else [])

    def client_address(self, peer: str | None, forwarded_for: str) -> str | None:
        """The nearest address that isn't a trusted proxy's; None if there is none.

        If the list ends, or an entry isn't an address, the last proxy found counts as the client.

        Args:
            peer: the other end of the connection; None or empty for a Unix socket.
            forwarded_for: X-Forwarded-For, several of them joined by commas; may be empty.
        """
        if not peer:
            return self._walk(None, forwarded_for) if self._unix else None
        address = _read(peer)
        if address is None:
            return peer[:_UNREADABLE_LENGTH_MAX]
        return self._walk(address, forwarded_for) if self._trusts(address) else str(address)

    def trusts(self, peer: str | None) -> bool:
        """Whether a connection from `peer` (None or empty for a Unix socket) is a trusted proxy's."""
        if not peer:
            return self._unix
        address = _read(peer)
        return address is not None and self._trusts(address)

    def connected_as(self, peer: str | None) -> str | None:
        """The name under which a peer's connections are counted; None for a proxy, which many people share."""
        return None if not peer or self.trusts(peer) else throttled_as(peer)

    def _walk(self, nearest: Address | None, forwarded_for: str) -> str | None:
        client = nearest
        for entry in reversed(forwarded_for.rsplit(",", HOPS_MAX)[-HOPS_MAX:]):
            address = _read(_without_port(entry.strip()))
            if address is None:
                break
            client = address
            if not self._trusts(address):
                break
        return None if client is None else str(client)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def address_groups(address: str | None) -> tuple[str, ...]:
    """The names under which tries from `address` are counted, the narrowest first; empty without an address.

    IPv6 counts by its /64, /56 and /48. IPv6 that carries IPv4 (mapped, 6to4, Teredo, NAT64) counts as the IPv4
    address, because the owner of one IPv4 address has 2^80 IPv6 addresses by 6to4 alone.
    """
    if address is None:
        return ()
    read = _read(address)
    if read is None:
        return (address[:_UNREADABLE_LENGTH_MAX],)
    carried = read if isinstance(read, IPv4Address) else _carried(read)
    if carried is not None:
        return (str(carried),)
    return tuple(str(IPv6Network((read, prefix), strict=False)) for prefix in _IPV6_PREFIXES)


def throttled_as(address: str | None) -> str | None:
    """The narrowest of `address_groups`; None without an address."""
    groups = address_groups(address)
    return groups[0] if groups else None


def parties(groups: Sequence[str]) -> Sequence[str]:
    """`address_groups` as they share the waiting room's turns and places (`auth.waiting_room`), the widest first.

    All clients without an address are one party.
    """
    return groups[::-1] or (NOWHERE,)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv6 address, if there is one."""
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
        return _unmapped(network) if isinstance(network, IPv6Network) else network
    except ValueError as error:
        raise ValueError(f"addresses, networks such as 10.0.0.0/8, or {UNIX!r}; {text!r} isn't: {error}") from None


def _unmapped(network: IPv6Network) -> IPv4Network | IPv6Network:
    """The network in the form of peers' addresses: IPv4 inside IPv6 as IPv4. `::/0` is all of IPv6, and no IPv4.

    Raises:
        ValueError: it holds mapped addresses as well as others.
    """
    if network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - _MAPPED.prefixlen))
    if _MAPPED.subnet_of(network) and network.prefixlen > 0:
        raise ValueError("it holds IPv4 (::ffff:0:0/96) and IPv6; name the networks one by one")
    return network


def _read(text: str) -> Address | None:
    """The address in its one form: no zone, and IPv4 inside IPv6 as IPv4. None if the text isn't an address."""
    # A zone (fe80::1%eth0) is free text, and has a meaning only on the machine that wrote it.
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _without_port(text: str) -> str:
    """The address without a port, which some proxies append: `192.0.2.1:443`, `[2001:db8::1]:443`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
