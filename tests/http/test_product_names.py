"""Product names are read by one rule in POST, PATCH and CSV files."""

import csv
import io

import pytest
from tests.http.shop import Admin, HttpAnswer

from flashreserve.cli.product_file import ProductFileError, read_products

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNCHANGED = [
    "iPhone 15",
    'Käse, alt; "echt"',
    "a  b\u00a0c\u3000d",
    "弁当",
    "👩\u200d👩\u200d👧\u200d👦",
    "❤\ufe0f\u200d🔥",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "葛\U000e0100",
    "قهوة عربية",
    "می\u200cخواهم",  # noqa: RUF001 - Persian
    "חולצה כחולה",
    "abc \u200fשלום\u200e 15",  # noqa: RUF001 - Hebrew
    "हिन्दी",
    "क्\u200dष",
    "क्\u200d",
    "e\u0301",
    "x" * 200,
    "x",
]
TRIMMED = {
    " a ": "a",
    "a\n": "a",
    "\ta\r\n": "a",
    "a\0": "a",
    "\u00a0\u3000a b\u2003": "a b",
    "\u200b\ufeffa\u200b": "a",
    "a\u2028": "a",
    "\u202ea\u202c": "a",
    "a\u00ad\u2060": "a",
    "👨\u200d": "👨",
    "a\u200d": "a",
    "\ufe0fa": "a",
    "\U000e0061a\U000e007f": "a",
    " " * 300 + "x" * 200 + " " * 300: "x" * 200,
}
REFUSED = [
    "",
    " ",
    "\n",
    "\0",
    "\u00a0",
    "\u00ad",
    "\u034f",
    "\u061c",
    "\u115f\u1160",
    "\u180e",
    "\u2007",
    "\u200b",
    "\u200d\u200c",
    "\u200e\u200f",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2060",
    "\u2066\u2069",
    "\u2800",
    "\u3000 \u3000",
    "\u3164",
    "\ufe0f",
    "\ufeff",
    "\uffa0",
    "\U000e0061\U000e007f",
    "a\nb",
    "a\rb",
    "a\tb",
    "a\0b",
    "a\x1bb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u2029b",
    "a\u202eb",
    "a\u202ab\u202c",
    "a\u2067b",
    "x" * 201,
]
CASES = {**{name: name for name in UNCHANGED}, **TRIMMED, **dict.fromkeys(REFUSED, None)}


def answered(answer: HttpAnswer, status: int) -> str | None:
    """The product's name in the answer; None if the name was refused."""
    if answer.status == status:
        return str(answer.json["name"])
    assert (answer.status, answer.fields) == (400, ["name"])
    return None


def imported(name: str) -> str | None:
    """The name of a product imported by CSV; None if the name was refused."""
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["price", "name", "stockQuantity"], ["1", name, "1"]])
    try:
        (row,) = read_products(file.getvalue().encode(), 600)
    except ProductFileError as error:
        columns = [fault.column for fault in error.faults]
    else:
        return row.product.new.name
    assert columns == ["name"]
    return None


@pytest.mark.parametrize(("name", "expected"), CASES.items(), ids=[ascii(name)[:40] for name in CASES])
async def test_a_name_comes_out_alike_whichever_way_it_comes(admin: Admin, name: str, expected: str | None) -> None:
    product = await admin.product(name="before")

    outcomes = {
        "POST": answered(await admin.create(name=name), 201),
        "PATCH": answered(await admin.edit(product, name=name), 200),
        "CSV": imported(name),
    }

    assert outcomes == dict.fromkeys(outcomes, expected)
