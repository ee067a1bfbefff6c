"""Addresses that may be called, and the settings that allow more."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashreserve.settings import SettingsError, read_settings
from flashreserve.webhooks.addresses import Destinations, read_networks, read_ports

PUBLIC = ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808")
PRIVATE = (
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "::1",
    "fc00::1",
    "fdff::1",
    "2001:db8::1",
    "3fff::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2002:7f00:1::1",
)
NEVER = (
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "0.1.2.3",
    "169.254.169.254",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "192.0.0.192",
    "::",
    "::7f00:1",
    "::2",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "100::1",
    "64:ff9b:1::a00:1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "5f00::1",
    "4000::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::ffff:0:0",
)
EVERYTHING = read_networks(
    "1.0.0.0/8,10.0.0.0/8,96.0.0.0/3,128.0.0.0/3,160.0.0.0/5,168.0.0.0/8,170.0.0.0/7,172.0.0.0/6,176.0.0.0/4,192.0.0.0/3"
    ",::1,fc00::/7,2000::/3"
)
"""As much as the setting allows, as far as the tests ask."""


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called_by_https(address: str) -> None:
    assert Destinations().allows(ip_address(address), encrypted=True)


@pytest.mark.parametrize("address", [*PRIVATE, *NEVER])
@pytest.mark.parametrize("production", [True, False])
def test_no_other_address_is_called(address: str, *, production: bool) -> None:
    assert not Destinations(production=production).allows(ip_address(address), encrypted=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_network_of_the_setting_allows_private_addresses_also_inside_ipv6(address: str) -> None:
    assert Destinations(EVERYTHING).allows(ip_address(address), encrypted=True)


@pytest.mark.parametrize("address", NEVER)
def test_no_setting_allows_link_local_multicast_reserved_and_metadata_addresses(address: str) -> None:
    assert not Destinations(EVERYTHING, production=False).allows(ip_address(address), encrypted=True)


def test_a_network_allows_its_own_addresses_only() -> None:
    destinations = Destinations(read_networks("10.1.0.0/16"))

    assert destinations.allows(ip_address("10.1.255.255"), encrypted=True)
    assert destinations.allows(ip_address("::ffff:10.1.0.1"), encrypted=True)
    assert not destinations.allows(ip_address("10.2.0.0"), encrypted=True)
    assert not destinations.allows(ip_address("10.0.255.255"), encrypted=True)


def test_production_allows_http_to_the_networks_of_the_setting_only() -> None:
    networks = read_networks("10.1.0.0/16")
    private, public = ip_address("10.1.0.1"), ip_address("8.8.8.8")

    assert Destinations(networks).allows(private, encrypted=False)
    assert not Destinations(networks).allows(public, encrypted=False)
    assert Destinations(networks, production=False).allows(public, encrypted=False)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_ipv4_inside_ipv6_is_judged_as_ipv4(address: IPv4Address) -> None:
    carriers = (
        IPv6Address(0xFFFF << 32 | int(address)),
        IPv6Address(int(IPv6Address("64:ff9b::")) | int(address)),
        IPv6Address(0x2002 << 112 | int(address) << 80 | 1),
    )
    for destinations in (Destinations(), Destinations(read_networks("10.0.0.0/8"))):
        expected = destinations.allows(address, encrypted=True)
        assert [destinations.allows(each, encrypted=True) for each in carriers] == [expected] * 3


@given(st.ip_addresses(v=6))
def test_ipv6_outside_of_the_assigned_part_is_never_called(address: IPv6Address) -> None:
    allowed = Destinations().allows(address, encrypted=True)

    carried = address in read_networks("2000::/3")[0] or address.ipv4_mapped or str(address).startswith("64:ff9b::")
    assert carried or not allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1.0.1/16", "networks such as 10.1.0.0/16"),
        ("shop.example", "networks such as 10.1.0.0/16"),
        ("10.0.0.0/8,", "networks such as 10.1.0.0/16"),
        ("0.0.0.0/0", "without link-local, multicast and reserved addresses"),
        ("169.254.169.254", "without link-local, multicast and reserved addresses"),
        ("::/0", "without link-local, multicast and reserved addresses"),
        ("fe80::/64", "without link-local, multicast and reserved addresses"),
        ("::ffff:10.0.0.0/104", "write IPv4 inside IPv6 as IPv4"),
        ("64:ff9b::/96", "write IPv4 inside IPv6 as IPv4"),
        (",".join(["10.0.0.1"] * 51), "at most 50 networks"),
    ],
)
def test_an_invalid_network_is_refused_at_the_start(text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=f"^FLASHRESERVE_WEBHOOK_NETWORKS: expected .*{expected}"):
        read_settings({"FLASHRESERVE_WEBHOOK_NETWORKS": text})


@pytest.mark.parametrize("text", ["0", "65536", "http", "443;80", "80,", "-1", "²", ",".join(["80"] * 21)])
def test_an_invalid_port_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^FLASHRESERVE_WEBHOOK_PORTS: expected (at most 20 ports|ports from 1)"):
        read_settings({"FLASHRESERVE_WEBHOOK_PORTS": text})


def test_the_settings_make_the_destinations() -> None:
    settings = read_settings(
        {"FLASHRESERVE_WEBHOOK_NETWORKS": "10.1.0.0/16, fd12::/48, 127.0.0.1", "FLASHRESERVE_WEBHOOK_PORTS": "80, 9000"}
    )

    networks = read_networks("10.1.0.0/16,fd12::/48,127.0.0.1/32")
    assert settings.destinations == Destinations(networks, frozenset({80, 9000}), production=False)
    assert read_settings({}).destinations == Destinations(production=False)


def test_production_allows_usual_and_configured_ports_and_development_all() -> None:
    production = Destinations(ports=read_ports("9000"))

    assert [port for port in (80, 443, 8443, 9000, 9001) if production.allows_port(port)] == [443, 8443, 9000]
    assert all(Destinations(production=False).allows_port(port) for port in (1, 80, 9001, 65535))
