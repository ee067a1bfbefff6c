from ipaddress import IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashreserve.auth.address import HOPS_MAX, TrustedProxies, address_groups

BEHIND_TEN = TrustedProxies.parse("10.0.0.0/8, ::1, 2001:db8:ffff::/48")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        # A peer that isn't trusted is the client; its header is ignored.
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        ("192.0.2.7", "10.0.0.1", "192.0.2.7"),
        # Of a trusted peer's header, only the entry that it wrote is believed.
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9,198.51.100.1 ,10.2.3.4", "198.51.100.1"),
        ("::1", "2001:DB8::00A1, 2001:db8:ffff::2", "2001:db8::a1"),
        # IPv4 inside IPv6 counts as IPv4.
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        # If the list ends or is invalid, the client is the last proxy.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, bogus, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.1,,", "10.0.0.1"),
        # Ports, as some proxies write them, and zones are dropped.
        ("10.0.0.1", "198.51.100.1:5678", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::a1]:5678", "2001:db8::a1"),
        ("10.0.0.1", "[2001:db8::a1]", "2001:db8::a1"),
        ("fe80::7%eth0", "", "fe80::7"),
        # Unix sockets have no address, and test clients have a name.
        (None, "198.51.100.1", None),
        ("", "198.51.100.1", None),
        ("testclient", "198.51.100.1", "testclient"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_trusted_proxy(
    peer: str | None, forwarded_for: str, client: str | None
) -> None:
    assert BEHIND_TEN.client_address(peer, forwarded_for) == client


@pytest.mark.parametrize("network", ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104"])
def test_a_proxy_may_be_named_as_ipv4_inside_ipv6(network: str) -> None:
    proxies = TrustedProxies.parse(network)
    assert proxies.trusts("10.0.0.1")
    assert proxies.trusts("::ffff:10.0.0.1")
    assert not proxies.trusts("192.0.2.1")


@pytest.mark.parametrize("prefix", range(129))
def test_a_network_around_ipv4_inside_ipv6_trusts_all_that_is_in_it_or_is_refused(prefix: int) -> None:
    network = str(IPv6Network(("::ffff:10.0.0.1", prefix), strict=False))
    if 0 < prefix < 96:
        with pytest.raises(ValueError, match=f"'{network}' isn't: it holds IPv4"):
            TrustedProxies.parse(network)
    else:
        assert TrustedProxies.parse(network).trusts("::ffff:10.0.0.1") is (prefix > 0)


@pytest.mark.parametrize("network", ["::/0", "::/90", "::fffe:0:0/96", "::8000:0:0/82"])
def test_a_network_of_ipv6_trusts_no_ipv4(network: str) -> None:
    proxies = TrustedProxies.parse(network)
    assert proxies.trusts(network.partition("/")[0])
    assert not proxies.trusts("10.0.0.1")
    assert not proxies.trusts("::ffff:10.0.0.1")


def test_by_default_nobody_is_trusted() -> None:
    for proxies in (TrustedProxies(), TrustedProxies.parse(""), TrustedProxies.parse(" ")):
        assert proxies.client_address("127.0.0.1", "198.51.100.1") == "127.0.0.1"
        assert proxies.client_address(None, "198.51.100.1") is None


def test_a_proxy_on_a_unix_socket_is_believed_when_it_is_named() -> None:
    proxies = TrustedProxies.parse("unix,10.0.0.0/8")
    assert proxies.client_address(None, "203.0.113.9, 198.51.100.1, 10.0.0.1") == "198.51.100.1"
    assert proxies.client_address(None, "") is None
    assert proxies.client_address(None, "bogus") is None
    assert proxies.client_address("192.0.2.7", "198.51.100.1") == "192.0.2.7"


def test_the_walk_is_bounded() -> None:
    assert BEHIND_TEN.client_address("10.0.0.1", "198.51.100.1," + "10.0.0.2," * HOPS_MAX + "10.0.0.3") == "10.0.0.2"
    assert BEHIND_TEN.client_address("10.0.0.1", "10.0.0.2," * 500_000 + "198.51.100.1") == "198.51.100.1"


@pytest.mark.parametrize("entry", ["10.0.0.0/33", "10.0.0.1/8", "proxy.example", "10.0.0.1 10.0.0.2", "*", ",10.0.0.1"])
def test_what_is_no_network_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match="addresses, networks"):
        TrustedProxies.parse(entry)


@pytest.mark.parametrize(
    ("address", "names"),
    [
        (None, ()),
        ("192.0.2.7", ("192.0.2.7",)),
        ("2001:db8:1:2:3:4:5:6", ("2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48")),
        ("2001:db8:1:2:ffff::", ("2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48")),
        ("2001:db8:1:ffff::", ("2001:db8:1:ffff::/64", "2001:db8:1:ff00::/56", "2001:db8:1::/48")),
        ("fe80::1%eth0", ("fe80::/64", "fe80::/56", "fe80::/48")),
        ("::ffff:192.0.2.7", ("192.0.2.7",)),
        ("2002:c000:207::1", ("192.0.2.7",)),
        ("2002:c000:207:ffff:1:2:3:4", ("192.0.2.7",)),
        ("2001:0:4136:e378:8000:63bf:3fff:fdf8", ("192.0.2.7",)),
        ("64:ff9b::192.0.2.7", ("192.0.2.7",)),
        ("testclient", ("testclient",)),
        ("x" * 1_000, ("x" * 64,)),
    ],
)
def test_ipv6_counts_by_its_networks_and_by_the_ipv4_inside(address: str | None, names: tuple[str, ...]) -> None:
    assert address_groups(address) == names


@given(st.ip_addresses(v=6))
def test_an_address_has_as_many_groups_as_allowances(address: IPv6Address) -> None:
    assert len(address_groups(str(address))) in {1, 3}


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.0.0.1", True), ("::ffff:10.0.0.1", True), ("192.0.2.1", False), ("x", False), ("", False)],
)
def test_a_trusted_proxy_is_known_by_its_connection(peer: str, *, trusted: bool) -> None:
    assert BEHIND_TEN.trusts(peer) is trusted
    assert TrustedProxies(["unix"]).trusts(peer) is (not peer)


@given(forged=st.text(), seen=st.ip_addresses())
def test_nothing_a_client_writes_hides_the_address_that_a_trusted_proxy_saw(forged: str, seen: object) -> None:
    proxies = TrustedProxies.parse("192.0.2.1")
    expected = proxies.client_address(str(seen), "")
    assert proxies.client_address("192.0.2.1", f"{forged}, {seen}") == expected or str(seen) == "192.0.2.1"


@given(peer=st.ip_addresses().map(str), forwarded_for=st.text())
def test_the_client_is_always_an_address(peer: str, forwarded_for: str) -> None:
    client = TrustedProxies.parse("0.0.0.0/0,::/0").client_address(peer, forwarded_for)
    assert client is not None
    assert str(ip_address(client)) == client
