"""Descriptions of the expected form of a value, and of the reason why a value is invalid.

They are made from the type, so that no library's messages reach clients and operators.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from flashreserve.suggestions import unknown

FOUND: Final[Mapping[str, str]] = {
    "str": "text",
    "int": "a whole number",
    "float": "a number that isn't whole",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
"""Descriptions of the kinds of JSON values, by msgspec's names of them."""

NAME_SHOWN_MAX: Final = 100
"""Letters of an unknown field's name that are shown."""


def expected(kind: types.Type) -> str:  # noqa: C901, PLR0912 - one match, on purpose
    """The description of this type's values, such as `a whole number from 1 to 1000`.

    A type may say it itself, as `extra={"expected": …}` of its `Meta`.
    """
    match kind:
        case types.Metadata(type=inner, extra=extra):
            return (extra or {}).get("expected") or expected(inner)
        case types.UnionType(types=members):
            words = " or ".join(expected(each) for each in members if not isinstance(each, types.NoneType))
            return f"{words}, or null" if any(isinstance(each, types.NoneType) for each in members) else words
        case types.IntType(ge=low, le=high):
            return "a whole number" + _bounds(low, high)
        case types.FloatType() | types.DecimalType():
            return "a number"
        case types.StrType(min_length=low, max_length=high):
            return "text" + _length(low, high, "characters")
        case types.ListType(min_length=low, max_length=high) | types.VarTupleType(min_length=low, max_length=high):
            return "a list" + _length(low, high, "entries")
        case types.DictType(min_length=low, max_length=high):
            return "an object" + _length(low, high, "fields")
        case types.LiteralType(values=values):
            return " or ".join(map(str, values))
        case types.EnumType(cls=cls):
            return " or ".join(str(member.value) for member in cls)
        case types.BoolType():
            return "true or false"
        case types.NoneType():
            return "null"
        case types.UUIDType():
            return "a UUID"
        case types.DateTimeType():
            return A_TIME
        case types.StructType():
            return "an object"
        case _:
            return "another value"


A_TIME: Final = "a time with its zone, such as 2026-11-27T10:00:00+01:00"


def _bounds(low: int | None, high: int | None) -> str:
    if low is None:
        return "" if high is None else f" of at most {high}"
    return f" of at least {low}" if high is None else f" from {low} to {high}"


def _length(low: int | None, high: int | None, units: str) -> str:
    if not low:
        return "" if high is None else f" of at most {high} {units}"
    return f" of at least {low} {units}" if high is None else f" of {low} to {high} {units}"


def why_not(value: object, kind: Any, *, strict: bool = True) -> str:
    """The reason why the value isn't of this kind, such as `lines[0].quantity: expected a whole number; found text`.

    It repeats nothing of the value but names of fields. `msgspec.convert` must refuse the value, as `strict` as here.
    """
    try:
        msgspec.convert([value], list[kind], strict=strict)
    except msgspec.ValidationError as error:
        place, message = unmet(str(error), kind)
        return f"{place}: {message}" if place else message
    raise AssertionError("a value is invalid by itself and valid in a list")


def unmet(text: str, kind: Any) -> tuple[str, str]:
    """Where and why a value isn't of this kind, in our own words. `text` is msgspec's message about it.

    The place is a path such as `lines[0].quantity`; it is empty for the whole value.

    `text` must be about a list of this one value: ``Expected `int`, got `str` - at `$[0].lines[0].quantity` ``, or
    ``Object contains unknown field `x` - at `$[0]` ``. msgspec names no place for a fault of the whole value, so a
    field named ``x` - at `$.y`` could forge one. In a list, every message ends with the place that msgspec wrote.
    """
    found = _FAULT.fullmatch(text)
    assert found is not None  # noqa: S101 - every message about a list's entry tells its place
    path = found["path"].removeprefix(".")
    part = part_at(_type_of(kind), path)
    if found["unknown"] is not None:
        name = found["unknown"][:NAME_SHOWN_MAX]
        return _within(path, shown_name(name)), unknown("field", name, names_of(part))
    if found["missing"] is not None:
        needed = part and part_at(part, found["missing"])
        return _within(path, found["missing"]), f"missing; expected {_expected(needed)}"
    sent = FOUND.get(found["got"])
    return path, f"expected {_expected(part)}" + (f"; found {sent}" if sent else "")


def _within(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def shown_name(name: str) -> str:
    """A field's name as it was sent; in quotes where it could be taken for another place, or for none."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)


_PLAIN_NAME: Final = re.compile(r"[\w-]+")


_type_of: Final = lru_cache(maxsize=64)(types.type_info)


def _expected(part: types.Type | None) -> str:
    return "another value" if part is None else expected(part)


_FAULT: Final = re.compile(
    r"(?:Object contains unknown field `(?P<unknown>.*)`"
    r"|Object missing required field `(?P<missing>[^`]*)`"
    r"|Expected [^\n]*, got `(?P<got>\w+)`"
    r"|.*)"
    r" - at (?:`key` in )?`\$\[0\](?P<path>[^`]*)`",
    re.DOTALL,
)


def part_at(kind: types.Type, path: str) -> types.Type | None:
    """The type at a path such as `lines[0].quantity` of a body; None where the path leads to no single type."""
    part: types.Type | None = kind
    for step in _STEP.findall(path):
        part = _inner(part, step)
    return part


_STEP: Final = re.compile(r"\[[^\]]*\]|[^.\[]+")


def _inner(kind: types.Type | None, step: str) -> types.Type | None:
    match kind:
        case types.Metadata(type=inner):
            return _inner(inner, step)
        case types.UnionType(types=members):
            return next(filter(None, (_inner(each, step) for each in members)), None)
        case types.StructType(fields=fields):
            return next((field.type for field in fields if field.encode_name == step), None)
        case types.ListType(item_type=item) | types.VarTupleType(item_type=item) if step.startswith("["):
            return item
        case types.DictType(value_type=item) if step.startswith("["):
            return item
        case _:
            return None


def names_of(kind: types.Type | None) -> list[str]:
    """The fields that an object of this type may have."""
    return [field.encode_name for field in _fields(kind)]


def expectations(kind: Any) -> dict[str, str]:
    """The description of each field of a struct; null is left out."""
    return {field.encode_name: expected(_without_null(field.type)) for field in _fields(types.type_info(kind))}


def _fields(kind: types.Type | None) -> tuple[types.Field, ...]:
    if isinstance(kind, types.UnionType):
        return next(filter(None, map(_fields, kind.types)), ())
    return kind.fields if isinstance(kind, types.StructType) else ()


def _without_null(kind: types.Type) -> types.Type:
    if not isinstance(kind, types.UnionType):
        return kind
    return types.UnionType(tuple(each for each in kind.types if not isinstance(each, types.NoneType)))
