"""The sources of the proof: the code that decides what a seed's result is, and a digest that names it.

The digest is of the code's syntax tree, without comments, docstrings and layout. So a proof that took hours stays the
proof of a program whose comments are edited afterwards.
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import flashreserve

PLAYED: Final = (
    "core",
    "jobs",
    "stores",
    "bootstrap/watchdog.py",
    "bootstrap/work.py",
    "service/catalogue.py",
    "service/deliveries.py",
    "service/fan_out.py",
    "service/pauses.py",
    "service/reservations.py",
    "calls.py",
    "clock.py",
    "combiner.py",
    "siblings.py",
    "side_by_side.py",
    "stock_view.py",
    "webhooks/attempts.py",
    "webhooks/backoff.py",
    "webhooks/signatures.py",
)
"""The parts of the package that a seed runs. The rest (HTTP, accounts, settings, commands) can't change its result."""

_TESTS: Final = Path(__file__).parents[1]
_PACKAGE: Final = Path(flashreserve.__file__).parent


def digest_of_sources() -> str:
    """A digest of the service's played parts, the simulation and the auditor."""
    parts = [_PACKAGE / part for part in PLAYED] + [_TESTS / "simulation", _TESTS / "proof"]
    played = [path for part in parts for path in ([part] if part.is_file() else part.rglob("*.py"))]
    code = (code_of(path.read_text("utf-8")) for path in sorted(played) if not path.name.startswith("test_"))
    return hashlib.sha256("\n".join(code).encode()).hexdigest()[:16]


def code_of(source: str) -> str:
    """The code of a module as a text that is equal for equal code, whatever its comments, docstrings and layout."""
    return " ".join(_code_of_node(ast.parse(source)))


def _code_of_node(node: object) -> Iterator[str]:
    """The node's kind and its fields; empty ones are left out, since which of them there are depends on Python."""
    if isinstance(node, list):
        yield "["
        for each in node:
            if not _is_docstring(each):
                yield from _code_of_node(each)
        yield "]"
    elif isinstance(node, ast.AST):
        yield f"{type(node).__name__}("
        for name, value in ast.iter_fields(node):
            if value is not None and value != []:
                yield f"{name}="
                yield from _code_of_node(value)
        yield ")"
    else:
        yield repr(node)


def _is_docstring(node: object) -> bool:
    """Whether the node is a text that stands as a statement: a docstring of a module, class, function or constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
