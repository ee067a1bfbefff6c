"""HAProxy, with the configuration that we ship, and nginx, in front of servers on this machine."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from flashreserve.rehearsal.servers.ports import free_port

START_S: Final = 30.0
HAPROXY_CONFIG: Final = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
_NGINX_CONFIG: Final = Path(__file__).with_name("nginx.conf")
_NGINX_PREFIX_CONFIG: Final = Path(__file__).with_name("nginx_prefix.conf")
# Debian installs them in directories that only root's PATH has.
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(program: str) -> str | None:
    """The program's path; None if it isn't installed."""
    return shutil.which(program) or shutil.which(program, path=_PATH)


def require(program: str) -> str:
    """The program's path; without it, the test is skipped."""
    found = find(program)
    if found is None:
        pytest.skip(f"there is no {program} on this machine: apt-get install {program}")
    return found


def haproxy_config(upstreams: Sequence[int], port: int, health_port: int) -> str:
    """Our configuration with addresses on this machine in place of Compose's."""
    servers = "\n    ".join(f"server api{n} 127.0.0.1:{upstream}" for n, upstream in enumerate(upstreams))
    text = HAPROXY_CONFIG.read_text()
    for pattern, replacement in (
        (r"bind :8080", f"bind 127.0.0.1:{port}"),
        (r"bind 127\.0\.0\.1:8081", f"bind 127.0.0.1:{health_port}"),
        (r"resolvers docker\n(    .*\n)+", ""),
        (r" resolvers docker init-addr none", ""),
        (r"server-template api 16 api:3000", servers),
    ):
        text, count = re.subn(pattern, replacement, text)
        assert count == 1, pattern
    return text


@contextmanager
def haproxy(
    directory: Path,
    *upstreams: int,
    files_max: int | None = None,
    certificate: Path | None = None,
    changes: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """HAProxy in front of servers on these ports; yields its own port. With a `certificate` (and its key), it uses TLS.

    It may open `files_max` files. `changes` replaces words of the configuration, each of which occurs once.
    """
    program, port = require("haproxy"), free_port()
    file = directory / "haproxy.cfg"
    text = haproxy_config(upstreams, port, free_port())
    if certificate is not None:
        text = text.replace(f"bind 127.0.0.1:{port}", f"bind 127.0.0.1:{port} ssl crt {certificate}")
    for word, replacement in (changes or {}).items():
        assert text.count(word) == 1, word
        text = text.replace(word, replacement)
    file.write_text(text)
    limited = [] if files_max is None else ["sh", "-c", f'ulimit -n {files_max} && exec "$@"', "sh"]
    with _running([*limited, program, "-db", "-f", str(file)], directory, port):
        yield port


@contextmanager
def nginx(directory: Path, upstream: int) -> Iterator[Mapping[str, int]]:
    """Nginx in front of a server; its ports by how they take requests: `buffered`, the default, and `unbuffered`."""
    ports = {"buffered": free_port(), "unbuffered": free_port()}
    addresses = {name.upper(): f"127.0.0.1:{port}" for name, port in ports.items()}
    words = {"UPSTREAM": f"127.0.0.1:{upstream}", **addresses}
    with _nginx_running(directory, _NGINX_CONFIG, words, *ports.values()):
        yield ports


@contextmanager
def nginx_under_prefix(
    directory: Path, upstream: int, prefix: str, *, strips: bool, certificate: Path | None = None
) -> Iterator[int]:
    """Nginx that shows a server under a path, and strips that path or keeps it; yields its port.

    With a `certificate` (and its key, in the same file), it uses TLS.
    """
    port = free_port()
    words = {
        "LISTEN": f"127.0.0.1:{port}" + (" ssl" if certificate else ""),
        "CERTIFICATE": f"ssl_certificate {certificate}; ssl_certificate_key {certificate};" if certificate else "",
        "PREFIX": prefix,
        "UPSTREAM": f"127.0.0.1:{upstream}" + ("/" if strips else ""),
    }
    with _nginx_running(directory, _NGINX_PREFIX_CONFIG, words, port):
        yield port


@contextmanager
def _nginx_running(directory: Path, config: Path, words: Mapping[str, str], *ports: int) -> Iterator[None]:
    program = require("nginx")
    text = config.read_text()
    for word, replacement in words.items():
        text = text.replace(f"%{word}%", replacement)
    file = directory / "nginx.conf"
    file.write_text(text)
    with _running([program, "-p", str(directory), "-c", str(file), "-e", "stderr"], directory, *ports):
        yield


def self_signed(directory: Path) -> Path:
    """A certificate that nobody has signed, and its key, in one file."""
    words = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=shop.test -keyout shop.pem -out certificate"
    subprocess.run([require("openssl"), *words.split()], cwd=directory, check=True, capture_output=True)
    file = directory / "shop.pem"
    with file.open("a") as both:
        both.write((directory / "certificate").read_text())
    return file


@contextmanager
def _running(command: Sequence[str], directory: Path, *ports: int) -> Iterator[None]:
    log = directory / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=directory) as process:
        try:
            end = time.monotonic() + START_S
            while not all(_listens(port) for port in ports):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait(START_S)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
