"""Copies the parts of other projects that the web pages are made of from npm into the repository.

    make vendor

For another version, change tools/vendor/package.json, run `npm install --package-lock-only` beside it, and then this.
The lock file has no address of a registry, so npm asks the one that the machine is set to.

A part is changed only as far as a browser needs it without a build: a bare import becomes a relative one, uPlot's
minified script becomes a module, and references to source maps, which aren't served, are removed. `versions.json`
beside the parts lists their versions, licences and hashes, and a test compares it with the files and with the lock.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

_ROOT: Final = Path(__file__).resolve().parents[1]
_PINS: Final = _ROOT / "tools" / "vendor"
_PAGES: Final = _ROOT / "src" / "flashreserve" / "http" / "static" / "web" / "vendor"
_TESTS: Final = _ROOT / "tests" / "browser" / "vendor"
_SOURCE_MAP: Final = re.compile(r"^(?://# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ \*/)\s*$", re.MULTILINE)


class Part(NamedTuple):
    """One file of a package: where the package has it, its name here, and the change that it needs."""

    package: str
    source: str
    file: str
    change: Callable[[str], str] = str


def _with_relative_import(text: str) -> str:
    changed = text.replace('from"preact"', 'from"./preact.js"')
    if changed == text or '"preact"' in changed:
        raise SystemExit("preact's hooks import preact in another form: change tools/vendor.py")
    return changed


def _as_module(text: str) -> str:
    if not text.rstrip().endswith("}();") or "\nvar uPlot=function(" not in text:
        raise SystemExit("uPlot's minified script has another form: change tools/vendor.py")
    return f"{text.rstrip()}\nexport default uPlot;\n"


FOR_PAGES: Final = (
    Part("preact", "dist/preact.mjs", "preact.js"),
    Part("preact", "hooks/dist/hooks.mjs", "hooks.js", _with_relative_import),
    Part("preact", "LICENSE", "preact.LICENSE.txt"),
    Part("htm", "dist/htm.module.js", "htm.js"),
    Part("htm", "LICENSE", "htm.LICENSE.txt"),
    Part("uplot", "dist/uPlot.iife.min.js", "uplot.js", _as_module),
    Part("uplot", "dist/uPlot.min.css", "uplot.css"),
    Part("uplot", "LICENSE", "uplot.LICENSE.txt"),
)
FOR_TESTS: Final = (
    Part("axe-core", "axe.min.js", "axe.min.js"),
    Part("axe-core", "LICENSE", "axe.LICENSE.txt"),
    Part("axe-core", "LICENSE-3RD-PARTY.txt", "axe.LICENSE-3RD-PARTY.txt"),
)


def main() -> None:
    """Install the packages in a temporary directory, and copy the parts."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        for pin in (".npmrc", "package.json", "package-lock.json"):
            shutil.copy(_PINS / pin, directory)
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit("npm is missing: install Node.js with npm")
        subprocess.run([npm, "ci", "--ignore-scripts", "--silent"], cwd=directory, check=True)
        for parts, target in ((FOR_PAGES, _PAGES), (FOR_TESTS, _TESTS)):
            _write(parts, directory / "node_modules", target)


def _write(parts: tuple[Part, ...], packages: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    listed = json.dumps(list(_copied(parts, packages, target)), indent=2)
    (target / "versions.json").write_text(f"{listed}\n", encoding="utf-8")


def _copied(parts: tuple[Part, ...], packages: Path, target: Path) -> Iterator[dict[str, str]]:
    for part in parts:
        package = json.loads((packages / part.package / "package.json").read_text(encoding="utf-8"))
        text = (packages / part.package / part.source).read_text(encoding="utf-8")
        body = part.change(_SOURCE_MAP.sub("", text)).encode()
        (target / part.file).write_bytes(body)
        yield {
            "name": part.package,
            "version": package["version"],
            "licence": package["license"],
            "file": part.file,
            "sha256": sha256(body).hexdigest(),
        }
        print(f"{part.package} {package['version']}: {part.file}, {len(body)} bytes")


if __name__ == "__main__":
    main()
