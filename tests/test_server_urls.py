import itertools
import ssl
import warnings
from contextlib import suppress
from inspect import signature

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)

from flashreserve.redis_server import connect
from flashreserve.server_urls import check_mongodb_url, check_redis_url, read_server_url

_NAMES = (
    "tls",
    "TLS",
    "%74ls",
    "tlsInsecure",
    "ssl_cert_reqs",
    "SSL_CERT_REQS",
    "%73sl_cert_reqs",
    "password",
    "\u017fsl",
)
_REST = ("=", "true", "none", "&", ";", "#", " ", "+", "%26", "%3B", "%3d", "%2523", "%", "/", "?", "@", "é", "")
queries = st.lists(st.sampled_from(_NAMES + _REST), max_size=12).map("".join)


@given(place=st.sampled_from(["h", "h/", "h/1", "localhost", "h#x", "localhost#.example"]), query=queries)
@example(place="h", query="appName=x tlsInsecure=true")
@example(place="h", query="tls=true;tlsInsecure=true")
@example(place="localhost#.example", query="tls=false")
def test_pymongo_reads_the_hosts_and_options_that_are_read_here(place: str, query: str) -> None:
    url = f"mongodb://u:p@{place}?{query}"
    with suppress(ValueError, PyMongoError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, driver_s = read_server_url(url), parse_uri(url, validate=False, normalize=False)
        assert {name.lower(): value for name, value in driver_s["options"].items()} == ours.options
        assert [host for host, _ in driver_s["nodelist"]] == list(ours.hosts)


@given(place=st.sampled_from(["h", "h/", "h/1", "h#x", "%2Fh"]), query=queries)
@example(place="h", query="client_name=x;password=p")
@example(place="h", query="PASSWORD=p")
@example(place="h#", query="password=p")
@example(place="h", query="&password=p&&ssl_cert_reqs=none&")
@example(place="h", query="password=p#&ssl_cert_reqs=none")
def test_redis_py_reads_the_host_and_options_that_are_read_here(place: str, query: str) -> None:
    url = f"rediss://{place}?{query}"
    with suppress(ValueError):
        ours, driver_s = read_server_url(url), dict(parse_url(url))
        assert [driver_s.pop("host")] == list(ours.hosts)
        driver_s = {name: value for name, value in driver_s.items() if name not in {"connection_class", "db"}}
        assert driver_s == {name: value for name, value in ours.options.items() if value}


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://u:p@h/db?%74ls=true",
        "mongodb://u:p@h/db?tls=true;tlsInsecure=true",
        "mongodb+srv://u:p@h/db?appName=x tlsInsecure=true",
        "mongodb://u:p@h/db?tls=true&",
        "redis://:a/b@h/0",
        "unix://u:a/b@/run/redis.sock",
        "unix://u@x/b@/run/redis.sock",
        "mongodb://u:p@h/db#?tls=true",
        "rediss://:p@h/0?%73sl_cert_reqs=none",
        "rediss://:p@h/0?SSL_CERT_REQS=none",
        "rediss://h/0?client_name=x;password=p",
        "rediss://h/0?db=0#&password=p",
        "unix:///run/redis#.sock",
        "redis://%2Frun%2Fredis.sock/0",
    ],
)
def test_a_url_that_a_driver_may_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"escaped|unix://PATH"):
        read_server_url(url)


def test_values_are_unescaped_and_names_of_mongodb_have_any_case() -> None:
    assert read_server_url("mongodb://h/?TLS=%74rue&appName=a+b%3B%23").options == {"tls": "true", "appname": "a b;#"}
    assert read_server_url("rediss://h?ssl_ca_certs=/a%20b&password=p=%3D").options["password"] == "p=="


@pytest.mark.parametrize("url", ["unix:///run/a@b.sock", "unix://u:p@/run/a@b.sock"])
def test_a_socket_s_path_may_have_an_at_sign(url: str) -> None:
    assert parse_url(url)["path"] == "/run/a@b.sock"
    assert read_server_url(url).hosts == ()
    assert (read_server_url(url).password or None) == parse_url(url).get("password")


_REDIS_VALUES = ("true", "no", "0", "2", "1.5", "772", "none", "required", "/nowhere", "x", "%00")
_REDIS_NAMES = sorted(
    {
        name
        for kind in (AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection, BlockingConnectionPool)
        for name in signature(kind).parameters
    }
    | {"ssl", "family", "timeout", "lib_name"}
)


@pytest.mark.parametrize("place", ["redis://h/0", "rediss://h/0", "unix:///run/redis.sock"])
async def test_redis_py_can_use_every_url_that_is_accepted(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)  # loading takes long
    accepted = set()
    for name, value in itertools.product(_REDIS_NAMES, _REDIS_VALUES):
        url = f"{place}?{name}={value}"
        try:
            check_redis_url(url)
        except ValueError:
            continue
        accepted.add(name)
        connection = connect(url, timeout_s=1, connections_max=2).connection_pool.make_connection()  # type: ignore[no-untyped-call]
        if isinstance(connection, SSLConnection):
            with suppress(OSError):  # a missing file, or one that isn't PEM, is reported on connecting
                connection.ssl_context.get()

    assert {"db", "username", "password", "client_name", "protocol", "socket_timeout"} <= accepted
    assert ("ssl_cert_reqs" in accepted) is place.startswith("rediss")
    assert ("socket_keepalive" in accepted) is not place.startswith("unix")


@pytest.mark.parametrize("query", ["authMechanismProperties=AWS_SESSION_TOKEN", "serverMonitoringMode=s3cret"])
def test_the_value_of_an_option_for_mongodb_is_not_shown(query: str) -> None:
    name, _, value = query.partition("=")
    with pytest.raises(ValueError, match=name.lower()) as refused:
        check_mongodb_url(f"mongodb://h/db?{query}")
    assert value not in str(refused.value)


def test_neither_dns_nor_files_are_asked_for_a_url_of_mongodb() -> None:
    check_mongodb_url("mongodb+srv://cluster.invalid/db?tlsCAFile=/nowhere")
    check_mongodb_url("mongodb://h/db?tlsCAFile=/nowhere&compressors=none")
