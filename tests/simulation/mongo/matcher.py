"""The matcher decides whether a document matches a query, as MongoDB does. It knows the store's operators only.

Anything else raises NotImplementedError, so that the simulation never reads a query in another way than a real server.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Document = dict[str, Any]
_PLAIN: Final = (str, int)


def matches(document: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    """Whether the document meets every condition of the query."""
    for path, condition in query.items():
        value = document.get(path)
        if isinstance(value, _PLAIN) and not isinstance(condition, dict):  # By far the most frequent case.
            if value != condition:
                return False
        elif path[0] == "$":
            if not _LOGICAL[path](document, condition):
                return False
        elif not _meets(values_at(document, path), condition):
            return False
    return True


def values_at(document: Any, path: str) -> list[Any]:
    """The values at the path: none, one, or several if the path leads through a list."""
    if "." not in path:
        return [document[path]] if path in document else []
    return _walk(document, path.split("."))


def _walk(value: Any, steps: Sequence[str]) -> list[Any]:
    if not steps:
        return [value]
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        return _walk(value[step], rest) if step in value else []
    if isinstance(value, list):
        found = [each for element in value if isinstance(element, dict) for each in _walk(element, steps)]
        if step.isdecimal() and int(step) < len(value):
            found += _walk(value[int(step)], rest)
        return found
    return []


def is_operators(condition: Any) -> bool:
    """Whether the condition consists of operators; otherwise it is a value to compare with."""
    return isinstance(condition, dict) and bool(condition) and next(iter(condition))[0] == "$"


def _meets(found: list[Any], condition: Any) -> bool:
    if not is_operators(condition):
        return _equals_any(found, condition)
    for name, operand in condition.items():
        operator = _OPERATORS.get(name)
        if operator is None:
            raise NotImplementedError(f"the simulated server has no query operator {name}")
        if not operator(found, operand):
            return False
    return True


def element_meets(element: Any, condition: Any) -> bool:
    """Whether one element of a list meets a condition of `$elemMatch` or `$pull`."""
    if is_operators(condition):
        return _meets([element], condition)
    if isinstance(condition, dict):
        return isinstance(element, dict) and matches(element, condition)
    return bool(element == condition)


def _with_elements(found: list[Any]) -> list[Any]:
    """The values, plus the elements of those that are lists: an operator tests all of them."""
    for value in found:
        if isinstance(value, list):
            return [*found, *(element for each in found if isinstance(each, list) for element in each)]
    return found


def _equals_any(found: list[Any], wanted: Any) -> bool:
    if wanted is None:
        return not found or None in _with_elements(found)
    return wanted in _with_elements(found)


def _compares(compare: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    def operator(found: list[Any], operand: Any) -> bool:
        return any(_same_kind(value, operand) and compare(value, operand) for value in _with_elements(found))

    return operator


def _same_kind(value: Any, operand: Any) -> bool:
    """Only values of one kind compare: numbers with numbers, strings with strings."""
    if isinstance(value, bool) or isinstance(operand, bool):
        return isinstance(value, bool) and isinstance(operand, bool)
    if isinstance(value, int | float):
        return isinstance(operand, int | float)
    return isinstance(value, str) and isinstance(operand, str)


def _is_in(found: list[Any], operand: Sequence[Any]) -> bool:
    return any(_equals_any(found, wanted) for wanted in operand)


def _has_type(found: list[Any], operand: Any) -> bool:
    kind = _TYPES[operand]
    return any(isinstance(value, kind) for value in _with_elements(found))


def _element_matches(found: list[Any], condition: Any) -> bool:
    return any(isinstance(value, list) and any(element_meets(each, condition) for each in value) for value in found)


def _fits_pattern(found: list[Any], pattern: str) -> bool:
    return any(isinstance(value, str) and re.search(pattern, value) for value in _with_elements(found))


_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str,
    "number": (int, float),
    "array": list,
    "object": dict,
}
_OPERATORS: Final[dict[str, Callable[[list[Any], Any], bool]]] = {
    "$eq": _equals_any,
    "$ne": lambda found, operand: not _equals_any(found, operand),
    "$in": _is_in,
    "$nin": lambda found, operand: not _is_in(found, operand),
    "$gt": _compares(lambda value, operand: bool(value > operand)),
    "$gte": _compares(lambda value, operand: bool(value >= operand)),
    "$lt": _compares(lambda value, operand: bool(value < operand)),
    "$lte": _compares(lambda value, operand: bool(value <= operand)),
    "$exists": lambda found, operand: bool(found) == bool(operand),
    "$type": _has_type,
    "$elemMatch": _element_matches,
    "$regex": _fits_pattern,
    "$size": lambda found, operand: any(isinstance(value, list) and len(value) == operand for value in found),
    "$not": lambda found, operand: not _meets(found, operand),
}
_LOGICAL: Final[dict[str, Callable[[Mapping[str, Any], Any], bool]]] = {
    "$and": lambda document, queries: all(matches(document, query) for query in queries),
    "$or": lambda document, queries: any(matches(document, query) for query in queries),
    "$nor": lambda document, queries: not any(matches(document, query) for query in queries),
}
