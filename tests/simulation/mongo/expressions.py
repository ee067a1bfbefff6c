"""The values of aggregation expressions for one document: the store's operators, and some related ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tests.simulation.mongo.matcher import Document

MISSING: Final = object()
"""The value at a path where there is none. A field set to it isn't set."""

Names = Mapping[str, Any]


def evaluate(expression: Any, document: Document, names: Names) -> Any:
    """The expression's value; `names` holds the variables in scope, such as `$$this`."""
    if isinstance(expression, str):
        return _reference(expression, document, names) if expression.startswith("$") else expression
    if isinstance(expression, list | tuple):
        return [_or_null(evaluate(each, document, names)) for each in expression]
    if not isinstance(expression, Mapping):
        return expression
    if len(expression) == 1:
        ((name, operand),) = expression.items()
        if name.startswith("$"):
            return _apply(name, operand, document, names)
    computed = {field: evaluate(each, document, names) for field, each in expression.items()}
    return {field: value for field, value in computed.items() if value is not MISSING}


def _or_null(value: Any) -> Any:
    return None if value is MISSING else value


def _reference(expression: str, document: Document, names: Names) -> Any:
    if expression.startswith("$$"):
        name, _, rest = expression[2:].partition(".")
        value = document if name in {"ROOT", "CURRENT"} else names[name]
        return _follow(value, rest.split(".")) if rest else value
    return _follow(document, expression[1:].split("."))


def _follow(value: Any, steps: Sequence[str]) -> Any:
    if not steps:
        return value
    if isinstance(value, list):
        found = [_follow(element, steps) for element in value if isinstance(element, dict)]
        return [each for each in found if each is not MISSING]
    if isinstance(value, dict) and steps[0] in value:
        return _follow(value[steps[0]], steps[1:])
    return MISSING


def _apply(name: str, operand: Any, document: Document, names: Names) -> Any:
    special = _SPECIAL.get(name)
    if special is not None:
        return special(operand, document, names)
    operator = _OPERATORS.get(name)
    if operator is None:
        raise NotImplementedError(f"the simulated server has no expression {name}")
    operands = operand if isinstance(operand, list | tuple) else [operand]
    return operator(*[_or_null(evaluate(each, document, names)) for each in operands])


def _if_null(operand: Any, document: Document, names: Names) -> Any:
    value: Any = None
    for each in operand:
        value = evaluate(each, document, names)
        if value is not MISSING and value is not None:
            return value
    return value


def _cond(operand: Any, document: Document, names: Names) -> Any:
    wanted, then, otherwise = operand.values() if isinstance(operand, Mapping) else operand
    return evaluate(then if evaluate(wanted, document, names) else otherwise, document, names)


def _filter(operand: Any, document: Document, names: Names) -> Any:
    elements = evaluate(operand["input"], document, names)
    if elements is MISSING or elements is None:
        return None
    name = operand.get("as", "this")
    return [each for each in elements if evaluate(operand["cond"], document, {**names, name: each})]


def _map(operand: Any, document: Document, names: Names) -> Any:
    elements = evaluate(operand["input"], document, names)
    if elements is MISSING or elements is None:
        return None
    name = operand.get("as", "this")
    return [_or_null(evaluate(operand["in"], document, {**names, name: each})) for each in elements]


def _reduce(operand: Any, document: Document, names: Names) -> Any:
    elements = evaluate(operand["input"], document, names)
    if elements is MISSING or elements is None:
        return None
    value = evaluate(operand["initialValue"], document, names)
    for each in elements:
        value = evaluate(operand["in"], document, {**names, "this": each, "value": value})
    return value


def _let(operand: Any, document: Document, names: Names) -> Any:
    variables = {name: evaluate(each, document, names) for name, each in operand["vars"].items()}
    return evaluate(operand["in"], document, {**names, **variables})


def _numbers(values: Sequence[Any]) -> list[Any]:
    flat = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    return [value for value in flat if isinstance(value, int | float) and not isinstance(value, bool)]


def _add(*values: Any) -> Any:
    return None if None in values else sum(values)


def _largest(*values: Any) -> Any:
    return max((value for value in values if value is not None), default=None)


def _slice(values: list[Any], count: int) -> list[Any]:
    return values[:count] if count >= 0 else values[count:]


def _concat(*lists: Any) -> Any:
    return None if None in lists else [element for each in lists for element in each]


def _merge(*documents: Any) -> Document:
    merged: Document = {}
    for document in documents:
        merged |= document or {}
    return merged


_SPECIAL: Final[dict[str, Callable[[Any, Document, Names], Any]]] = {
    "$literal": lambda operand, _document, _names: operand,
    "$ifNull": _if_null,
    "$cond": _cond,
    "$filter": _filter,
    "$map": _map,
    "$reduce": _reduce,
    "$let": _let,
}
_OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    "$add": _add,
    "$subtract": lambda left, right: None if left is None or right is None else left - right,
    "$max": _largest,
    "$min": lambda *values: min((value for value in values if value is not None), default=None),
    "$sum": lambda *values: sum(_numbers(values)),
    "$size": len,
    "$slice": _slice,
    "$concatArrays": _concat,
    "$mergeObjects": _merge,
    "$eq": lambda left, right: left == right,
    "$ne": lambda left, right: left != right,
    "$gt": lambda left, right: left > right,
    "$gte": lambda left, right: left >= right,
    "$lt": lambda left, right: left < right,
    "$lte": lambda left, right: left <= right,
    "$indexOfArray": lambda values, value: values.index(value) if value in values else -1,
    "$in": lambda value, values: value in values,
    "$and": lambda *values: all(values),
    "$or": lambda *values: any(values),
    "$not": lambda value: not value,
}
