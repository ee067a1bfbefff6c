"""The generators of API clients that `make clients` installs, and the commands that a shop would give them."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PYTHON_TOOLS: Final = ROOT / ".venv" / "clients" / "python" / "bin"
PYTHON: Final = PYTHON_TOOLS / "python"
NODE_MODULES: Final = ROOT / ".venv" / "clients" / "typescript" / "node_modules"
PROGRAMS: Final = Path(__file__).parent
PACKAGE: Final = "flash_reserve_client"
"""The Python package's name, which its generator makes from the document's title."""

TOOL_S: Final = 100.0


def require_generators() -> None:
    """Skip the test if `make clients` hasn't been run."""
    if not (ROOT / ".venv" / ".clients").exists():
        pytest.skip("the generators of clients aren't installed: run make clients")


def run(command: Sequence[str | Path], folder: Path, **variables: str) -> str:
    """Run the command in the folder, with the generators on PATH. Returns all that it printed.

    Raises:
        AssertionError: it failed; the message has the output.
    """
    path = os.pathsep.join((str(PYTHON_TOOLS), str(NODE_MODULES / ".bin"), os.environ["PATH"]))
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "200", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TOOL_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def python_client(document: str, folder: Path) -> Path:
    """Make the Python client from the document, which is a URL or a file. Returns the folder that its package is in.

    Raises:
        AssertionError: the generator dropped something, and warned of it.
    """
    source = "--url" if "://" in document else "--path"
    made = folder / "client"
    said = run(["openapi-python-client", "generate", source, document, "--output-path", made], folder)
    # The generator prints a warning, and ends well, when it drops an answer that it can't express.
    assert said.split() == ["Generating", str(made)], said
    return made


def typescript_client(document: str, folder: Path) -> None:
    """Make the types from the document, and compile the program that uses them: the folder then has `purchase.js`.

    Raises:
        AssertionError: the compiler found a mistake in the types, or in how the program uses them.
    """
    for name in ("package.json", "tsconfig.json", "purchase.ts"):
        (folder / name).write_bytes((PROGRAMS / "typescript" / name).read_bytes())
    (folder / "node_modules").symlink_to(NODE_MODULES)
    run(["openapi-typescript", document, "--output", "flashreserve.ts"], folder)
    run(["tsc", "--project", "."], folder)


def answers_without_a_class(document: dict[str, Any], made: Path) -> list[str]:
    """The documented answers that have a body, and that the Python client has no code for."""
    modules = {path.stem: path.read_text(encoding="utf-8") for path in (made / PACKAGE / "api").rglob("*.py")}
    return [
        f"{operation['operationId']} {status}"
        for methods in document["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if _has_body(document, answer)
        and not re.search(rf"    response_{status} = (?!cast\(Any, None\))", modules[_module(operation)])
    ]


def _has_body(document: dict[str, Any], answer: dict[str, Any]) -> bool:
    name = answer.get("$ref", "").rpartition("/")[2]
    return "content" in (document["components"]["responses"][name] if name else answer)


def _module(operation: dict[str, Any]) -> str:
    return re.sub(r"([A-Z])", lambda letter: f"_{letter[1].lower()}", operation["operationId"])
