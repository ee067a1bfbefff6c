"""Products from a CSV file, by the same rules as those of the API, with every fault's line and column."""

import codecs
import csv
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final, Self

import msgspec
from msgspec import UNSET, structs

from flashreserve.cli import number_cells
from flashreserve.core.model import DetailsEdit
from flashreserve.core.outcomes import Invalid, RulesFixed
from flashreserve.expectations import expectations
from flashreserve.http import bodies, reader
from flashreserve.http.field_names import with_wire_names
from flashreserve.service.imports import ImportedProduct
from flashreserve.suggestions import nearest

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
    "externalId",
    "description",
    "imageUrl",
)
METADATA_PREFIX: Final = "metadata."
"""The column `metadata.colour` has the values of the key `colour`."""

REQUIRED: Final = ("name", "price", "stockQuantity")
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
PRODUCTS_MAX: Final = 100_000
"""Products in one file."""

FAULTS_MAX: Final = 20
"""Faults of one file that are shown."""

_WHOLE: Final = frozenset({"stockQuantity", "perCustomerLimit", "holdSeconds", "maxExtensions"})


class LineFault(msgspec.Struct, frozen=True):
    """A fault in a line (the first is 1), with its column if it is about one."""

    line: int
    column: str | None
    message: str

    @classmethod
    def of(cls, line: int, refusal: Invalid | RulesFixed) -> Self:
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
    product: ImportedProduct


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
    lines: dict[str, int] = {}
    for line, cells in records:
        row = _named_once(_row(line, header, cells, hold_s_default), lines)
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
    if data.startswith(_ZIP):
        raise ProductFileError([LineFault(1, None, "this is an Excel file; save it as CSV UTF-8")])
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


_ZIP: Final = b"PK\x03\x04"
"""How a ZIP archive begins, which an Excel workbook is."""

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
        return sum(_is_column(name.strip(' "\r\n')) for name in header.split(delimiter))

    return max(_DELIMITERS, key=known)


_DELIMITERS: Final = (",", ";", "\t")
_LINE_END: Final = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([,;\t])"?[,;\t\r\n]*', re.IGNORECASE)
_NOTHING: Final = " \r\n" + "".join(_DELIMITERS)
"""The characters of a line without any value."""


def _header(records: Iterator[tuple[int, list[str]]]) -> list[str]:
    line, header = next(records, (1, []))
    likely = {name: _likely(name, header) for name in header if not _is_column(name)}
    missing = [name for name in REQUIRED if name not in header and name not in likely.values()]
    faults = [
        *(LineFault(line, name or None, _unknown(likely[name])) for name in header if name in likely),
        *(LineFault(line, name, "expected once") for name in dict.fromkeys(header) if header.count(name) > 1),
        *(LineFault(line, None, f"the column {name} is missing") for name in missing),
    ]
    if faults:
        raise ProductFileError(faults[:FAULTS_MAX], more=len(faults) > FAULTS_MAX)
    return header


def _likely(name: str, header: Sequence[str]) -> str | None:
    """The column that an unknown name most likely stands for: one that the header doesn't have yet."""
    if _WORDS.fullmatch(name) is None:  # Several names, which another delimiter separates, are like each of theirs.
        return None
    return nearest(name, [*(column for column in COLUMNS if column not in header), _METADATA_COLUMN])


def _unknown(likely: str | None) -> str:
    if likely is not None:
        return f"unknown column; did you mean {likely}?"
    return f"expected one of {', '.join((*COLUMNS, _METADATA_COLUMN))}"


_METADATA_COLUMN: Final = f"{METADATA_PREFIX}KEY"
_WORDS: Final = re.compile(r"[\w .-]+")


def _row(line: int, header: Sequence[str], cells: Sequence[str], hold_s_default: int) -> Row | LineFault:
    if len(cells) > len(header):
        return LineFault(line, None, f"expected {len(header)} values, as the first line has, and found {len(cells)}")
    values: dict[str, Any] = {}
    for column, cell in zip_longest(header, cells, fillvalue=""):
        value = _value(column, cell)
        if value is None:
            doubt = number_cells.doubt(cell, decimals=column not in _WHOLE)
            return LineFault(line, column, f"{_EXPECTED[column]}; {doubt}" if doubt else _EXPECTED[column])
        if value == "":
            continue
        if column.startswith(METADATA_PREFIX):
            values.setdefault("metadata", {})[column.removeprefix(METADATA_PREFIX)] = value
        else:
            values[column] = value
    try:
        (body,) = msgspec.convert([values], list[bodies.ProductBody])
    except msgspec.ValidationError as error:
        fault = reader.explained(str(error), bodies.ProductBody)
        return LineFault(line, fault.field, _EXPECTED.get(fault.field, fault.message))
    product, price = structs.replace(body, price=0).product(hold_s_default), body.price_in_any_currency()
    if isinstance(product, Invalid):
        return LineFault.of(line, product)
    if isinstance(price, Invalid):
        return LineFault.of(line, price)
    imported = ImportedProduct(product, price, _details(header, body), _given(values.keys(), header))
    # Otherwise the currency may be that of a product in the database.
    is_currency_known = "currency" in values or product.external_id is None
    priced = imported.priced(product.currency) if is_currency_known else product
    return LineFault.of(line, priced) if isinstance(priced, Invalid) else Row(line, imported)


def _details(header: Sequence[str], body: bodies.ProductBody) -> DetailsEdit:
    """The details of the columns that the file has. Metadata keeps the keys that have no column."""
    details = body.details()
    keys = [name.removeprefix(METADATA_PREFIX) for name in header if name.startswith(METADATA_PREFIX)]
    return DetailsEdit(
        description=details.description if "description" in header else UNSET,
        image_url=details.image_url if "imageUrl" in header else UNSET,
        pairs={key: details.metadata.get(key) for key in keys},
    )


def _given(filled: Collection[str], header: Sequence[str]) -> frozenset[str]:
    """The fields of a product that the row sets, given the columns that are `filled`. An empty currency sets none."""
    given = {column for column in header if column != "currency" or column in filled}
    return frozenset(_FIELDS[column] for column in given & _FIELDS.keys())


def _named_once(row: Row | LineFault, lines: dict[str, int]) -> Row | LineFault:
    """The row, unless an earlier one has its external id; `lines` has the lines of the earlier ones."""
    if isinstance(row, LineFault) or row.product.new.external_id is None:
        return row
    first = lines.setdefault(row.product.new.external_id, row.line)
    return row if first == row.line else LineFault(row.line, "externalId", f"expected once; line {first} has it too")


def _is_column(name: str) -> bool:
    return name in COLUMNS or (name.startswith(METADATA_PREFIX) and name != METADATA_PREFIX)


_FIELDS: Final = {
    "name": "name",
    "price": "price",
    "currency": "currency",
    "saleStartsAt": "sale_starts_at",
    "saleEndsAt": "sale_ends_at",
    "perCustomerLimit": "per_customer_limit",
    "holdSeconds": "hold_s",
    "maxExtensions": "extensions_max",
}
"""By column, the field that an import changes in an existing product, or in the case of the currency, compares."""

_EXPECTED: Final = {field: f"expected {words}" for field, words in expectations(bodies.ProductBody).items()}


def _value(column: str, cell: str) -> str | int | None:
    """The cell as a value of the API's body; None if it should be a number and isn't."""
    if cell and column in _WHOLE:
        return number_cells.whole_number(cell)
    if cell and column == "price":
        return number_cells.price(cell)
    return cell
