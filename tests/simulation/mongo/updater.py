"""The updater applies an update to a document. The old document never changes: readers keep what they read."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tests.simulation.mongo.expressions import MISSING, evaluate
from tests.simulation.mongo.matcher import Document, element_meets


class UpdateRefusedError(Exception):
    """The server can't carry out the update."""


def updated(document: Document, query: Mapping[str, Any], update: Any) -> Document:
    """The document after the update. `query` is the query that found it; it decides the place of `$`."""
    if not isinstance(update, Mapping):
        return _through_pipeline(document, update)
    after = dict(document)
    touched: list[str] = []
    for name, changes in update.items():
        change = _CHANGES.get(name)
        if change is None:
            raise NotImplementedError(f"the simulated server has no update operator {name}")
        for path, operand in changes.items():
            _refuse_conflict(touched, path)
            place = _position(document, query, path) if ".$" in path else path
            _change_at(after, place.split("."), change, operand)
    return after


def _refuse_conflict(touched: list[str], path: str) -> None:
    for other in touched:
        if path == other or path.startswith(other + ".") or other.startswith(path + "."):
            raise UpdateRefusedError(f"updating the path '{path}' would create a conflict at '{other}'")
    touched.append(path)


def _position(document: Document, query: Mapping[str, Any], path: str) -> str:
    """The path with its `$` replaced by the place of the first element that the query's `$elemMatch` found."""
    field, _, rest = path.partition(".$")
    if rest[:1] not in {"", "."} or ".$" in rest or "." in field:
        raise NotImplementedError(f"the simulated server has no place {path}")
    condition = query[field]["$elemMatch"]
    place = next(at for at, element in enumerate(document[field]) if element_meets(element, condition))
    return f"{field}.{place}{rest}"


def _change_at(container: Any, steps: Sequence[str], change: Callable[[Any, Any], Any], operand: Any) -> None:
    """Change the value at the path within `container`, which is a copy, and copy the containers on the way."""
    step: Any = steps[0]
    if isinstance(container, list):
        step = int(step)
        before = container[step]
    else:
        before = container.get(step, MISSING)
    if len(steps) > 1:
        inner = {} if before is MISSING else before.copy()
        _change_at(inner, steps[1:], change, operand)
        container[step] = inner
        return
    after = change(before, operand)
    if after is MISSING:
        container.pop(step, None)
    else:
        container[step] = after


def _push(before: Any, operand: Any) -> list[Any]:
    if isinstance(operand, Mapping) and any(name.startswith("$") for name in operand):
        unknown = operand.keys() - {"$each", "$slice"}
        if unknown:
            raise NotImplementedError(f"the simulated server can't push with {sorted(unknown)}")
        after = [*([] if before is MISSING else before), *operand["$each"]]
        kept = operand.get("$slice", len(after))
        return after[:kept] if kept >= 0 else after[kept:]
    return [operand] if before is MISSING else [*before, operand]


def _pull(before: Any, condition: Any) -> Any:
    if before is MISSING:
        return MISSING
    return [element for element in before if not element_meets(element, condition)]


def _bounded(better: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    return lambda before, operand: operand if before is MISSING or better(operand, before) else before


_CHANGES: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "$set": lambda _before, operand: operand,
    "$unset": lambda _before, _operand: MISSING,
    "$inc": lambda before, operand: operand if before is MISSING else before + operand,
    "$max": _bounded(operator.gt),
    "$min": _bounded(operator.lt),
    "$push": _push,
    "$pull": _pull,
}


def _through_pipeline(document: Document, pipeline: Sequence[Mapping[str, Any]]) -> Document:
    for stage in pipeline:
        ((name, fields),) = stage.items()
        if name == "$unset":
            gone = {fields} if isinstance(fields, str) else set(fields)
            document = {field: value for field, value in document.items() if field not in gone}
            continue
        if name not in {"$set", "$addFields"}:
            raise NotImplementedError(f"the simulated server has no update stage {name}")
        computed = {path: evaluate(expression, document, {}) for path, expression in fields.items()}
        document = dict(document)
        for path, value in computed.items():
            if "." in path:
                raise NotImplementedError("the simulated server sets whole fields in a pipeline")
            if value is MISSING:
                document.pop(path, None)
            else:
                document[path] = value
    return document
