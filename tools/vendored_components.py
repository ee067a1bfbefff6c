"""Adds the parts of other projects in the web pages to a list of components (CycloneDX).

    python tools/vendored_components.py LIST VERSIONS

LIST is the file that cyclonedx-py wrote from the pins of Python packages, VERSIONS the one that tools/vendor.py wrote.
"""

import json
import sys
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any


def main(listed: str, versions: str) -> int:
    """Write the list anew with the parts. Returns the number of packages that they are from."""
    path = Path(listed)
    bom = json.loads(path.read_text(encoding="utf-8"))
    parts = sorted(json.loads(Path(versions).read_text(encoding="utf-8")), key=itemgetter("name", "file"))
    packages = [_component(list(group)) for _, group in groupby(parts, key=itemgetter("name"))]
    bom["components"] += packages
    bom["dependencies"] += [{"ref": package["bom-ref"]} for package in packages]
    path.write_text(json.dumps(bom, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return len(packages)


def _component(parts: list[dict[str, str]]) -> dict[str, Any]:
    """A package, with our files of it, because some differ from the package's."""
    package = parts[0]
    return {
        "type": "library",
        "bom-ref": f"vendored-{package['name']}",
        "name": package["name"],
        "version": package["version"],
        "purl": f"pkg:npm/{package['name']}@{package['version']}",
        "licenses": [{"license": {"acknowledgement": "declared", "id": package["licence"]}}],
        "components": [
            {"type": "file", "name": part["file"], "hashes": [{"alg": "SHA-256", "content": part["sha256"]}]}
            for part in parts
        ],
    }


if __name__ == "__main__":
    print(f"{main(*sys.argv[1:])} packages of the web pages are added to the list.")
