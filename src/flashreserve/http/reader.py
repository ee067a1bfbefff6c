"""Reads what clients send: JSON bodies and query parameters become values, or a sentence about the first fault."""

import json
import re
from collections import Counter
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

import msgspec

from flashreserve.http import wire
from flashreserve.http.problems import FieldError

T = TypeVar("T")


def decoder(kind: type[T]) -> Callable[[bytes], T | FieldError]:
    """How a body of this kind is read: the value, or what is wrong with it first."""
    decode = msgspec.json.Decoder(kind, float_hook=_exact).decode

    def read(body: bytes) -> T | FieldError:
        try:
            value = decode(body)
        except msgspec.ValidationError as error:
            return _field_error(str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return FieldError("body", "expected a JSON document")
        # The hottest body, `{"quantity":1}`, is too short for a second field, and every field has a colon.
        if len(body) < _REPEATING_BYTES_MIN or body.count(b":") < _REPEATING_COLONS_MIN:
            return value
        return _repeated_field(body) or value

    return read


def convert(value: Any, kind: type[T], field: str) -> T | FieldError:
    """A query parameter or a column as this kind, or what is wrong with it."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        return FieldError(field, _field_error(str(error)).message)


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
_SEARCH: Final = json.JSONDecoder(object_pairs_hook=_refuse_repeated, parse_int=str, parse_float=str)
_MARK: Final = json.JSONDecoder(object_pairs_hook=_mark_repeated, parse_int=str, parse_float=str)
_NAME_SHOWN_MAX: Final = 100
_TOO_DEEP: Final = "expected objects and lists less deep in one another"


def _exact(number: str) -> Decimal:
    """A JSON number that isn't whole, with all of its digits; NaN if its exponent is beyond what decimals hold."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return Decimal("NaN")


def _field_error(text: str) -> FieldError:
    """Msgspec's message, which ends in the place it is about, if that isn't the whole body."""
    found = _WHERE.match(text)
    message, path = (found["message"], found["path"]) if found else (text, None)
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL)
    missing = re.fullmatch(r"Object missing required field `(.*)`", message)
    field = (path or "$").removeprefix("$").removeprefix(".")
    pattern = re.fullmatch(r"Expected `str` matching regex (.*)", message, re.DOTALL)
    if pattern is not None:
        return FieldError(field or "body", _EXPECTED.get(pattern[1], "expected other text"))
    if unknown or missing:
        name = (unknown or missing)[1][:_NAME_SHOWN_MAX]  # type: ignore[index]
        field = f"{field}.{name}".removeprefix(".")
        return FieldError(field, "expected no such field" if unknown else "expected this field")
    return FieldError(field or "body", message[:1].lower() + message[1:])


_WHERE: Final = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_EXPECTED: Final = {
    repr(wire.ID_PATTERN): "expected a UUID",
    repr(wire.CURRENCY_PATTERN): "expected an ISO 4217 code such as USD",
}
"""What the patterns mean, in words, as msgspec names them in its errors."""
