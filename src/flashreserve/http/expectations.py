"""Descriptions of what a field has to be. They are made from its type, so that no library's messages reach a client."""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import inspect as types

FOUND: Final[Mapping[str, str]] = {
    "str": "text",
    "int": "a whole number",
    "float": "a number that isn't whole",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
"""Words for the kinds of JSON values, by msgspec's names of them."""


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
        case types.ListType(min_length=low, max_length=high):
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
        case types.ListType(item_type=item) | types.DictType(value_type=item) if step.startswith("["):
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
