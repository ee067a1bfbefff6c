"""Decodes JSON bodies and query parameters; for invalid ones, describes the first fault."""

import json
from collections import Counter
from collections.abc import Callable
from decimal import MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect as types

from flashreserve.core import limits
from flashreserve.core.instants import instant_of
from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.expectations import NAME_SHOWN_MAX, expected, shown_name, unmet
from flashreserve.http.fields import INSTANT_RANGE, Instant
from flashreserve.http.problems import FieldError

T = TypeVar("T")


def decoder(kind: type[T]) -> Callable[[bytes], T | FieldError]:
    """A function that decodes bodies of this kind. It returns the value, or the first fault."""
    decode = msgspec.json.Decoder(kind, float_hook=_exact).decode
    decode_listed = msgspec.json.Decoder(list[kind], float_hook=_exact).decode  # type: ignore[valid-type]

    def read(body: bytes) -> T | FieldError:
        try:
            value = decode(body)
        except msgspec.ValidationError:
            return fault_of(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return FieldError("body", _why_not_json(body))
        except RecursionError:
            return FieldError("body", _TOO_DEEP)
        # Skip the search for repeated fields in short bodies: the most frequent one, `{"quantity":1}`, can't have two.
        if len(body) < _REPEATING_BYTES_MIN or body.count(b":") < _REPEATING_COLONS_MIN:
            return value
        return _repeated_field(body) or value

    def fault_of(body: bytes) -> FieldError:
        try:
            decode_listed(b"[%b]" % body)
        except msgspec.ValidationError as error:
            return _with_name(explained(str(error), kind), body, kind)
        except RecursionError:
            return FieldError("body", _TOO_DEEP)
        raise AssertionError("a body is invalid by itself and valid in a list")

    return read


def convert(value: str, kind: type[T], field: str) -> T | FieldError:
    """An id or a query parameter as this kind, or its fault."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return FieldError(field, f"expected {expected(types.type_info(kind))}")


def instant(value: str, field: str) -> int | FieldError:
    """A query parameter or an option that is an instant (UTC milliseconds), or its fault. A number isn't one."""
    try:
        moment = msgspec.convert(value, Instant)
    except msgspec.ValidationError:
        return FieldError(field, f"expected {expected(types.type_info(Instant))}")
    at = instant_of(moment)
    return at if 0 <= at <= limits.INSTANT_MAX_MS else FieldError(field, INSTANT_RANGE)


def explained(text: str, kind: Any) -> FieldError:
    """The fault of a body of this kind. `text` is msgspec's message, from decoding a list of this one body."""
    place, message = unmet(text, kind)
    return FieldError(place or "body", message)


def _with_name(fault: FieldError, body: bytes, kind: Any) -> FieldError:
    """The fault with the name of the entry, where msgspec writes `metadata[...]` for each entry of an object."""
    field, dots, rest = fault.field.partition("[...]")
    if not dots or rest:
        return fault
    try:
        entries = msgspec.json.decode(body)[field]
    except DECODE_ERRORS:  # Another field has a value that is read by its type only.
        return fault
    for name, value in entries.items():
        try:
            msgspec.convert([{field: {name: value}}], list[kind])
        except msgspec.ValidationError as error:
            if explained(str(error), kind) == fault:
                return FieldError(f"{field}.{shown_name(name[:NAME_SHOWN_MAX])}", fault.message)
    return fault


def _why_not_json(body: bytes) -> str:
    """Why and where a body is invalid JSON. Bytes, lines and columns count from 1."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return f"expected JSON in UTF-8; byte {error.start + 1} is invalid"
    try:
        _PLAIN.decode(text)
    except json.JSONDecodeError as error:
        if not text[error.pos :].strip():
            return "expected a JSON document; it ends too early" if text.strip() else "expected a JSON document"
        return f"expected JSON; line {error.lineno}, column {error.colno} is invalid"
    except RecursionError:
        return _TOO_DEEP
    return "expected JSON without NaN, Infinity and halves of surrogate pairs"


FIELD_LETTERS_MIN: Final = 3
"""Letters of the shortest field name in any body."""

_REPEATING_COLONS_MIN: Final = 2
_REPEATING_BYTES_MIN: Final = len('{"url":1,"url":1}')
"""Bytes of the shortest body that has a field of `FIELD_LETTERS_MIN` letters twice."""


class _RepeatedError(Exception):
    """An object has two fields with one name."""


class _Repeated(msgspec.Struct, frozen=True):
    """Stands for an object that has several fields of this name."""

    name: str


def _repeated_field(body: bytes) -> FieldError | None:
    """The first field that an object has twice, at any depth. Names are compared with their escapes resolved."""
    text = body.decode()
    try:
        _SEARCH.decode(text)
    except _RepeatedError:
        return FieldError(_place_of_repeated(text), "expected once")
    except RecursionError:
        return FieldError("body", _TOO_DEEP)
    return None


def _place_of_repeated(text: str) -> str:
    try:
        return _path_of_repeated(_MARK.decode(text), "")
    except RecursionError:
        return "body"


def _refuse_repeated(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(fields)
    if len(values) < len(fields):
        raise _RepeatedError
    return values


def _mark_repeated(fields: list[tuple[str, Any]]) -> dict[str, Any] | _Repeated:
    values = dict(fields)
    if len(values) == len(fields):
        return values
    ((name, _),) = Counter(name for name, _ in fields).most_common(1)
    return _Repeated(name[:NAME_SHOWN_MAX])


def _path_of_repeated(value: Any, path: str) -> str:
    """The path of the first repeated field below `path`; empty where there is none."""
    if isinstance(value, _Repeated):
        return f"{path}.{value.name}".removeprefix(".")
    if isinstance(value, dict):
        paths = (_path_of_repeated(inner, f"{path}.{name[:NAME_SHOWN_MAX]}") for name, inner in value.items())
    elif isinstance(value, list):
        paths = (_path_of_repeated(inner, f"{path}[{index}]") for index, inner in enumerate(value))
    else:
        return ""
    return next(filter(None, paths), "")


# Numbers stay text: their values aren't needed, and Python is slow to convert long ones.
_PLAIN: Final = json.JSONDecoder(parse_int=str, parse_float=str)
_SEARCH: Final = json.JSONDecoder(object_pairs_hook=_refuse_repeated, parse_int=str, parse_float=str)
_MARK: Final = json.JSONDecoder(object_pairs_hook=_mark_repeated, parse_int=str, parse_float=str)
_TOO_DEEP: Final = "expected objects and lists less deep in one another"


def _exact(number: str) -> Decimal:
    """A JSON number that isn't whole, with all of its digits; NaN if its exponent is too large to calculate with."""
    try:
        decimal = Decimal(number)
    except InvalidOperation:
        return _NOT_HELD
    return _NOT_HELD if decimal.is_subnormal(_WIDEST) else decimal


_NOT_HELD: Final = Decimal("NaN")
_WIDEST: Final = Context(Emin=MIN_EMIN)
