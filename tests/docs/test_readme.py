"""The README's tour runs unchanged in bash, against a server of its own."""

import json
import re
import shutil
import socket
import sys
from pathlib import Path

import pytest
from tests.docs.shell import run_as_reader

ROOT = Path(__file__).parents[2]
PORT_IN_README = "3000"


def tour() -> str:
    """The shell blocks after the set-up."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh(?: \w+)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks[0].startswith("make demo"), "the first two commands are the whole set-up"
    assert re.findall(r"^make \w+", blocks[0], re.MULTILINE) == ["make demo", "make test"]
    return "\n".join(blocks[1:])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_tour_does_what_the_readme_says(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    (tmp_path / ".venv").symlink_to(sys.prefix)
    script = "set -euo pipefail\ntrap 'kill %1 && wait' EXIT\n" + tour().replace(PORT_IN_README, port)
    # Each answer on a line of its own.
    script = 'curl() { command curl "$@" && echo; }\n' + script
    printed = run_as_reader(script, folder=tmp_path, port=port, timeout_s=90)
    answers = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    ready, admin, product, ann, login, limit, stock, replayed, bought = answers
    assert ready == {"status": "ok"}
    assert admin["token"]
    assert login["token"]
    assert (product["price"], product["available"]) == ("999.99", 10)
    assert (ann["email"], ann["role"]) == ("ann@example.com", "customer")
    assert (limit["status"], limit["code"]) == (409, "limit-reached")
    assert stock["available"] == 8
    assert replayed["status"] == "PENDING"
    assert (bought["id"], bought["status"]) == (replayed["id"], "CONFIRMED")
