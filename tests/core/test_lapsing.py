"""Only `holds.has_lapsed` decides when a hold is over. Each store has the same condition once, for its queries."""

import ast
import operator
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import apsw
import pytest

import flashreserve
from flashreserve.core.holds import has_lapsed
from flashreserve.stores.mongo import documents
from flashreserve.stores.sqlite import rows

PACKAGE: Final = Path(flashreserve.__file__).parent
PLACES: Final = ["core/holds.py: expires_at <= now", "stores/sqlite/rows.py: 'expires_at <= '"]
_OF_OTHERS: Final = ("auth/", "cli/keys.py", "service/access.py", "stores/memory_accounts.py")
"""Modules that compare the ends of tokens, API keys and reset codes."""
_NO_TIME: Final = '"expires_at": {"$gt": 0}}'
"""A condition of every hold, by which MongoDB finds the index of holds."""
_ORDERS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)

around = pytest.mark.parametrize("now", [99, 100, 101])


def test_nothing_else_compares_the_end_of_a_hold_with_the_time() -> None:
    found = [f"{path.relative_to(PACKAGE)}: {each}" for path in PACKAGE.rglob("*.py") for each in comparisons(path)]
    assert sorted(each for each in found if not each.startswith(_OF_OTHERS)) == PLACES


def comparisons(path: Path) -> Iterator[str]:
    """Comparisons of `expires_at` in Python, in SQL, and in MongoDB's queries."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], _ORDERS) and "expires_at" in ast.unparse(node):
            yield ast.unparse(node)
        text = str(node.value) if isinstance(node, ast.Constant) else ""
        if re.search(r"(?<!`)expires_at [<>]", text) and "FROM reset_codes" not in text:
            yield ast.unparse(node)
    yield from (each for each in re.findall(r"""["']expires_at["']: {["']\$[lg]te?.*""", source) if each != _NO_TIME)


@around
def test_sqlite_has_the_same_condition(now: int) -> None:
    hold = "(SELECT 100 AS expires_at)"
    found = apsw.Connection(":memory:").execute(f"SELECT {rows._HAS_LAPSED} FROM {hold}", (now,)).get  # noqa: S608
    assert bool(found) is has_lapsed(100, now)


@around
def test_mongodb_has_the_same_condition(now: int) -> None:
    orders: dict[str, Callable[[int, int], bool]] = {"$lte": operator.le, "$gt": operator.gt}
    ((lapsed, bound),) = documents.lapsed(now).items()
    ((not_lapsed, _),) = documents.not_lapsed(now).items()
    assert orders[lapsed](100, bound) is has_lapsed(100, now)
    assert orders[not_lapsed](100, bound) is not has_lapsed(100, now)
