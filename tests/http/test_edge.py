"""The edge's treatment of every request and answer, over real sockets and with the product's own server."""

import asyncio
import gc
import json
import re
from typing import Any, cast

import pytest
from litestar import Litestar, Request, get, post
from tests.server.sockets import RawClient, RawReply, Served, answer, echo, head, lifespan, read, serving

from flashreserve.auth.address import TrustedProxies
from flashreserve.http.edge import context_of
from flashreserve.http.request_log import LOG_LINES_MAX
from flashreserve.http.site import Cookies, Hosts, Site, cookie_values
from flashreserve.server.asgi import App, Receive, Scope, Send
from flashreserve.server.limits import HttpLimits

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


async def product(scope: Scope, receive: Receive, send: Send) -> None:
    context_of(scope).route = "/products/{id}"
    await answer(send, scope["method"].encode())


async def show_headers(scope: Scope, receive: Receive, send: Send) -> None:
    shown = {name.decode(): value.decode() for name, value in context_of(scope).headers.items()}
    await answer(send, json.dumps(shown).encode())


async def own_headers(scope: Scope, receive: Receive, send: Send) -> None:
    own = [(b"cache-control", b"no-cache"), (b"content-security-policy", b"default-src 'self'")]
    await answer(send, headers=own)


async def split(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, headers=[(b"location", b"/\r\nset-cookie: token=stolen")])


async def odd_name(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, headers=[(b"x y", b"z")])


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("secret of the house")


async def broken_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    raise LookupError("secret of the house")


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def headless(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.body", "body": b"no head"})


async def swallows(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that turns every error in reading into an answer of its own, as frameworks do."""
    try:
        await read(receive)
    except ConnectionError:
        await answer(send, b"mine", 500)


ROUTES = {
    "products": product,
    "headers": show_headers,
    "own-headers": own_headers,
    "split": split,
    "odd-name": odd_name,
    "broken": broken,
    "broken-late": broken_late,
    "silent": silent,
    "headless": headless,
    "swallows": swallows,
}


async def shop(scope: Scope, receive: Receive, send: Send) -> None:
    """An application whose paths do the various things that a route could do."""
    route = echo if scope["type"] == "lifespan" else ROUTES.get(scope["path"].split("/")[1], echo)
    await route(scope, receive, send)


def counted(served: Served, method: str, route: str, status: int) -> float:
    return served.metric(f'flashreserve_http_requests_total{{method="{method}",route="{route}",status="{status}"}}')


# Request ids.


@pytest.mark.parametrize("own", ["a", "0199c0de-0000-7000-8000-000000000001", "A.b_c-9", "x" * 64])
async def test_a_sane_request_id_is_kept(own: str) -> None:
    async with serving(shop) as served:
        assert (await (await served.connect()).get("/", f"X-Request-Id: {own}")).header("x-request-id") == own


@pytest.mark.parametrize("own", ["", "x" * 65, "a b", "a;b", "é", "<script>"])
async def test_any_other_request_id_is_replaced(own: str) -> None:
    async with serving(shop) as served:
        given = (await (await served.connect()).get("/", f"X-Request-Id: {own}")).header("x-request-id")
        assert given == "edge-1"


async def test_requests_without_an_id_get_each_their_own() -> None:
    async with serving(shop) as served:
        client = await served.connect()
        assert len({(await client.get()).header("x-request-id") for _ in range(20)}) == 20


# Headers of the answer.


@pytest.mark.parametrize("path", ["/", "/broken", "/silent"])
async def test_every_answer_has_the_security_headers_once(path: str) -> None:
    async with serving(shop) as served:
        reply = await (await served.connect()).get(path)
        assert {name: reply.header(name) for name in SECURITY} == SECURITY
        assert reply.header("strict-transport-security") is None


async def test_the_server_s_own_refusals_have_the_security_headers_too() -> None:
    async with serving(shop) as served:
        reply = await (await (await served.connect()).send(b"rubbish\r\n\r\n")).reply()
        assert {name: reply.header(name) for name in SECURITY} == SECURITY


async def test_what_the_application_says_about_caching_and_content_stands() -> None:
    async with serving(shop) as served:
        reply = await (await served.connect()).get("/own-headers")
        assert reply.header("cache-control") == "no-cache"
        assert reply.header("content-security-policy") == "default-src 'self'"


async def test_the_api_s_pages_may_load_their_own_scripts_and_nothing_else() -> None:
    async with serving(shop) as served:
        policy = (await (await served.connect()).get("/api-docs/index.html")).header("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe-eval" not in policy


@pytest.mark.parametrize(
    ("proto", "told"),
    [
        ("https", "max-age=31536000"),
        ("HTTPS", "max-age=31536000"),
        ("https, http", "max-age=31536000"),
        ("http", None),
        ("http, https", None),
        ("httpsx", None),
    ],
)
async def test_browsers_that_came_over_tls_are_told_to_stay_there(proto: str, told: str | None) -> None:
    async with serving(shop, strict_transport=True) as served:
        reply = await (await served.connect()).get("/", f"X-Forwarded-Proto: {proto}")
        assert reply.header("strict-transport-security") == told


@pytest.mark.parametrize("path", ["/split", "/odd-name"])
async def test_an_answer_cannot_be_split_by_a_header(path: str) -> None:
    async with serving(shop) as served:
        reply = await (await served.connect()).get(path)
        assert (reply.status, reply.code) == (500, "internal")
        assert reply.header("set-cookie") is None
        assert reply.header("location") is None


# Headers of the request.


async def test_a_request_without_host_is_refused() -> None:
    async with serving(shop) as served:
        client = await (await served.connect()).send(head("GET", "/", host=False))
        reply = await client.reply()
        assert (reply.status, reply.code) == (400, "bad-request")
        assert "host" in reply.problem["detail"]


@pytest.mark.parametrize(
    "name", ["Host", "Authorization", "Content-Type", "Idempotency-Key", "Origin", "Sec-Fetch-Site", "Content-Encoding"]
)
async def test_a_header_that_may_come_once_is_refused_when_it_comes_twice(name: str) -> None:
    async with serving(shop) as served:
        reply = await (await served.connect()).get("/", *[f"{name}: same"] * (1 if name == "Host" else 2))
        assert (reply.status, reply.code) == (400, "bad-request")
        assert name.lower() in reply.problem["detail"]


async def test_headers_that_come_several_times_are_joined_in_their_order() -> None:
    async with serving(shop) as served:
        reply = await (await served.connect()).get(
            "/headers",
            "Cookie: a=1",
            "X-Forwarded-For: 192.0.2.1, 192.0.2.2",
            'If-None-Match: "a"',
            "Cookie: token=2",
            "x-forwarded-for: 192.0.2.3",
            'If-None-Match: "b", "c"',
            "X-Forwarded-For: 192.0.2.4",
        )
        shown = json.loads(reply.body)
        assert shown["cookie"] == "a=1; token=2"
        assert shown["x-forwarded-for"] == "192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4"
        assert shown["if-none-match"] == '"a", "b", "c"'


async def test_a_coding_that_would_leave_the_body_unread_is_refused() -> None:
    async with serving(shop) as served:
        client = await (await served.connect()).send(
            head("POST", "/", "Transfer-Encoding: gzip, chunked"), "1\r\na\r\n0\r\n\r\n"
        )
        assert (await client.reply()).code == "bad-request"


# Requests from other sites.

COOKIE = "Cookie: theme=dark; token=abc"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([COOKIE, "Sec-Fetch-Site: same-origin"], 200),
        ([COOKIE, "Sec-Fetch-Site: none"], 200),
        ([COOKIE, "Sec-Fetch-Site: same-site"], 403),
        ([COOKIE, "Sec-Fetch-Site: cross-site"], 403),
        ([COOKIE, "Sec-Fetch-Site: cross-site", "Origin: http://shop.test"], 403),
        ([COOKIE, "Origin: http://shop.test"], 200),
        ([COOKIE, "Origin: https://SHOP.test"], 200),
        ([COOKIE, "Origin: https://shop.test.evil.test"], 403),
        ([COOKIE, "Origin: https://evil.test"], 403),
        ([COOKIE, "Origin: https://shop.test:8443"], 403),
        ([COOKIE, "Origin: http://shop.test:80"], 200),
        ([COOKIE, "Origin: https://shop.test:443"], 200),
        ([COOKIE, "Origin: https://shop.test:80"], 403),
        ([COOKIE, "Origin: http://shop.test:443"], 403),
        ([COOKIE, "Origin: null"], 403),
        ([COOKIE, "Origin: "], 403),
        ([COOKIE, "Origin: http://[shop.test"], 403),
        ([COOKIE], 200),
        ([COOKIE, "Authorization: Bearer abc", "Sec-Fetch-Site: cross-site"], 200),
        (["Cookie: theme=dark", "Sec-Fetch-Site: cross-site"], 200),
        (["Cookie: mytoken=abc", "Sec-Fetch-Site: cross-site"], 200),
        (["Cookie: a=1", "Cookie: token=abc", "Cookie: b=1", "Sec-Fetch-Site: cross-site"], 403),
        (["Sec-Fetch-Site: cross-site"], 200),
    ],
)
async def test_a_change_by_cookie_must_come_from_this_site(headers: list[str], status: int, method: str) -> None:
    async with serving(shop) as served:
        reply = await (await served.connect()).get("/products/1", *headers, method=method)
        assert reply.status == status
        assert status == 200 or reply.code == "cross-site"


@pytest.mark.parametrize(
    ("host", "origin", "own"),
    [
        ("shop.test:443", "https://shop.test", True),
        ("shop.test:80", "http://shop.test", True),
        ("shop.test:80", "https://shop.test", True),
        ("SHOP.test:443", "https://shop.TEST", True),
        ("shop.test:", "https://shop.test", True),
        ("shop.test:8443", "https://shop.test:8443", True),
        ("[::1]:443", "https://[::1]", True),
        ("[::1]:3000", "http://[::1]:3000", True),
        ("shop.test:8443", "https://shop.test", False),
        ("shop.test:443", "http://shop.test:443", True),
        ("shop.test:80", "https://shop.test:80", True),
        ("shop.test:443", "https://shop.test:8443", False),
        ("shop.test:443", "https://evil.test:443", False),
        ("", "null", False),
        ("", "", False),
        ("null", "null", False),
    ],
)
async def test_a_default_port_is_the_same_as_none(host: str, origin: str, own: bool) -> None:  # noqa: FBT001
    async with serving(shop) as served:
        lines = ["POST /products/1 HTTP/1.1", f"Host: {host}", f"Origin: {origin}", COOKIE, "", ""]
        reply = await (await (await served.connect()).send("\r\n".join(lines))).reply()
        assert reply.status == (200 if own else 403)


BEHIND = "Origin: http://shop.example"
TRUSTING = Site(Cookies.named(production=False), Hosts([], all_names=True), TrustedProxies(["127.0.0.0/8"]))


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        (["X-Forwarded-Host: shop.example"], True),
        (["X-Forwarded-Host: shop.example:80"], True),
        (["X-Forwarded-Host: Shop.Example, inner.test"], True),
        (["X-Forwarded-Host: evil.example"], False),
        (["X-Forwarded-Host: "], False),
        (["X-Forwarded-Host: shop.example", "Sec-Fetch-Site: cross-site"], False),
        (["X-Forwarded-Host: shop.example" + ", a.test" * 16], False),
        ([], False),
    ],
)
async def test_the_host_that_a_trusted_proxy_forwards_is_this_site(headers: list[str], *, own: bool) -> None:
    async with serving(shop, site=TRUSTING) as served:
        reply = await (await served.connect()).post("/products/1", b"", COOKIE, BEHIND, *headers)
        assert reply.status == (200 if own else 403)


@pytest.mark.parametrize(("forwarded", "own"), [("shop.example:8443", True), ("shop.example", False)])
async def test_the_forwarded_host_needs_the_port_of_the_public_address(forwarded: str, *, own: bool) -> None:
    async with serving(shop, site=TRUSTING) as served:
        headers = [COOKIE, "Origin: https://shop.example:8443", f"X-Forwarded-Host: {forwarded}"]
        reply = await (await served.connect()).post("/products/1", b"", *headers)
        assert reply.status == (200 if own else 403)


async def test_the_host_that_a_stranger_forwards_is_not_believed() -> None:
    stranger = Site(Cookies.named(production=False), Hosts([], all_names=True), TrustedProxies(["192.0.2.1"]))
    for site in (stranger, None):
        async with serving(shop, site=site) as served:
            client = await served.connect()
            reply = await client.post("/products/1", b"", COOKIE, BEHIND, "X-Forwarded-Host: shop.example")
            assert (reply.status, reply.code) == (403, "cross-site")


@pytest.mark.parametrize(
    ("cookie", "status"), [("__Host-token", 403), ("\t __Host-token ", 403), ("token", 200), ("__Secure-token", 200)]
)
async def test_only_the_cookie_that_signs_in_is_guarded(cookie: str, status: int) -> None:
    site = Site(Cookies.named(production=True), Hosts([], all_names=True), TrustedProxies())
    async with serving(shop, site=site) as served:
        headers = (f"Cookie: theme=dark; {cookie}=abc", "Sec-Fetch-Site: cross-site")
        assert (await (await served.connect()).post("/products/1", b"", *headers)).status == status


@pytest.mark.parametrize("before", [b"\xa0", b"\x85", b"\xa0\x85", b"\x1f", b"\x0b"])
def test_a_name_that_browsers_take_for_another_is_no_cookie_of_ours(before: bytes) -> None:
    """Any host may plant such a cookie, because for a browser its name doesn't begin with `__Host-`."""
    site = Site(Cookies.named(production=True), Hosts([], all_names=True), TrustedProxies())
    for header, ours in ((b"a=1; \t__Host-token =abc", True), (b"a=1; " + before + b"__Host-token=abc", False)):
        assert cookie_values(header, "__Host-token") == (["abc"] if ours else [])
        assert site.is_foreign({b"cookie": header, b"sec-fetch-site": b"cross-site"}, None) is ours


# Hosts.


@pytest.mark.parametrize(
    ("host", "served_here"),
    [
        *((host, True) for host in ("localhost", "LOCALHOST:3000", "localhost.", "shop.localhost:1", "127.0.0.1:3000")),
        *((host, True) for host in ("[::1]", "[::1]:3000", "192.168.1.20:3000", "shop.test", "a.b.wild.test:8080")),
        *((host, False) for host in ("evil.example", "evil.example:3000", "localhost.evil.example", "notlocalhost")),
        *((host, False) for host in ("wild.test", "shop.test.evil.example", "127.0.0.1.nip.io", "0x7f.1", "")),
        *((host, False) for host in ("localhost@evil.example", "evil.example/localhost", "[localhost]", "a b", "[::1")),
        *((host, False) for host in ("127.1", "2130706433", "localhost:3000:1", "localhost:x", "l\xf6calhost")),
    ],
)
async def test_only_its_own_hosts_are_served(host: str, *, served_here: bool) -> None:
    """A page that makes its own name resolve to this server (DNS rebinding) gets nothing."""
    site = Site(Cookies.named(production=False), Hosts(["shop.test", "*.wild.test"]), TrustedProxies())
    async with serving(shop, site=site) as served:
        for method in ("GET", "POST"):
            raw = f"{method} /products/1 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")
            reply = await (await (await served.connect()).send(raw)).reply()
            assert reply.status == (200 if served_here else 400)
            assert served_here or "header host" in reply.problem["detail"]


@pytest.mark.parametrize(
    ("text", "all_names", "served_here"),
    [("", True, True), ("", False, False), ("shop.test", True, False), ("shop.test, Elsewhere.test", True, True)],
)
def test_hosts_that_are_named_are_the_only_ones(text: str, *, all_names: bool, served_here: bool) -> None:
    hosts = Hosts.parse(text, listening="127.0.0.1", all_names=all_names)
    assert hosts.serves(b"elsewhere.test") is served_here
    assert hosts.serves(b"localhost")


def test_the_name_that_the_server_listens_at_is_served() -> None:
    hosts = Hosts.parse("", listening="Devbox", all_names=False)
    assert hosts.serves(b"devbox:3000")
    assert not hosts.serves(b"elsewhere")


@pytest.mark.parametrize("name", ["http://shop.test", "shop.test:80", "shop test", "*", "*.", "a.*.test", "", "é.test"])
def test_a_host_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="host names such as"):
        Hosts([name])


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_looking_by_cookie_may_come_from_anywhere(method: str) -> None:
    async with serving(shop) as served:
        client = await served.connect()
        assert (await client.get("/products/1", COOKIE, "Sec-Fetch-Site: cross-site", method=method)).status == 200


# Bodies.

SMALL = HttpLimits(body_bytes_max=100)


async def chunked(client: RawClient, path: str, *chunks: bytes) -> RawReply:
    await client.send(head("POST", path, "Transfer-Encoding: chunked"))
    for chunk in chunks:
        await client.send(b"%x\r\n" % len(chunk), chunk, b"\r\n")
    await client.send(b"0\r\n\r\n")
    return await client.reply()


async def test_a_body_of_the_largest_size_is_taken() -> None:
    async with serving(shop, limits=SMALL) as served:
        client = await served.connect()
        assert (await client.post("/", b"a" * 100)).body == b"POST / " + b"a" * 100
        assert (await chunked(client, "/", b"a" * 60, b"b" * 40)).body == b"POST / " + b"a" * 60 + b"b" * 40


@pytest.mark.parametrize("path", ["/", "/swallows"])
async def test_a_larger_body_is_refused_however_it_is_sent(path: str) -> None:
    async with serving(shop, limits=SMALL) as served:
        for reply in (
            await (await served.connect()).post(path, b"a" * 101),
            await chunked(await served.connect(), path, b"a" * 60, b"b" * 41),
            await chunked(await served.connect(), path, b"a" * 1_000_000),
        ):
            assert (reply.status, reply.code, reply.closes) == (413, "too-large", True)
            assert "100 bytes" in reply.problem["detail"]


async def test_an_announced_large_body_is_refused_before_it_comes() -> None:
    async with serving(shop, limits=SMALL) as served:
        client = await (await served.connect()).send(head("POST", "/", "Content-Length: 101"))
        assert (await client.reply()).code == "too-large"


async def test_a_slow_body_is_refused_whatever_the_application_makes_of_it() -> None:
    async with serving(shop, limits=HttpLimits(body_timeout_s=0.1)) as served:
        client = await (await served.connect()).send(head("POST", "/swallows", "Content-Length: 3"), "ab")
        assert (await client.reply()).code == "request-timeout"
        assert counted(served, "POST", "other", 408) == 1


# Errors.


async def test_an_unhandled_error_is_a_problem_that_tells_nothing_and_a_log_line_that_tells_all() -> None:
    async with serving(shop) as served:
        client = await served.connect()
        reply = await client.get("/broken", "X-Request-Id: abc")
        assert (reply.status, reply.code) == (500, "internal")
        assert b"secret" not in reply.body
        assert b"LookupError" not in reply.body
        [error] = [entry for entry in served.logged if entry["event"] == "unhandled error"]
        assert (error["request_id"], error["path"], error["log_level"]) == ("abc", "/broken", "error")
        assert isinstance(error["exc_info"], LookupError)
        assert (await client.get()).status == 200
        assert counted(served, "GET", "other", 500) == 1


@pytest.mark.parametrize("path", ["/silent", "/headless"])
async def test_an_application_that_breaks_the_protocol_is_a_500(path: str) -> None:
    async with serving(shop) as served:
        assert (await (await served.connect()).get(path)).code == "internal"


async def test_an_answer_that_breaks_in_the_middle_is_cut_short_not_completed() -> None:
    async with serving(shop) as served:
        client = await (await served.connect()).send(head("GET", "/broken-late"))
        received = await client.ended()
        assert received.endswith(b"\r\n\r\nabc")


async def test_a_flood_of_errors_does_not_flood_the_log() -> None:
    now = 0.0
    async with serving(shop, monotonic=lambda: now) as served:
        client = await served.connect()
        for _ in range(LOG_LINES_MAX * 2):
            await client.get("/broken")
        assert len(served.logged) == LOG_LINES_MAX
        now = 1.0
        await client.get("/broken")
        left_out = served.logged[LOG_LINES_MAX]
        assert (left_out["event"], left_out["lines"]) == ("requests left out of the log", LOG_LINES_MAX * 3)
        assert served.logged[LOG_LINES_MAX + 1]["event"] == "unhandled error"


# HEAD.


async def test_every_get_can_be_asked_as_head() -> None:
    async with serving(shop) as served:
        client = await served.connect()
        for path in ("/products/1", "/broken", "/products/1"):
            got, asked = await client.get(path), await client.get(path, method="HEAD")
            assert (asked.status, asked.header("content-length")) == (got.status, got.header("content-length"))
        assert counted(served, "HEAD", "/products/{id}", 200) == 2


# Counting and logging.


async def test_requests_are_counted_by_method_route_and_status() -> None:
    async with serving(shop) as served:
        client = await served.connect()
        for n in range(3):
            await client.get(f"/products/{n}")
        await client.get("/elsewhere")
        await client.get("/", method="PURGE")
        assert counted(served, "GET", "/products/{id}", 200) == 3
        assert counted(served, "GET", "other", 200) == 1
        assert counted(served, "other", "other", 200) == 1
        assert served.metric("flashreserve_http_in_flight") == 0


async def test_latency_is_the_time_to_the_answer_s_head() -> None:
    now = 0.0

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal now
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        now += 0.3
        await answer(send)
        now += 100.0

    async with serving(slow, monotonic=lambda: now) as served:
        await (await served.connect()).get()
        labels = 'method="GET",route="other"'
        assert served.metric(f"flashreserve_http_request_seconds_sum{{{labels}}}") == pytest.approx(0.3)
        assert served.metric(f'flashreserve_http_request_seconds_bucket{{le="0.25",{labels}}}') == 0
        assert served.metric(f'flashreserve_http_request_seconds_bucket{{le="0.5",{labels}}}') == 1


async def test_only_what_goes_wrong_is_logged_unless_everything_is_asked_for() -> None:
    async with serving(shop) as quiet:
        await (await quiet.connect()).get("/products/1")
        assert quiet.logged == []
    async with serving(shop, log_every_request=True) as wordy:
        client = await wordy.connect()
        await client.get("/products/1?token=secret", "Authorization: Bearer secret", "X-Request-Id: abc")
        [line] = wordy.logged
        shown = ("event", "log_level", "request_id", "method", "path", "route", "status")
        assert {key: line[key] for key in shown} == {
            "event": "request",
            "log_level": "debug",
            "request_id": "abc",
            "method": "GET",
            "path": "/products/1",
            "route": "/products/{id}",
            "status": 200,
        }
        assert "secret" not in repr(line)


async def test_a_slow_request_is_logged() -> None:
    times = iter([0.0, 1.5, 2.0, 2.0, 2.0])
    async with serving(shop, monotonic=lambda: next(times)) as served:
        await (await served.connect()).get("/products/1")
        [line] = served.logged
        assert (line["event"], line["took_ms"], line["status"]) == ("request", 1500.0, 200)


async def test_in_flight_is_what_is_being_answered() -> None:
    door, arrived = asyncio.Event(), asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        arrived.set()
        await door.wait()
        await answer(send)

    async with serving(waiting) as served:
        client = await (await served.connect()).send(head("GET", "/"))
        await arrived.wait()
        assert served.edge.in_flight == 1
        door.set()
        await client.reply()
        assert served.edge.in_flight == 0


async def test_requests_leave_nothing_for_the_garbage_collector() -> None:
    async with serving(shop) as served:
        client = await served.connect()
        await client.get("/products/1")
        gc.collect()
        gc.disable()
        try:
            for _ in range(100):
                await client.get("/products/1")
            assert gc.collect() < 100
        finally:
            gc.enable()


# Around a framework.


@get("/hello")
async def hello(request: Request[Any, Any, Any]) -> dict[str, str]:
    context_of(request.scope).route = "/hello"
    return {"id": context_of(request.scope).request_id}


@post("/length", status_code=200)
async def length(request: Request[Any, Any, Any]) -> int:
    return len(await request.body())


async def test_litestar_behind_the_edge() -> None:
    async with serving(cast("App", Litestar([hello, length], openapi_config=None)), limits=SMALL) as served:
        client = await served.connect()
        reply = await client.get("/hello", "X-Request-Id: abc")
        assert json.loads(reply.body) == {"id": "abc"}
        assert re.fullmatch(r"application/json.*", reply.header("content-type") or "")
        asked = await client.get("/hello", "X-Request-Id: abc", method="HEAD")
        assert (asked.status, asked.header("content-length")) == (200, reply.header("content-length"))
        assert (await chunked(client, "/length", b"a" * 100)).body == b"100"
        assert (await client.get("/nowhere")).status == 404
        assert (await chunked(client, "/length", b"a" * 101)).code == "too-large"
        assert counted(served, "GET", "/hello", 200) == 1


async def test_litestar_and_a_slow_body() -> None:
    app = cast("App", Litestar([length], openapi_config=None))
    async with serving(app, limits=HttpLimits(body_timeout_s=0.1)) as served:
        client = await (await served.connect()).send(head("POST", "/length", "Content-Length: 3"), "ab")
        assert (await client.reply()).code == "request-timeout"
