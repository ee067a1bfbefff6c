"""Products from a CSV file, by the same rules as those of the API, with every fault's line and column."""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final, Self

import msgspec

from flashreserve.core.outcomes import Invalid
from flashreserve.expectations import expectations
from flashreserve.http import bodies, reader
from flashreserve.http.field_names import with_wire_names
from flashreserve.service.catalogue import NewProduct

COLUMNS: Final = (
    "name",
    "price",
    "currency",
    "stockQuantity",
    "saleStartsAt",
    "saleEndsAt",
    "perCustomerLimit",
    "holdSeconds",
    "maxExtensions",
)
REQUIRED: Final = ("name", "price", "stockQuantity")
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
PRODUCTS_MAX: Final = 100_000
"""Products in one file."""

FAULTS_MAX: Final = 20
"""Faults of one file that are shown."""

_WHOLE: Final = frozenset({"stockQuantity", "perCustomerLimit", "holdSeconds", "maxExtensions"})
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_PRICE: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)


class LineFault(msgspec.Struct, frozen=True):
    """A fault in a line (the first is 1), with its column if it is about one."""

    line: int
    column: str | None
    message: str

    @classmethod
    def of(cls, line: int, refusal: Invalid) -> Self:
        """A refusal of the line's product. Columns have the names that fields have over HTTP."""
        return cls(line, with_wire_names(refusal.field), with_wire_names(refusal.message))

    def __str__(self) -> str:
        place = f"line {self.line}" if self.column is None else f"line {self.line}, column {self.column}"
        return f"{place}: {self.message}"


class ProductFileError(Exception):
    """The file can't be imported. `faults` are the first `FAULTS_MAX`, and `more` says whether there are others."""

    def __init__(self, faults: Sequence[LineFault], *, more: bool = False) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults
        self.more = more


class Row(msgspec.Struct, frozen=True):
    """A product, and the line where it begins."""

    line: int
    product: NewProduct


def read_products(data: bytes, hold_s_default: int) -> list[Row]:
    """All products of a file as spreadsheets write it; the first line names the columns.

    Values are separated by commas, semicolons or tabs: by the one that gives the header the most known columns, or by
    the one in a first line such as `sep=;`. Empty cells count as left out. Spaces around a value, lines without any
    value, and empty cells beyond the columns are ignored.

    Raises:
        ProductFileError: no product of the file may be made.
    """
    records = _records(_text(data))
    header = _header(records)
    rows: list[Row] = []
    faults: list[LineFault] = []
    for line, cells in records:
        row = _row(line, header, cells, hold_s_default)
        if isinstance(row, LineFault):
            faults.append(row)
            if len(faults) > FAULTS_MAX:
                raise ProductFileError(faults[:FAULTS_MAX], more=True)
        elif len(rows) == PRODUCTS_MAX:
            raise ProductFileError([LineFault(line, None, f"expected at most {PRODUCTS_MAX} products in one file")])
        else:
            rows.append(row)
    if faults:
        raise ProductFileError(faults)
    if not rows:
        raise ProductFileError([LineFault(2, None, "expected a product; the file has none")])
    return rows


def _text(data: bytes) -> str:
    if len(data) > FILE_BYTES_MAX:
        raise ProductFileError([LineFault(1, None, f"expected a file of at most {FILE_BYTES_MAX // 1024**2} MiB")])
    if b"\0\0" in data[:4]:
        raise ProductFileError([LineFault(1, None, "expected UTF-8 text, found UTF-32; save the file as CSV UTF-8")])
    encoding = _encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(_LINE_END.split(data[: error.start].decode(encoding, errors="ignore")))
        fault = "expected UTF-8 text; save the file as CSV UTF-8"
        if encoding != "utf-8-sig":
            place = f"byte {error.start + 1} is invalid; save the file as CSV UTF-8"
            cut = "it ends within a character; copy the whole file again"
            fault = f"expected UTF-16 text, as the file begins; {cut if error.reason in _CUT else place}"
        raise ProductFileError([LineFault(line, None, fault)]) from None


def _encoding(data: bytes) -> str:
    """The encoding. UTF-16 has a byte order mark, or a zero byte in the first character, which is ASCII."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    match [bool(byte) for byte in data[:2]]:
        case [True, False]:
            return "utf-16-le"
        case [False, True]:
            return "utf-16-be"
        case _:
            return "utf-8-sig"


_CUT: Final = ("truncated data", "unexpected end of data")
"""Python's reasons for UTF-16 that ends after half a unit, and after half a surrogate pair."""


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The records that aren't empty, with the lines where they begin."""
    # Cut at line ends only: letters such as U+2028 would end a line by str.splitlines.
    lines = [line for line in _LINE_END.split(text) if line]
    blank = next((place for place, line in enumerate(lines) if line.strip(_NOTHING)), len(lines))
    head = lines[blank] if blank < len(lines) else ""
    stated = _SEPARATOR_LINE.fullmatch(head)
    first = blank + 1 if stated else blank
    delimiter = stated[1] if stated else _delimiter(head)
    reader = csv.reader(lines[first:], delimiter=delimiter, strict=True)
    while True:
        begins = first + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ProductFileError([LineFault(begins, None, f"expected comma-separated values: {error}")]) from None
        if cells is None:
            return
        cells = [cell.strip() for cell in cells]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield begins, cells


def _delimiter(header: str) -> str:
    """The delimiter that gives the header the most known columns; if several do, the comma."""

    def known(delimiter: str) -> int:
        return sum(name.strip(' "\r\n') in COLUMNS for name in header.split(delimiter))

    return max(_DELIMITERS, key=known)


_DELIMITERS: Final = (",", ";", "\t")
_LINE_END: Final = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([,;\t])"?[,;\t\r\n]*', re.IGNORECASE)
_NOTHING: Final = " \r\n" + "".join(_DELIMITERS)
"""The characters of a line without any value."""


def _header(records: Iterator[tuple[int, list[str]]]) -> list[str]:
    line, header = next(records, (1, []))
    known = ", ".join(COLUMNS)
    faults = [
        *(LineFault(line, name or None, f"expected one of {known}") for name in header if name not in COLUMNS),
        *(LineFault(line, name, "expected once") for name in COLUMNS if header.count(name) > 1),
        *(LineFault(line, name, "expected this column") for name in REQUIRED if name not in header),
    ]
    if faults:
        raise ProductFileError(faults[:FAULTS_MAX], more=len(faults) > FAULTS_MAX)
    return header


def _row(line: int, header: Sequence[str], cells: Sequence[str], hold_s_default: int) -> Row | LineFault:
    if len(cells) > len(header):
        return LineFault(line, None, f"expected {len(header)} values, as the first line has, and found {len(cells)}")
    values: dict[str, str | int] = {}
    for column, cell in zip_longest(header, cells, fillvalue=""):
        value = _value(column, cell)
        if value is None:
            return LineFault(line, column, _EXPECTED[column])
        if value != "":
            values[column] = value
    try:
        (body,) = msgspec.convert([values], list[bodies.ProductBody])
    except msgspec.ValidationError as error:
        column = reader.explained(str(error), bodies.ProductBody).field
        return LineFault(line, column, _EXPECTED[column])
    product = body.product(hold_s_default)
    return LineFault.of(line, product) if isinstance(product, Invalid) else Row(line, product)


_EXPECTED: Final = {field: f"expected {words}" for field, words in expectations(bodies.ProductBody).items()}


def _value(column: str, cell: str) -> str | int | None:
    """The cell as a value of the API's body; None if it should be a number and isn't."""
    if cell and column in _WHOLE:
        return int(cell) if _WHOLE_NUMBER.fullmatch(cell) else None
    if cell and column == "price":
        return cell if _PRICE.fullmatch(cell) else None
    return cell
