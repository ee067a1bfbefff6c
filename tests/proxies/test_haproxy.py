"""HAProxy with the configuration that we ship: it starts, and its own answers have the same form as ours."""

import json
import os
import re
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.cli.conftest import KEYS, CommandShop, Running
from tests.proxies.conftest import ProxyPlace, Reply, Way, reply, until
from tests.servers.proxies import HAPROXY_CONFIG, haproxy, self_signed

from flashreserve.http.problems import CONTENT_TYPE, KINDS
from flashreserve.rehearsal.servers.ports import free_port

GET = "GET /products/a%22b?c=d HTTP/1.1\r\nHost: shop.test\r\n\r\n"
LIVE = "GET /livez HTTP/1.1\r\nHost: shop.test\r\n\r\n"
FILES = 20_000
FRONT_PROXY = "acl front_proxy always_false"
"""The line that docs/clustered.md tells operators to replace."""


def problem(answer: Reply) -> tuple[str, str]:
    """The code and instance of an answer, which must be one of our problem documents."""
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert answer.headers["cache-control"] == "no-store"
    said = json.loads(answer.body)
    assert set(said) == {"type", "code", "title", "status", "detail", "instance"}
    assert (said["type"], said["title"]) == (f"/problems/{said['code']}", KINDS[said["code"]].title)
    assert said["status"] == answer.status
    return said["code"], said["instance"]


class ServerBehindProxy(BaseHTTPRequestHandler):
    """A server that logs nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's own name
        """Log nothing."""


class Vanishing(ServerBehindProxy):
    """A server that is ready, but closes the connection on every request."""

    def do_GET(self) -> None:
        if self.path == "/readyz":
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        self.close_connection = True


class Repeating(ServerBehindProxy):
    """A server that answers with the client address that it was told."""

    def do_GET(self) -> None:
        body = json.dumps([self.headers[f"X-Forwarded-{what}"] for what in ("For", "Proto", "Host")]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[ServerBehindProxy]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_it_starts_where_a_process_may_open_20_000_files(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"a process may open only {hard} files here")

    with haproxy(tmp_path, free_port(), files_max=FILES) as port:
        assert Way(port).ask(GET).status == 503


def test_without_a_server_it_says_in_our_words_that_nothing_was_taken(tmp_path: Path) -> None:
    with haproxy(tmp_path, free_port()) as port:
        answer = Way(port).ask(GET)

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert problem(answer) == ("unavailable", "/products/a%22b")


def test_a_server_that_goes_away_in_the_middle_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    with serving(Vanishing) as server, haproxy(tmp_path, server) as port:
        answer = Way(port).ask(GET)

    assert (answer.status, answer.headers["retry-after"]) == (502, "1")
    assert problem(answer) == ("outcome-unknown", "/products/a%22b")


def test_every_answer_that_can_be_configured_is_a_problem_of_ours() -> None:
    text = HAPROXY_CONFIG.read_text()
    written = {}
    for status, line in re.findall(r"http-error status (\d+) (.*)", text):
        content_type = [("content-type", line.partition("content-type ")[2].partition(" ")[0])]
        written[int(status)] = (content_type + re.findall(r"hdr (\S+) (\S+)", line), line.split("'")[1])

    assert sorted(written) == [400, 408, 500, 502, 503, 504]
    for status, (fields, body) in written.items():
        headers = {name.lower(): value for name, value in fields}
        code, _ = problem(Reply(status, headers, body.encode()))
        assert code == {400: "bad-request", 408: "request-timeout", 500: "internal", 503: "unavailable"}.get(
            status, "outcome-unknown"
        )
        assert ("retry-after" in headers) == (status in {502, 503, 504})


def test_one_address_cannot_have_all_connections(place: ProxyPlace) -> None:
    way = place.way("HAProxy")
    most = int(re.findall(r"sc0_conn_cur gt (\d+)", HAPROXY_CONFIG.read_text())[0])
    beyond = 50
    with ExitStack() as stack:
        clients = [connected(stack, way.port, "127.0.0.1") for _ in range(most + beyond)]
        until(lambda: sum(map(_is_closed, clients)) >= beyond - 8)  # HAProxy's threads count concurrently
        assert not _is_closed(clients[0])
        with socket.create_connection(("127.0.0.1", way.port), 30.0, source_address=("127.0.0.2", 0)) as other:
            other.sendall(b"GET /livez HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            assert reply(other).status == 200


def test_one_site_cannot_have_all_connections_from_its_many_networks(tmp_path: Path) -> None:
    """The same proportions as the real limits, with IPv4 networks in place of a site's IPv6 networks."""
    smaller = {"gt 800": "gt 8", "gt 1600": "gt 16", "ipmask(32,48)": "ipmask(24,48)"}
    with haproxy(tmp_path, free_port(), changes=smaller) as port, ExitStack() as stack:
        clients = [connected(stack, port, f"127.0.1.{number % 4 + 1}") for number in range(24)]
        # 8 of these exceed the limit, but HAProxy's threads count concurrently.
        until(lambda: sum(map(_is_closed, clients)) >= 4)
        other = connected(stack, port, "127.0.2.1")
        assert other is not None
        other.sendall(GET.encode())
        assert reply(other).status == 503  # It has no server.


def test_a_proxy_in_front_may_have_more_connections_than_one_address(tmp_path: Path) -> None:
    smaller = {"gt 800": "gt 8", FRONT_PROXY: "acl front_proxy src 127.0.0.3"}
    with haproxy(tmp_path, free_port(), changes=smaller) as port, ExitStack() as stack:
        of_proxy = [connected(stack, port, "127.0.0.3") for _ in range(24)]
        others = [connected(stack, port, "127.0.0.2") for _ in range(24)]
        until(lambda: sum(map(_is_closed, others)) >= 12)  # HAProxy's threads count concurrently
        assert not any(map(_is_closed, of_proxy))
        newest = connected(stack, port, "127.0.0.3")
        assert newest is not None
        newest.sendall(GET.encode())
        assert reply(newest).status == 503  # It has no server.


@pytest.mark.parametrize(
    ("source", "arrives"),
    [("127.0.0.3", ["203.0.113.9", "https", "shop.test"]), ("127.0.0.2", ["127.0.0.2", "http", None])],
)
def test_only_a_proxy_in_front_is_believed_who_sent_a_request(
    tmp_path: Path, source: str, arrives: list[str | None]
) -> None:
    trusting = {FRONT_PROXY: "acl front_proxy src 127.0.0.3"}
    written = "\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.test\r\n\r\n"
    request = GET.replace("\r\n\r\n", written).encode()

    def ask(port: int) -> Reply:
        with socket.create_connection(("127.0.0.1", port), 30.0, source_address=(source, 0)) as connection:
            connection.sendall(request)
            return reply(connection)

    with serving(Repeating) as server, haproxy(tmp_path, server, changes=trusting) as port:
        until(lambda: ask(port).status == 200)
        assert json.loads(ask(port).body) == arrives


def connected(stack: ExitStack, port: int, source: str) -> socket.socket | None:
    """A connection; None if it was refused before it was established."""
    try:
        return stack.enter_context(socket.create_connection(("127.0.0.1", port), 30.0, source_address=(source, 0)))
    except ConnectionResetError:
        return None


def _is_closed(client: socket.socket | None) -> bool:
    if client is None:
        return True
    client.settimeout(0.0)
    try:
        # MSG_PEEK leaves the data in place, so that a connection with an answer, such as 408, doesn't count as refused.
        return client.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_browsers_that_come_over_tls_are_told_to_stay_there_and_nobody_else(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    own = {name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")}
    settings = {
        "FLASHRESERVE_ENV": "production",
        "FLASHRESERVE_SECRET_KEYS": KEYS,
        "FLASHRESERVE_TRUSTED_PROXIES": "127.0.0.1",
        "FLASHRESERVE_HOSTS": "shop.test",
    }
    (tmp_path / "plain").mkdir()
    with CommandShop(tmp_path, own).start("serve", "--port", "0", **settings) as process:
        try:
            server = int(Running(process).url.rpartition(":")[2])
            with (
                haproxy(tmp_path, server, certificate=certificate) as encrypted,
                haproxy(tmp_path / "plain", server) as plain,
            ):
                over_tls = until(lambda: ask_over_tls(encrypted))
                # The client's own header doesn't count.
                lying = LIVE.replace("\r\n\r\n", "\r\nX-Forwarded-Proto: https\r\n\r\n")
                until(lambda: Way(plain).ask(LIVE).status == 200)
                in_clear = Way(plain).ask(lying)
        finally:
            process.kill()

    assert over_tls.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in in_clear.headers


def ask_over_tls(port: int) -> Reply | None:
    """The server's own answer; None while HAProxy has no server."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=30)) as encrypted:
        encrypted.sendall(LIVE.encode())
        answer = reply(encrypted)
    return answer if answer.status == 200 else None
