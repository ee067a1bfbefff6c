"""Reads what clients send: JSON bodies and query parameters become values, or a sentence about the first fault."""

import json
import re
from collections import Counter
from collections.abc import Callable
from decimal import MIN_EMIN, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect as types

from flashreserve.http.expectations import FOUND, expected, names_of, part_at
from flashreserve.http.problems import FieldError
from flashreserve.suggestions import unknown

T = TypeVar("T")


def decoder(kind: type[T]) -> Callable[[bytes], T | FieldError]:
    """How a body of this kind is read: the value, or what is wrong with it first."""
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
        # The hottest body, `{"quantity":1}`, is too short for a second field, and every field has a colon.
        if len(body) < _REPEATING_BYTES_MIN or body.count(b":") < _REPEATING_COLONS_MIN:
            return value
        return _repeated_field(body) or value

    def fault_of(body: bytes) -> FieldError:
        try:
            decode_listed(b"[%b]" % body)
        except msgspec.ValidationError as error:
            return explained(str(error), kind)
        except RecursionError:
            return FieldError("body", _TOO_DEEP)
        raise AssertionError("a body is invalid by itself and valid in a list")

    return read


def convert(value: str, kind: type[T], field: str) -> T | FieldError:
    """An id or a query parameter as this kind, or what is wrong with it."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return FieldError(field, f"expected {expected(types.type_info(kind))}")


def explained(text: str, kind: Any) -> FieldError:
    """A fault of a body of this kind, in our words; msgspec's tell only where it is, and which field or type.

    `text` must be about a list of this one body: ``Expected `int`, got `str` - at `$[0].lines[0].quantity` ``, or
    ``Object contains unknown field `x` - at `$[0]` ``. msgspec writes no place for a fault at the top, so that a field
    named ``x` - at `$.y`` could forge one. In a list every message ends with msgspec's own place, without client text.
    """
    found = _FAULT.fullmatch(text)
    assert found is not None  # noqa: S101 - every message about a list's entry tells its place
    path = found["path"].removeprefix(".")
    part = part_at(_type_of(kind), path)
    if found["unknown"] is not None:
        name = found["unknown"][:_NAME_SHOWN_MAX]
        return FieldError(_within(path, _shown(name)), unknown("field", name, names_of(part)))
    if found["missing"] is not None:
        needed = part and part_at(part, found["missing"])
        return FieldError(_within(path, found["missing"]), f"missing; expected {_expected(needed)}")
    sent = FOUND.get(found["got"])
    return FieldError(path or "body", f"expected {_expected(part)}" + (f"; found {sent}" if sent else ""))


def _within(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(name: str) -> str:
    """A client's name for a field; in quotes where it could be taken for another place, or for none."""
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


def _why_not_json(body: bytes) -> str:
    """Where a body stops being JSON, in a person's way of counting."""
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


FIELD_LETTERS_MIN: Final = 4
"""Letters of the shortest field that a body may have."""

_REPEATING_COLONS_MIN: Final = 2
_REPEATING_BYTES_MIN: Final = len('{"name":1,"name":1}')
"""Bytes of the shortest body that has a field of `FIELD_LETTERS_MIN` letters twice."""


class _RepeatedError(Exception):
    """An object has two fields of one name."""


class _Repeated(msgspec.Struct, frozen=True):
    """Stands for an object that has several fields of this name."""

    name: str


def _repeated_field(body: bytes) -> FieldError | None:
    """The first field that its object has twice, at any depth. Names are compared after their escapes are resolved."""
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
    return _Repeated(name[:_NAME_SHOWN_MAX])


def _path_of_repeated(value: Any, path: str) -> str:
    """The path of the first repeated field below `path`; empty where there is none."""
    if isinstance(value, _Repeated):
        return f"{path}.{value.name}".removeprefix(".")
    if isinstance(value, dict):
        paths = (_path_of_repeated(inner, f"{path}.{name[:_NAME_SHOWN_MAX]}") for name, inner in value.items())
    elif isinstance(value, list):
        paths = (_path_of_repeated(inner, f"{path}[{index}]") for index, inner in enumerate(value))
    else:
        return ""
    return next(filter(None, paths), "")


# Numbers stay text: nobody looks at them, and a long one takes Python a long time to read.
_PLAIN: Final = json.JSONDecoder(parse_int=str, parse_float=str)
_SEARCH: Final = json.JSONDecoder(object_pairs_hook=_refuse_repeated, parse_int=str, parse_float=str)
_MARK: Final = json.JSONDecoder(object_pairs_hook=_mark_repeated, parse_int=str, parse_float=str)
_NAME_SHOWN_MAX: Final = 100
_TOO_DEEP: Final = "expected objects and lists less deep in one another"


def _exact(number: str) -> Decimal:
    """A JSON number that isn't whole, with all of its digits; NaN if its exponent is too far off to calculate."""
    try:
        decimal = Decimal(number)
    except InvalidOperation:
        return _NOT_HELD
    return _NOT_HELD if decimal.is_subnormal(_WIDEST) else decimal


_NOT_HELD: Final = Decimal("NaN")
_WIDEST: Final = Context(Emin=MIN_EMIN)
