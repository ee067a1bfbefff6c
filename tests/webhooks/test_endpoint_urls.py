"""URLs of endpoints: those that are valid, and the messages for the others."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from flashreserve.core.limits import URL_LENGTH_MAX
from flashreserve.core.outcomes import Invalid
from flashreserve.webhooks.addresses import Destinations, read_networks
from flashreserve.webhooks.endpoint_urls import EndpointUrl, read_endpoint_url

PRODUCTION = Destinations()
DEVELOPMENT = Destinations(production=False)
PRIVATE = Destinations(read_networks("10.1.0.0/16,127.0.0.0/8,fd12::/48"))


def message(text: str, destinations: Destinations = PRODUCTION) -> str:
    found = read_endpoint_url(text, destinations)
    assert isinstance(found, Invalid), found
    assert found.field == "url"
    return found.message


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("https://shop.example", "shop.example", 443),
        ("https://shop.example/hooks?key=a%2Fb&x=y", "shop.example", 443),
        ("https://shop.example:443/", "shop.example", 443),
        ("https://shop.example:8443/", "shop.example", 8443),
        ("https://xn--bcher-kva.example?x", "xn--bcher-kva.example", 443),
        ("https://hooks/x@y", "hooks", 443),
        ("https://8.8.8.8/", "8.8.8.8", 443),
        ("https://[2606:4700::1111]:8443/", "2606:4700::1111", 8443),
        ("https://[2606:4700:0::1111]/", "2606:4700::1111", 443),
    ],
)
def test_valid_urls_are_read(text: str, host: str, port: int) -> None:
    assert read_endpoint_url(text, PRODUCTION) == EndpointUrl(text, host, port, encrypted=True)


def test_scheme_and_host_are_stored_in_lower_case() -> None:
    found = read_endpoint_url("HTTPS://Shop.Example/Hooks", PRODUCTION)

    assert found == EndpointUrl("https://shop.example/Hooks", "shop.example", 443, encrypted=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a URL such as https://"),
        ("shop.example/hooks", "a URL such as https://"),
        ("ftp://shop.example/", "a URL such as https://"),
        ("https:///hooks", "a URL such as https://"),
        ("https:shop.example", "a URL such as https://"),
        ("file:///etc/passwd", "a URL such as https://"),
        ("https://user@shop.example/", "without user name and password"),
        ("https://user:password@shop.example/", "without user name and password"),
        ("https://shop.example@10.0.0.1/", "without user name and password"),
        ("https://shop.example/#a", "without a fragment"),
        ("https://shop.example#@10.0.0.1/", "without a fragment"),
        ("https://shop.example\\@10.0.0.1/", "escaped"),
        ("https://shop.example/a b", "visible ASCII"),
        ("https://shop.example/\r\nX: y", "visible ASCII"),
        (" https://shop.example/", "visible ASCII"),
        ("https://bücher.example/", "visible ASCII"),
        ("https://shop。example/", "visible ASCII"),
        ("https://shop%2eexample/", "a host's name"),
        ("https://shop.example./", "a host's name"),
        ("https://-shop.example/", "a host's name"),
        ("https://shop..example/", "a host's name"),
        ("https://shop.example:/", "a host, and perhaps a port"),
        ("https://shop.example:x/", "a host, and perhaps a port"),
        ("https://2606:4700::1111/", "a host, and perhaps a port"),
        ("https://[2606:4700::1111/", "a host, and perhaps a port"),
        ("https://[::1]x/", "a host, and perhaps a port"),
        ("https://[8.8.8.8]/", "an IPv6 address without a zone"),
        ("https://[v1.a]/", "an IPv6 address without a zone"),
        ("https://[fe80::1%25eth0]/", "an IPv6 address without a zone"),
        ("https://shop.example:0/", "a port from 1 to 65535"),
        ("https://shop.example:65536/", "a port from 1 to 65535"),
        ("https://shop.example:80/", "one of the ports 443, 8443; FLASHRESERVE_WEBHOOK_PORTS"),
        ("https://shop.example:6379/", "one of the ports 443, 8443; FLASHRESERVE_WEBHOOK_PORTS"),
        (f"https://shop.example/{'a' * URL_LENGTH_MAX}", f"at most {URL_LENGTH_MAX} characters"),
        ("http://shop.example/", "https://; http is allowed in development"),
        ("http://8.8.8.8/", "https://; http is allowed in development"),
        ("https://127.0.0.1/", "a public address, or one in a network that FLASHRESERVE_WEBHOOK_NETWORKS allows"),
        ("https://localhost/", "a public address"),
        ("https://a.localhost/", "a public address"),
        ("https://10.0.0.1/", "a public address"),
        ("https://169.254.169.254/latest/meta-data", "a public address"),
        ("https://0.0.0.0/", "a public address"),
        ("https://[::]/", "a public address"),
        ("https://[::1]/", "a public address"),
        ("https://[::ffff:10.0.0.1]/", "a public address"),
        ("https://[::ffff:a00:1]/", "a public address"),
        ("https://[fec0::1]/", "a public address"),
        ("https://[fe80::1]/", "a public address"),
        ("https://[64:ff9b::7f00:1]/", "a public address"),
        ("https://[2002:7f00:1::]/", "a public address"),
        ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", "a public address"),
        ("https://127.1/", "an IPv4 address as four decimal numbers"),
        ("https://2130706433/", "an IPv4 address as four decimal numbers"),
        ("https://0x7f.1/", "an IPv4 address as four decimal numbers"),
        ("https://0x7f000001/", "an IPv4 address as four decimal numbers"),
        ("https://0x/", "an IPv4 address as four decimal numbers"),
        ("https://0177.0.0.1/", "an IPv4 address as four decimal numbers"),
        ("https://127.0.0.1./", "an IPv4 address as four decimal numbers"),
        ("https://127.0.0.256/", "an IPv4 address as four decimal numbers"),
        ("https://shop.0X7F/", "an IPv4 address as four decimal numbers"),
    ],
)
def test_an_invalid_url_gets_a_message_that_says_what_was_expected(text: str, expected: str) -> None:
    told = message(text)

    assert told.startswith("expected ")
    assert expected in told


@pytest.mark.parametrize("text", ["http://shop.example/", "http://8.8.8.8:3000/x", "https://shop.example:1/"])
def test_development_allows_http_and_any_port(text: str) -> None:
    assert isinstance(read_endpoint_url(text, DEVELOPMENT), EndpointUrl)


@pytest.mark.parametrize("text", ["http://127.0.0.1:3000/", "http://localhost:3000/", "https://10.0.0.1/"])
def test_development_too_calls_private_addresses_only_if_the_setting_allows_them(text: str) -> None:
    assert "FLASHRESERVE_WEBHOOK_NETWORKS" in message(text, DEVELOPMENT)


@pytest.mark.parametrize(
    "text",
    [
        "http://10.1.2.3/hooks",
        "http://10.1.2.3:80/hooks",
        "http://[::ffff:10.1.2.3]/hooks",
        "http://[fd12::1]:8443/hooks",
        "http://localhost/hooks",
        "http://shop.internal/hooks",
        "https://10.1.2.3/hooks",
    ],
)
def test_networks_of_the_setting_may_be_called_by_http(text: str) -> None:
    found = read_endpoint_url(text, PRIVATE)

    assert isinstance(found, EndpointUrl)
    assert found.encrypted is text.startswith("https")
    assert found.port in {80, 443, 8443}


def test_http_to_a_public_address_stays_invalid_whatever_networks_there_are() -> None:
    assert "https://" in message("http://8.8.8.8/", PRIVATE)


def test_configured_ports_are_valid_and_named_in_the_message() -> None:
    destinations = Destinations(ports=frozenset({9000}))

    assert isinstance(read_endpoint_url("https://shop.example:9000/", destinations), EndpointUrl)
    assert "443, 8443, 9000" in message("https://shop.example:9001/", destinations)


@given(st.from_regex(r"https?://[!-~]{1,40}", fullmatch=True) | st.text(max_size=60))
@example("https://a.example\t/")
@example("https://[::ffff:8.8.8.8]:443?")
@example("https://a.example:00443")
def test_every_parser_reads_a_valid_url_in_the_same_way(text: str) -> None:
    found = read_endpoint_url(text, DEVELOPMENT)

    if isinstance(found, EndpointUrl):
        called, parts = URL(found.text, encoded=True), urlsplit(found.text)
        assert called.port == found.port
        assert (parts.port or called.port) == found.port
        assert same_host(called.host, found.host)
        assert same_host(parts.hostname, found.host)
        assert called.user is called.password is parts.username is None
        assert called.scheme == parts.scheme == ("https" if found.encrypted else "http")


def same_host(read: str | None, host: str) -> bool:
    try:
        return ip_address(read or "") == ip_address(host)
    except ValueError:
        return read == host
