"""HAProxy by the configuration that we ship: it starts, and what it answers by itself looks like our answers."""

import json
import re
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.proxies.conftest import Place, Reply, Way, reply, until
from tests.servers.proxies import HAPROXY_CONFIG, haproxy

from flashreserve.http.problems import CONTENT_TYPE, KINDS
from flashreserve.rehearsal.servers.ports import free_port

GET = "GET /products/a%22b?c=d HTTP/1.1\r\nHost: shop.test\r\n\r\n"
FILES = 20_000


def problem(answer: Reply) -> tuple[str, str]:
    """The code and instance of an answer that must be a problem document of ours."""
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert answer.headers["cache-control"] == "no-store"
    said = json.loads(answer.body)
    assert set(said) == {"type", "code", "title", "status", "detail", "instance"}
    assert (said["type"], said["title"]) == (f"/problems/{said['code']}", KINDS[said["code"]].title)
    assert said["status"] == answer.status
    return said["code"], said["instance"]


class Vanishing(BaseHTTPRequestHandler):
    """A server that is ready, and goes away whatever it is asked."""

    def do_GET(self) -> None:
        if self.path == "/readyz":
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's own name
        """Say nothing."""


@contextmanager
def vanishing() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Vanishing) as server:
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
    with vanishing() as server, haproxy(tmp_path, server) as port:
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


def test_one_address_cannot_have_all_connections(place: Place) -> None:
    way = place.way("HAProxy")
    most = int(re.findall(r"sc0_conn_cur gt (\d+)", HAPROXY_CONFIG.read_text())[0])
    beyond = 50
    with ExitStack() as stack:
        clients = [stack.enter_context(way.connect()) for _ in range(most + beyond)]
        until(lambda: sum(map(_is_closed, clients)) >= beyond - 8)  # its threads count side by side
        assert not _is_closed(clients[0])
        with socket.create_connection(("127.0.0.1", way.port), 30.0, source_address=("127.0.0.2", 0)) as other:
            other.sendall(b"GET /livez HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            assert reply(other).status == 200


def _is_closed(client: socket.socket) -> bool:
    client.settimeout(0.0)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
