"""`flashreserve products`."""

import json

import pytest
from tests.cli.conftest import CommandShop

from flashreserve.cli.product_file import COLUMNS
from flashreserve.http.bodies import ProductBody
from flashreserve.http.operations import examples

HEADER = "name,price,currency,stockQuantity,saleStartsAt,saleEndsAt,perCustomerLimit,holdSeconds,maxExtensions\n"


def listed(shop: CommandShop) -> list[dict[str, object]]:
    return [json.loads(line) for line in shop.run("products", "list", "--json").out.splitlines()]


def test_an_import_makes_every_product_with_all_its_rules(shop: CommandShop) -> None:
    text = HEADER + (
        "iPhone 15,999.99,USD,10,2026-11-27T10:00:00+01:00,2026-11-28T00:00:00Z,2,300,3\n"
        '"Käse, alt",12,EUR,0,,,,,\n'
        "弁当,500,JPY,7,,,,,\n"
    )
    (shop.directory / "sale.csv").write_text(text, encoding="utf-8")

    ended = shop.run("products", "import", "sale.csv")

    assert (ended.code, ended.out) == (0, "Made 3 products.\n")
    first, second, third = listed(shop)
    assert {name: first[name] for name in HEADER.strip().split(",")} == {
        "name": "iPhone 15",
        "price": "999.99",
        "currency": "USD",
        "stockQuantity": 10,
        "saleStartsAt": "2026-11-27T09:00:00.000Z",
        "saleEndsAt": "2026-11-28T00:00:00.000Z",
        "perCustomerLimit": 2,
        "holdSeconds": 300,
        "maxExtensions": 3,
    }
    assert (second["name"], second["price"], second["perCustomerLimit"], second["holdSeconds"]) == (
        "Käse, alt",
        "12.00",
        None,
        600,
    )
    assert (third["price"], third["available"]) == ("500", 7)


def test_every_field_of_a_new_product_is_a_column_that_the_help_names(shop: CommandShop) -> None:
    values = [examples.PRODUCT[column] for column in COLUMNS]
    row = ",".join("" if value is None else str(value) for value in values)

    ended = shop.run("products", "import", "-", stdin=f"{','.join(COLUMNS)}\n{row}\n")

    assert set(COLUMNS) == set(ProductBody.__struct_encode_fields__)
    assert ended.out == "Made 1 product.\n", ended.err
    (made,) = listed(shop)
    assert [made[column] for column in COLUMNS] == values
    words = shop.run("products", "import", "--help").out
    assert [column for column in COLUMNS if column not in words] == []


def test_the_shops_own_hold_time_stands_where_the_file_has_none(shop: CommandShop) -> None:
    shop.run("products", "import", "-", stdin="name,price,stockQuantity\nA,1,1\n", FLASHRESERVE_HOLD_SECONDS="42")

    assert listed(shop)[0]["holdSeconds"] == 42


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffname,price,stockQuantity\nA,1,2\n".encode(),
        b"name,price,stockQuantity\r\nA,1,2\r\n",
        b"name,price,stockQuantity\nA,1,2",
        b"stockQuantity,name,price\n2,A,1\n",
        b'"name", price ,stockQuantity\n A , 1 , 2 \n\n,,\n',
        b"name,price,stockQuantity\rA,1,2\r",
        b"name,price,stockQuantity,,,\nA,1,2,,,\n,,,,,\n",
        b"name,price,stockQuantity\nA,1,2,,,,\n",
        b"name,price,stockQuantity,currency,holdSeconds\nA,1,2\n",
        b"name;price;stockQuantity\r\nA;1;2\r\n",
        b'"name"\t"price"\t"stockQuantity"\nA\t1\t2\n',
        b"sep=,\nname,price,stockQuantity\nA,1,2\n",
        b"\nname;price;stockQuantity\nA;1;2\n",
        b"\r\n  \r\nname\tprice\tstockQuantity\r\nA\t1\t2\r\n",
        b";;\n\nsep=;;;\nname;price;stockQuantity\nA;1;2\n",
        b'"sep=;"\r\nname;price;stockQuantity\r\nA;1;2\r\n',
        b"\xef\xbb\xbfSEP=\t\r\nname\tprice\tstockQuantity\r\nA\t1\t2\r\n",
        *("\ufeffname\tprice\tstockQuantity\r\nA\t1\t2\r\n".encode(each) for each in ("utf-16-le", "utf-16-be")),
        *("name\tprice\tstockQuantity\r\nA\t1\t2\r\n".encode(each) for each in ("utf-16-le", "utf-16-be")),
    ],
    ids=[
        "BOM",
        "CRLF",
        "no last line end",
        "columns in another order",
        "spaces and empty lines",
        "CR",
        "empty columns",
        "empty cells",
        "left out cells",
        "semicolons",
        "tabs",
        "sep=,",
        "an empty line before semicolons",
        "empty lines before tabs",
        "empty lines before sep=",
        "sep=;",
        "sep=TAB",
        "UTF-16 LE, BOM",
        "UTF-16 BE, BOM",
        "UTF-16 LE",
        "UTF-16 BE",
    ],
)
def test_spreadsheets_files_are_understood(shop: CommandShop, data: bytes) -> None:
    assert shop.run("products", "import", "-", stdin=data).out == "Made 1 product.\n"
    assert [(each["name"], each["stockQuantity"]) for each in listed(shop)] == [("A", 2)]


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (",1,USD,1,,,,,", "name", "1 to 200 characters"),
        ("\u200b,1,USD,1,,,,,", "name", "some of them visible"),
        ("A\u202eB,1,USD,1,,,,,", "name", "found U+202E"),
        ("x" * 201 + ",1,USD,1,,,,,", "name", "1 to 200 characters"),
        ('"A\nB",1,USD,1,,,,,', "name", "on one line"),
        ("A,,USD,1,,,,,", "price", "a number such as 999.99"),
        ("A,9.999,USD,1,,,,,", "price", "at most 2 decimal places for USD"),
        ("A,1.5,JPY,1,,,,,", "price", "at most 0 decimal places for JPY"),
        ("A,-1,USD,1,,,,,", "price", "a number"),
        ("A,NaN,USD,1,,,,,", "price", "a number"),
        ('A,"9,99",USD,1,,,,,', "price", "a number such as 999.99"),
        ("A,1e3,USD,1,,,,,", "price", "a number"),
        ("A,1,usd,1,,,,,", "currency", "three capital letters"),
        ("A,1,QQQ,1,,,,,", "currency", "ISO 4217"),
        ("A,1,USD,,,,,,", "stockQuantity", "a whole number from 0"),
        ("A,1,USD,-1,,,,,", "stockQuantity", "a whole number from 0"),
        ("A,1,USD,1.5,,,,,", "stockQuantity", "a whole number"),
        ("A,1,USD,ten,,,,,", "stockQuantity", "a whole number"),
        ("A,1,USD,1000000001,,,,,", "stockQuantity", "to 1000000000"),
        ("A,1,USD," + "9" * 5000 + ",,,,,", "stockQuantity", "a whole number"),
        ("A,1,USD,1,2026-11-27T10:00:00,,,,", "saleStartsAt", "with its zone"),
        ("A,1,USD,1,tomorrow,,,,", "saleStartsAt", "with its zone"),
        ("A,1,USD,1,1764000000,,,,", "saleStartsAt", "with its zone"),
        ("A,1,USD,1,2026-11-27T10:00:00Z,2026-11-27T10:00:00Z,,,", "saleEndsAt", ""),
        ("A,1,USD,1,,,0,,", "perCustomerLimit", "from 1 to 1000"),
        ("A,1,USD,1,,,,0,", "holdSeconds", "from 1 to 604800"),
        ("A,1,USD,1,,,,,-1", "maxExtensions", "from 0 to 100"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column_and_nothing_is_made(
    shop: CommandShop, row: str, column: str, expected: str
) -> None:
    shop.stock()
    before = shop.available()

    ended = shop.run("products", "import", "-", stdin=f"{HEADER}Good,1,USD,1,,,,,\n{row}\nGood,1,USD,1,,,,,\n")

    assert ended.code == 2
    assert f"line 3, column {column}: expected" in ended.err
    assert expected in ended.err
    assert shop.available() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column name: expected this column"),
        ("name,price\nA,1\n", "line 1, column stockQuantity: expected this column"),
        ("name,price,stockQuantity,colour\nA,1,1,red\n", "line 1, column colour: expected one of name, price"),
        ("name,name,price,stockQuantity\nA,A,1,1\n", "line 1, column name: expected once"),
        ("name|price|stockQuantity\nA|1|1\n", "line 1, column name|price|stockQuantity: expected one of name, price"),
        ("name,,price,stockQuantity\nA,,1,1\n", "line 1: expected one of name, price"),
        ("name,price,stockQuantity\nA,1\n", "line 2, column stockQuantity: expected a whole number"),
        ("sep=;\nname;price;stockQuantity\nA;1,5;1\n", "line 3, column price: expected a number such as 999.99"),
        ("name,price,stockQuantity\nA,1,1,1\n", "line 2: expected 3 values, as the first line has, and found 4"),
        ("name,price,stockQuantity\n", "line 2: expected a product"),
        ('name,price,stockQuantity\n"A,1,1\n', "line 2: expected comma-separated values"),
        ('name,price,stockQuantity\n"A"B,1,1\n', "line 2: expected comma-separated values"),
        ('name,price,stockQuantity\n"A\n\nB",1,1\nC,x,1\n', "line 5, column price"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_line(shop: CommandShop, text: str, message: str) -> None:
    ended = shop.run("products", "import", "-", stdin=text)

    assert ended.code == 2
    assert message in ended.err
    assert shop.files() == []


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_text_that_is_not_utf_8_is_refused_with_its_line(shop: CommandShop, end: str) -> None:
    text = end.join(["name,price,stockQuantity", "A,1,1", "Käse,1,1", ""])

    ended = shop.run("products", "import", "-", stdin=text.encode("latin-1"))

    assert ended.code == 2
    assert "line 3: expected UTF-8 text" in ended.err


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
def test_utf_32_is_refused_by_its_name(shop: CommandShop, mark: str, encoding: str) -> None:
    ended = shop.run("products", "import", "-", stdin=f"{mark}name,price,stockQuantity\nA,1,2\n".encode(encoding))

    assert ended.code == 2
    assert "standard input, line 1: expected UTF-8 text, found UTF-32; save the file as CSV UTF-8" in ended.err


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("last", "cut", "fault"),
    [
        ("弁当", 1, "it ends within a character; copy the whole file again"),
        ("🍱", 2, "it ends within a character; copy the whole file again"),
        ("\udf71A", 0, " is invalid; save the file as CSV UTF-8"),
    ],
)
def test_utf_16_that_is_cut_or_invalid_is_told_as_such(
    shop: CommandShop, mark: str, encoding: str, last: str, cut: int, fault: str
) -> None:
    data = f"{mark}name,price,stockQuantity\nKäse,1,1\n{last}".encode(encoding, "surrogatepass")

    ended = shop.run("products", "import", "-", stdin=data[: len(data) - cut])

    assert ended.code == 2
    assert "standard input, line 3: expected UTF-16 text, as the file begins; " in ended.err
    assert fault in ended.err


def test_all_faults_of_a_file_are_told_at_once_up_to_a_bound(shop: CommandShop) -> None:
    few = shop.run("products", "import", "-", stdin="name,price,stockQuantity\nA,x,1\nB,1,1\nC,1,x\n")
    many = shop.run("products", "import", "-", stdin="name,price,stockQuantity\n" + "A,x,1\n" * 1000)

    assert [line.partition(":")[0].removeprefix("standard input, ") for line in few.err.splitlines()] == [
        "line 2, column price",
        "line 4, column stockQuantity",
        "Error",
    ]
    assert len(many.err.splitlines()) == 22
    assert "there are more faults" in many.err


def test_a_file_of_more_products_than_allowed_is_refused(shop: CommandShop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flashreserve.cli.product_file.PRODUCTS_MAX", 3)
    rows = "A,1,1\n" * 4

    assert shop.run("products", "import", "-", stdin=f"name,price,stockQuantity\n{rows}").code == 2
    assert shop.run("products", "import", "-", stdin=f"name,price,stockQuantity\n{rows[6:]}").code == 0


def test_a_file_that_is_not_there_is_named(shop: CommandShop) -> None:
    ended = shop.run("products", "import", "nowhere.csv")

    assert ended.code == 2
    assert "nowhere.csv" in ended.err


def test_the_list_shows_what_is_available(shop: CommandShop) -> None:
    product_id = shop.stock(units=10, name="Käse\u009b31m")
    shop.reserve(product_id, quantity=3)

    out = shop.run("products", "list").out

    assert out.splitlines()[0].split() == [
        "ID",
        "AVAILABLE",
        "STOCKED",
        "PRICE",
        "SALE",
        "STARTS",
        "SALE",
        "ENDS",
        "NAME",
    ]
    assert out.splitlines()[1].split() == [product_id, "7", "10", "999.99", "USD", "-", "-", "Käse\\x9b31m"]


def test_a_list_of_several_pages_is_whole(shop: CommandShop) -> None:
    rows = "".join(f"P{number},1,1\n" for number in range(401))
    shop.run("products", "import", "-", stdin=f"name,price,stockQuantity\n{rows}")

    assert [each["name"] for each in listed(shop)] == [f"P{number}" for number in range(401)]
