"""Commands start fast, because each imports only the modules that it uses."""

import subprocess
import sys

import pytest
from tests.cli.conftest import CommandShop

HEAVY = {"bullmq", "litestar", "pymongo", "redis", "uvloop"}


@pytest.mark.parametrize("line", ["--version", "--help", "audit", "products list", "sweep", "token"])
def test_a_command_imports_only_what_it_uses(shop: CommandShop, line: str) -> None:
    shop.stock()
    program = "import sys; from flashreserve.__main__ import main\ntry: main()\nfinally: print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program, *line.split()],
        cwd=shop.directory,
        env=shop.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert HEAVY & set(done.stdout.splitlines()[-1].split()) == set()
