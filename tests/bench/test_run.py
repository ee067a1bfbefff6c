"""The bench itself, as short as it goes: what it says must come from servers whose books balance."""

import json
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from bench.fill import fill
from bench.load import Result

from bench import shops


def test_a_filled_database_audits_clean(tmp_path: Path) -> None:
    env = shops.environment(tmp_path)
    shops.make_admin(env)
    (tmp_path / "products.csv").write_text("name,price,stockQuantity\na,1,1000000\nb,2,1000000\nlast,3,1\n")
    shops.flashreserve(env, "products", "import", str(tmp_path / "products.csv"))

    fill(tmp_path / "flashreserve.db", 5_000)

    books = json.loads(shops.flashreserve(env, "audit", "--json"))
    assert (books["clean"], books["reservations"]) == (True, 5_000)
    database = apsw.Connection(str(tmp_path / "flashreserve.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert database.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'").get == 1
    assert database.execute("SELECT count(*) FROM filed").get == 5_000
    assert database.pragma("integrity_check") == "ok"
    database.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hot", "batches"])
def test_a_short_sitting_comes_to_figures(name: str) -> None:
    command = [sys.executable, "-m", "bench.run", "--only", name, "--seconds", "1", "--rounds", "1", "--json"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    section = json.loads(done.stdout)[name]
    assert section["missing"] == {}
    assert [name for name, case in section["cases"].items() if case["void"] or not case["rounds"][0][0]] == []
    if name == "hot" and sys.platform == "linux":
        assert all(Result(*case["rounds"][0]).server_us > 0 for case in section["cases"].values())
    assert "0 differ" in section["audits"]["SQLite"]
