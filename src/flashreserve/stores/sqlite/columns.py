"""The columns of each table that keeps structs, derived from the struct: one row is one struct.

A field's column has the field's name, unless it is renamed. All statements name their columns, so they don't depend on
the order of columns that migrations left. `tests/sqlite/test_columns.py` fails for a field that has no column yet.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from types import GenericAlias
from typing import Any, Final, Generic, NamedTuple, TypeVar, get_type_hints

import msgspec

from flashreserve.core.audits import Audit
from flashreserve.core.endpoints import DisabledWhy, Endpoint, LoggedAttempt
from flashreserve.core.events import EventType
from flashreserve.core.model import (
    Account,
    Adjustment,
    ApiKey,
    Line,
    Product,
    ProductDetails,
    Reservation,
    ReturnEntry,
    Scope,
)
from flashreserve.core.monitoring import AuditVerdict, ProcessReport
from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.stores.unreadable import UnreadableError

Row = TypeVar("Row", bound=msgspec.Struct)

_CACHED_MAX: Final = 1024
"""Size of the cache from a field's value to its JSON."""


class Codec(NamedTuple):
    """Conversion between the values of a field and those of its column.

    `select` is the SQL expression that reads the column, with `{}` for the column's name.
    """

    encode: Callable[[Any], Any] | None
    decode: Callable[[Any], Any]
    select: str = "{}"


class TableColumns(Generic[Row]):
    """The columns of `table`, in the order of the fields of `kind`.

    `renamed` has the columns that aren't named like their field, `codecs` the fields that are stored in another form.
    The keys of both are fields. An enum's members are stored as their values.
    """

    def __init__(
        self,
        table: str,
        kind: type[Row],
        *,
        renamed: Mapping[str, str] | None = None,
        codecs: Mapping[str, Codec] | None = None,
    ) -> None:
        fields = kind.__struct_fields__
        self._kind = kind
        self._types = [get_type_hints(kind)[field] for field in fields]
        enums = {field: Codec(None, of) for field, of in zip(fields, self._types, strict=True) if _is_enum(of)}
        codecs = enums | dict(codecs or {})
        found = [(place, codecs[field]) for place, field in enumerate(fields) if field in codecs]
        self._selects = dict.fromkeys(range(len(fields)), "{}") | {place: codec.select for place, codec in found}
        self._encoders = [(place, codec.encode) for place, codec in found if codec.encode is not None]
        self._decoders = [(place, codec.decode) for place, codec in found]
        self.table = table
        self.names = tuple((renamed or {}).get(field, field) for field in fields)

    def select(self, alias: str) -> str:
        """The column list of a SELECT in which the table has the name `alias`."""
        return ", ".join(self._selects[place].format(f"{alias}.{name}") for place, name in enumerate(self.names))

    def insert(self, rows: int = 1, verb: str = "INSERT") -> str:
        """A statement that inserts `rows` rows. Its parameters are the `values` of each row."""
        return insert(self.table, self.names, rows, verb)

    def update(self) -> str:
        """A statement that updates the row with the same first column. Its parameters are `values`."""
        key, *others = self.names
        changes = ", ".join(f"{name} = ?{place}" for place, name in enumerate(others, start=2))
        return f"UPDATE {self.table} SET {changes} WHERE {key} = ?1"  # noqa: S608

    def values(self, struct: Row) -> Sequence[Any]:
        """The struct's column values, in the order of the columns."""
        fields = msgspec.structs.astuple(struct)
        if not self._encoders:
            return fields
        values = list(fields)
        for place, encode in self._encoders:
            values[place] = encode(values[place])
        return values

    def struct(self, row: Sequence[Any]) -> Row:
        """The struct of a row that `select` read.

        Raises:
            UnreadableError: the value of a column with a codec is invalid. The table's constraints check all others.
        """
        if self._decoders:
            row = list(row)
            for place, decode in self._decoders:
                row[place] = decode(row[place])
        return self._kind(*row)

    def json_decoder(self) -> msgspec.json.Decoder[list[tuple[Any, ...]]]:
        """A decoder of a JSON array of rows of `select`, each an array. Only for tables without codecs."""
        row: Any = GenericAlias(tuple, tuple(self._types))
        return msgspec.json.Decoder(list[row])


@lru_cache(maxsize=1024)
def insert(table: str, names: Sequence[str], rows: int, verb: str = "INSERT") -> str:
    """A statement that inserts `rows` rows of these columns."""
    row = f"({', '.join('?' * len(names))})"
    return f"{verb} INTO {table} ({', '.join(names)}) VALUES {', '.join([row] * rows)}"


def _is_enum(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def struct_arrays(kind: type[Row]) -> Codec:
    """Structs as JSON, each as an array of its fields: `[["0199…", 1, 1250, "EUR"]]`.

    A field that an earlier version didn't write gets its default, and one that a newer version added is ignored.
    """
    hints = get_type_hints(kind)
    array = msgspec.defstruct(
        f"{kind.__name__}Array",
        [
            (field.name, hints[field.name], *(() if field.required else (field.default,)))
            for field in msgspec.structs.fields(kind)
        ],
        array_like=True,
        gc=False,
    )
    to_json = msgspec.json.Encoder().encode
    arrays_in = msgspec.json.Decoder(list[array]).decode  # type: ignore[valid-type]

    @lru_cache(maxsize=_CACHED_MAX)  # In a sale of one product, nearly all lines of a flush are equal.
    def encode(structs: tuple[Row, ...]) -> str:
        return to_json([msgspec.structs.astuple(each) for each in structs]).decode()

    def decode(kept: bytes) -> tuple[Row, ...]:
        return tuple([kind(*msgspec.structs.astuple(each)) for each in arrays_in(kept)])

    # Read as bytes: the driver raises an error of its own for a text that isn't UTF-8.
    return Codec(encode, decode, "CAST({} AS BLOB)")


def struct_objects(kind: type[Row]) -> Codec:
    """Structs as JSON, each as an object; NULL for none."""
    to_json = msgspec.json.Encoder().encode
    objects_in = msgspec.json.Decoder(tuple[kind, ...]).decode  # type: ignore[valid-type]

    def encode(structs: tuple[Row, ...]) -> str | None:
        return to_json(structs).decode() if structs else None

    def decode(kept: bytes | None) -> tuple[Row, ...]:
        if kept is None:
            return ()
        try:
            return objects_in(kept)
        except DECODE_ERRORS as error:
            raise UnreadableError(f"expected a list of {kind.__name__} as JSON") from error

    return Codec(encode, decode, "CAST({} AS BLOB)")


def json_list(kind: type[Any]) -> Codec:
    """Values of one type as a JSON list."""
    to_json = msgspec.json.Encoder().encode
    values_in = msgspec.json.Decoder(list[kind]).decode  # type: ignore[valid-type]

    def decode(kept: bytes) -> tuple[Any, ...]:
        try:
            return tuple(values_in(kept))
        except DECODE_ERRORS as error:
            raise UnreadableError(f"expected a list of {kind.__name__} as JSON") from error

    return Codec(lambda values: to_json(values).decode(), decode, "CAST({} AS BLOB)")


def json_value(kind: Any) -> Codec:
    """One value of the type as JSON."""
    to_json = msgspec.json.Encoder().encode
    value_in = msgspec.json.Decoder(kind).decode

    def decode(kept: bytes) -> Any:
        try:
            return value_in(kept)
        except DECODE_ERRORS as error:
            raise UnreadableError(f"expected {kind} as JSON") from error

    return Codec(lambda value: to_json(value).decode(), decode, "CAST({} AS BLOB)")


def texts_by_name() -> Codec:
    """Texts by their names, as a JSON object; NULL for none."""
    to_json = msgspec.json.Encoder(order="sorted").encode
    texts_in = msgspec.json.Decoder(dict[str, str]).decode

    def decode(kept: bytes) -> dict[str, str]:
        try:
            return texts_in(kept)
        except DECODE_ERRORS as error:
            raise UnreadableError("expected an object of texts as JSON") from error

    def decode_if_any(kept: bytes | None) -> dict[str, str]:
        return {} if kept is None else decode(kept)

    return Codec(lambda texts: to_json(texts).decode() if texts else None, decode_if_any, "CAST({} AS BLOB)")


_arrays_of_lines = struct_arrays(Line)
_LINE_FIELDS: Final = ", ".join(Line.__struct_fields__)


def _decode_lines(kept: bytes) -> tuple[Line, ...]:
    try:
        lines: tuple[Line, ...] = _arrays_of_lines.decode(kept)
    except DECODE_ERRORS as error:
        raise UnreadableError(f"expected lines as JSON, each an array of {_LINE_FIELDS}") from error
    if not lines or min(line.quantity for line in lines) < 1:
        raise UnreadableError("expected lines of at least one unit")
    return lines


_returns: Final = struct_objects(ReturnEntry)


def encode_returns(entries: tuple[ReturnEntry, ...]) -> str | None:
    """Returns as they are stored in the column `returns`."""
    kept: str | None = _returns.encode(entries) if _returns.encode is not None else None
    return kept


def decode_returns(kept: bytes | None) -> tuple[ReturnEntry, ...]:
    """The returns in the column `returns`.

    Raises:
        UnreadableError: they are invalid.
    """
    entries: tuple[ReturnEntry, ...] = _returns.decode(kept)
    return entries


PRODUCTS: Final = TableColumns("products", Product)
RESERVATIONS: Final = TableColumns(
    "reservations",
    Reservation,
    renamed={"key": "idem_key"},
    codecs={
        "lines": _arrays_of_lines._replace(decode=_decode_lines),
        "returns": _returns,
        "metadata": texts_by_name(),
    },
)
DETAILS: Final = TableColumns("product_details", ProductDetails, codecs={"metadata": texts_by_name()})
ADJUSTMENTS: Final = TableColumns("adjustments", Adjustment)
ACCOUNTS: Final = TableColumns("accounts", Account)
KEYS: Final = TableColumns("api_keys", ApiKey, codecs={"scopes": json_list(Scope)})


def _disabled_why(kept: str | None) -> DisabledWhy | None:
    return None if kept is None else DisabledWhy(kept)


ENDPOINTS: Final = TableColumns(
    "endpoints",
    Endpoint,
    codecs={
        "types": json_list(EventType),
        "disabled_why": Codec(None, _disabled_why),
    },
)
ATTEMPTS: Final = TableColumns("attempts", LoggedAttempt)
PROCESSES: Final = TableColumns("processes", ProcessReport, codecs={"counts": json_value(dict[str, float])})
VERDICTS: Final = TableColumns("verdicts", AuditVerdict, codecs={"audit": json_value(Audit)})
TABLES: Final[tuple[TableColumns[Any], ...]] = (
    PRODUCTS,
    DETAILS,
    RESERVATIONS,
    ADJUSTMENTS,
    ACCOUNTS,
    KEYS,
    ENDPOINTS,
    ATTEMPTS,
    PROCESSES,
    VERDICTS,
)
