import json
import re
from pathlib import Path

PEERS = Path(__file__).parents[2] / "bench" / "peers"
PIN = re.compile(r"[a-z0-9-]+==\S+(?: ; [^\\]+?)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n")


def test_the_python_peers_pins_are_exact_versions_with_hashes_and_nothing_else() -> None:
    text = (PEERS / "requirements.txt").read_text()

    assert PIN.sub("", text) == ""
    assert {"asyncpg", "fastapi", "redis"} <= {line.partition("==")[0] for line in text.splitlines()}


def test_the_node_peers_pins_have_checksums_and_no_address() -> None:
    package = json.loads((PEERS / "express" / "package.json").read_text())
    locked = json.loads((PEERS / "express" / "package-lock.json").read_text())["packages"]
    installed = {path: entry for path, entry in locked.items() if path}

    assert all(re.fullmatch(r"[\d.]+", version) for version in package["dependencies"].values())
    assert locked[""]["dependencies"] == package["dependencies"]
    assert [path for path, entry in installed.items() if "resolved" in entry or "integrity" not in entry] == []
