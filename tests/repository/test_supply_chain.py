"""The service's dependencies: their list, and the search for known vulnerabilities if an index answers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def test_ci_looks_at_the_components_before_it_checks_anything_else(root: Path) -> None:
    script = (root / ".ci" / "run").read_text()

    assert 0 < script.index("make supply-chain") < script.index("make check")


def test_every_component_is_listed_with_its_hashes_and_offline_the_rest_is_skipped_in_words(root: Path) -> None:
    if not (root / ".venv" / ".supply-chain").exists():
        pytest.skip("the tools aren't installed: run make supply-chain")
    # No server listens at port 1.
    environment = {"PATH": os.environ["PATH"], "HTTPS_PROXY": "http://127.0.0.1:1"}
    command = [str(root / "tools" / "supply_chain.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert "pip-audit is skipped: the index of packages can't be asked from here." in done.stdout
    components = json.loads((root / "build" / "components.cdx.json").read_text())
    assert components["bomFormat"] == "CycloneDX"
    assert components["metadata"]["component"]["name"] == "flashreserve"
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)", (root / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    listed = components["components"]
    packages = [each for each in listed if each["purl"].startswith("pkg:pypi/")]
    vendored = {each["purl"]: [file["name"] for file in each["components"]] for each in listed if each not in packages}
    assert sorted((each["name"], each["version"]) for each in packages) == sorted(pins)
    assert all(each["externalReferences"][0]["hashes"] for each in packages)
    assert {purl.partition("@")[0] for purl in vendored} == {"pkg:npm/htm", "pkg:npm/preact", "pkg:npm/uplot"}
    assert {"hooks.js", "preact.js"} <= {name for names in vendored.values() for name in names}


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        ('{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}', 0, "no known vulnerabilities"),
        ('{"dependencies": [{"name": "a", "skip_reason": "not found"}]}', 0, "pip-audit is skipped"),
        (
            '{"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]}',
            1,
            "a 1: CVE-1, mended in ['2']",
        ),
        (
            '{"dependencies": [{"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}]}',
            1,
            "not looked up: b",
        ),
    ],
)
def test_a_look_that_found_nothing_is_told_from_one_that_saw_nothing(
    root: Path, tmp_path: Path, said: str, code: int, expected: str
) -> None:
    pip_audit = tmp_path / "pip-audit"
    pip_audit.write_text(f"#!/bin/sh\necho '{said}'\n")
    pip_audit.chmod(0o755)
    command = [sys.executable, str(root / "tools" / "known_vulnerabilities.py"), str(pip_audit), "pins.txt"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, expected in done.stdout) == (code, True), done.stdout
