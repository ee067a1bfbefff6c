"""`flashreserve products`."""

import json
import re

import pytest
from tests.cli.conftest import CommandShop, EndedCommand

from flashreserve.cli.failures import FailedError
from flashreserve.cli.product_file import COLUMNS
from flashreserve.cli.products import _refuse
from flashreserve.core.outcomes import Unavailable
from flashreserve.http.bodies import ProductBody
from flashreserve.http.operations import examples
from flashreserve.service.imports import ImportRefused
from flashreserve.stores.port import StoreUnavailableError

HEADER = "name,price,currency,stockQuantity,saleStartsAt,saleEndsAt,perCustomerLimit,holdSeconds,maxExtensions\n"


def listed(shop: CommandShop) -> list[dict[str, object]]:
    return [json.loads(line) for line in shop.run("products", "list", "--json").out.splitlines()]


def made(out: str) -> int:
    """How many products an import made. It changed none."""
    found = re.fullmatch(r"Made ([0-9]+) products?, changed 0, left 0 unchanged\.", out.splitlines()[-1])
    assert found is not None, out
    return int(found[1])


def test_an_import_makes_every_product_with_all_its_rules(shop: CommandShop) -> None:
    text = HEADER + (
        "iPhone 15,999.99,USD,10,2026-11-27T10:00:00+01:00,2026-11-28T00:00:00Z,2,300,3\n"
        '"Käse, alt",12,EUR,0,,,,,\n'
        "弁当,500,JPY,7,,,,,\n"
    )
    (shop.directory / "sale.csv").write_text(text, encoding="utf-8")

    ended = shop.run("products", "import", "sale.csv")

    assert ended.code == 0
    assert ended.out.endswith("Made 3 products, changed 0, left 0 unchanged.\n")
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
    metadata = {"material": "steel"}
    header = [*COLUMNS, *(f"metadata.{key}" for key in metadata)]
    row = ",".join("" if value is None else f'"{value}"' for value in (*values, *metadata.values()))

    ended = shop.run("products", "import", "-", stdin=f"{','.join(header)}\n{row}\n")

    assert {*COLUMNS, "metadata"} == set(ProductBody.__struct_encode_fields__)
    assert made(ended.out) == 1, ended.err
    (product,) = listed(shop)
    assert [product[column] for column in COLUMNS] == values
    assert product["metadata"] == metadata
    words = shop.run("products", "import", "--help").out
    assert [column for column in (*COLUMNS, "metadata.KEY") if column not in words] == []


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
    assert made(shop.run("products", "import", "-", stdin=data).out) == 1
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
        ('A,"9,999",USD,1,,,,,', "price", "a number such as 999.99"),
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
        ("", "line 1: the column name is missing"),
        ("name,price\nA,1\n", "line 1: the column stockQuantity is missing"),
        ("name,price,stockQuantity,colour\nA,1,1,red\n", "line 1, column colour: expected one of name, price"),
        ("Name,price,stockQuantity\nA,1,1\n", "line 1, column Name: unknown column; did you mean name?"),
        ("name,price,stock_quantity\nA,1,1\n", "column stock_quantity: unknown column; did you mean stockQuantity?"),
        ("name,price,stock quantity\nA,1,1\n", "column stock quantity: unknown column; did you mean stockQuantity?"),
        ("name,price,stockQuantity,names\nA,1,1,B\n", "line 1, column names: expected one of name, price"),
        ("PK\x03\x04\n", "line 1: this is an Excel file; save it as CSV UTF-8"),
        ('name,price,stockQuantity\nA,"1,299",1\n', "; 1,299 may be 1299 or 1.299; write 1299 or 1,299.00"),
        ('name,price,stockQuantity\nA,1,"1,000"\n', "; 1,000 may be 1000 or 1; write 1000"),
        ("name,name,price,stockQuantity\nA,A,1,1\n", "line 1, column name: expected once"),
        (
            "name,price,stockQuantity,metadata.\nA,1,1,x\n",
            "line 1, column metadata.: unknown column; did you mean metadata.KEY?",
        ),
        ("name,price,stockQuantity,metadata.a,metadata.a\nA,1,1,x,x\n", "line 1, column metadata.a: expected once"),
        (
            "name,price,stockQuantity,externalId\nA,1,1,x\nB,1,1,y\nC,1,1,x\n",
            "line 4, column externalId: expected once; line 2 has it too",
        ),
        (f"name,price,stockQuantity,externalId\nA,1,1,{'x' * 129}\n", "line 2, column externalId: expected"),
        (f"name,price,stockQuantity,metadata.k\nA,1,1,{'x' * 501}\n", "line 2, column metadata"),
        ("name,price,stockQuantity,imageUrl\nA,1,1,ftp://x\n", "line 2, column imageUrl: expected"),
        ("name|price|stockQuantity\nA|1|1\n", "line 1, column name|price|stockQuantity: expected one of name, price"),
        ("name,,price,stockQuantity\nA,,1,1\n", "line 1: expected one of name, price"),
        ("name,price,stockQuantity\nA,1\n", "line 2, column stockQuantity: expected a whole number"),
        ("sep=;\nname;price;stockQuantity\nA;1,500;1\n", "line 3, column price: expected a number such as 999.99"),
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


def test_a_column_that_is_misspelt_is_told_once(shop: CommandShop) -> None:
    ended = shop.run("products", "import", "-", stdin="Nam,price\nA,1\n")

    assert ended.err.splitlines()[:-1] == [
        "standard input, line 1, column Nam: unknown column; did you mean name?",
        "standard input, line 1: the column stockQuantity is missing",
    ]


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


OURS = """\
externalId,name,price,stockQuantity,perCustomerLimit,description,metadata.colour
IP15,iPhone 15,999.99,10,2,A phone,black
KÄSE 1,"Käse, alt",12,7,,,
"""


def changes(out: str) -> list[str]:
    """What an import did with each product."""
    return [line.split()[0] for line in out.splitlines()[:-1]]


def test_the_same_file_again_changes_nothing(shop: CommandShop) -> None:
    first = shop.run("products", "import", "-", stdin=OURS)
    before = listed(shop)
    again = shop.run("products", "import", "-", stdin=OURS)

    assert (changes(first.out), changes(again.out)) == (["made", "made"], ["unchanged", "unchanged"])
    assert listed(shop) == before
    assert [each["externalId"] for each in before] == ["IP15", "KÄSE 1"]
    assert (before[0]["description"], before[0]["metadata"]) == ("A phone", {"colour": "black"})
    ids = [str(each["id"]) for each in before]
    assert [line.split()[1] for line in again.out.splitlines()[:-1]] == ids
    assert again.out.endswith("Made 0 products, changed 0, left 2 unchanged.\n")


def test_a_changed_file_changes_what_it_names_and_keeps_the_stock(shop: CommandShop) -> None:
    shop.run("products", "import", "-", stdin=OURS)
    file = 'externalId,name,price,stockQuantity\nIP15,iPhone 15,899,99\nNEW,New,1,1\nKÄSE 1,"Käse, alt",12,0\n'
    ended = shop.run("products", "import", "-", stdin=file)

    assert changes(ended.out) == ["changed", "made", "unchanged"]
    phone, cheese, new = listed(shop)
    assert (phone["price"], phone["stockQuantity"], phone["perCustomerLimit"]) == ("899.00", 10, 2)
    assert (phone["description"], phone["metadata"]) == ("A phone", {"colour": "black"})
    assert (cheese["stockQuantity"], new["name"]) == (7, "New")
    first, second = ended.err.splitlines()
    assert first.startswith("standard input, line 2: stockQuantity 99 is not applied: IP15 has 10 stocked;")
    assert first.endswith(f" restock by POST /products/{phone['id']}/stock")
    assert second.startswith("standard input, line 4: stockQuantity 0 is not applied: KÄSE 1 has 7 stocked;")


def test_stock_that_was_sold_is_still_the_stock_of_the_file(shop: CommandShop) -> None:
    shop.run("products", "import", "-", stdin=OURS)
    shop.reserve(str(listed(shop)[0]["id"]), quantity=2)

    again = shop.run("products", "import", "-", stdin=OURS)

    assert (changes(again.out), again.err) == (["unchanged", "unchanged"], "")


def test_an_empty_cell_takes_away_what_was_there(shop: CommandShop) -> None:
    shop.run("products", "import", "-", stdin=OURS)
    shop.run("products", "import", "-", stdin=OURS.replace("2,A phone,black", ",,"))

    phone = listed(shop)[0]
    assert (phone["perCustomerLimit"], phone["description"], phone["metadata"]) == (None, None, {})


def test_an_archived_product_stays_so_and_its_line_says_it(shop: CommandShop) -> None:
    shop.run("products", "import", "-", stdin=OURS)
    shop.archive(str(listed(shop)[0]["id"]))
    for file, change in ((OURS, "unchanged"), (OURS.replace("999.99", "899.99"), "changed")):
        phone, cheese, _ = shop.run("products", "import", "-", stdin=file).out.splitlines()
        assert (phone.split()[0], phone.endswith("  iPhone 15  (archived: not sold)")) == (change, True)
        assert "archived" not in cheese

    assert [each["archived"] for each in listed(shop)] == [True, False]


def test_a_column_of_metadata_changes_its_key_alone(shop: CommandShop) -> None:
    header = "externalId,name,price,stockQuantity"
    shop.run("products", "import", "-", stdin=f"{header},metadata.a,metadata.b.c,metadata.d\nX,X,1,1,1,2,3\n")
    ended = shop.run("products", "import", "-", stdin=f"{header},metadata.b.c,metadata.d,metadata.e\nX,X,1,1,20,,5\n")
    again = shop.run("products", "import", "-", stdin=f"{header},metadata.b.c,metadata.d\nX,X,1,1,20,\n")

    assert (changes(ended.out), changes(again.out)) == (["changed"], ["unchanged"])
    assert listed(shop)[0]["metadata"] == {"a": "1", "b.c": "20", "e": "5"}


def test_metadata_has_no_more_keys_than_allowed_with_those_that_stay(shop: CommandShop) -> None:
    def imported(keys: range, value: str = "1") -> EndedCommand:
        header = ",".join(f"metadata.{key}" for key in keys)
        row = ",".join([value] * len(keys))
        text = f"externalId,name,price,stockQuantity,{header}\nX,X,1,1,{row}\n"
        return shop.run("products", "import", "-", stdin=text)

    imported(range(20))
    before = listed(shop)
    refused = imported(range(19, 21))

    assert (refused.code, listed(shop)) == (2, before)
    assert "line 2, column metadata: expected at most 20 keys; with its others it has 21" in refused.err
    assert (imported(range(19, 20), "").code, imported(range(20, 21)).code) == (0, 0)
    assert len(listed(shop)[0]["metadata"]) == 20  # type: ignore[arg-type]


IN_THREE_CURRENCIES = """\
externalId,name,price,stockQuantity,currency
Y,Yen,1250,5,JPY
D,Dinar,12.505,5,KWD
E,Euro,12.50,5,EUR
"""


def test_a_price_without_a_currency_is_in_that_of_the_existing_product(shop: CommandShop) -> None:
    shop.run("products", "import", "-", stdin=IN_THREE_CURRENCIES)
    no_column = "externalId,name,price,stockQuantity\nY,Yen,1250,5\nD,Dinar,12.505,5\nE,Euro,12.5,5\n"
    no_value = IN_THREE_CURRENCIES.replace("JPY", "").replace("KWD", " ")
    for file in (no_column, no_value):
        ended = shop.run("products", "import", "-", stdin=file)
        assert changes(ended.out) == ["unchanged"] * 3, ended.err
    dearer = shop.run("products", "import", "-", stdin=no_column.replace("1250", "1300").replace("12.505", "12.506"))

    assert changes(dearer.out) == ["changed", "changed", "unchanged"]
    assert [(each["price"], each["currency"]) for each in listed(shop)] == [
        ("1300", "JPY"),
        ("12.506", "KWD"),
        ("12.50", "EUR"),
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("Y,Yen,12.5,5", "line 3, column price: expected at most 0 decimal places for JPY"),
        ("D,Dinar,12.5055,5", "line 3, column price: expected at most 3 decimal places for KWD"),
        ("E,Euro,12.505,5", "line 3, column price: expected at most 2 decimal places for EUR"),
        ("N,New,12.505,5", "line 3, column price: expected at most 2 decimal places for USD"),
        (",New,12.505,5", "line 3, column price: expected at most 2 decimal places for USD"),
        ("Y,Yen,-1,5", "line 3, column price: expected a number"),
    ],
)
def test_a_price_with_more_decimals_than_the_products_currency_is_refused(
    shop: CommandShop, row: str, expected: str
) -> None:
    shop.run("products", "import", "-", stdin=IN_THREE_CURRENCIES)
    before = listed(shop)
    ended = shop.run("products", "import", "-", stdin=f"externalId,name,price,stockQuantity\nX,Good,1,1\n{row}\n")

    assert (ended.code, listed(shop)) == (2, before)
    assert expected in ended.err
    assert "nothing was imported" in ended.err


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("IP15,iPhone 15,999.99,10,,,,EUR", "line 2, column currency: expected USD"),
        (
            "IP15,x,1,10,,2026-11-27T10:00:00Z,2026-11-27T10:00:00Z,",
            "line 2, column saleEndsAt: expected an instant after",
        ),
    ],
)
def test_an_existing_product_that_cant_be_so_is_told_and_nothing_is_imported(
    shop: CommandShop, row: str, expected: str
) -> None:
    shop.run("products", "import", "-", stdin=OURS)
    before = listed(shop)
    header = "externalId,name,price,stockQuantity,perCustomerLimit,saleStartsAt,saleEndsAt,currency"
    ended = shop.run("products", "import", "-", stdin=f"{header}\n{row}\nNEW,New,1,1,,,,\n")

    assert (ended.code, listed(shop)) == (2, before)
    assert expected in ended.err
    assert "nothing was imported" in ended.err


def test_a_limit_that_is_fixed_is_told_and_the_rest_can_be_imported_again(shop: CommandShop) -> None:
    shop.run("products", "import", "-", stdin=OURS)
    shop.reserve(str(listed(shop)[0]["id"]), quantity=1)
    file = OURS.replace("10,2,A", "10,1,A").replace(",12,7", ",13,7")
    refused = shop.run("products", "import", "-", stdin=file)
    again = shop.run("products", "import", "-", stdin=file.replace("10,1,A", "10,3,A"))

    assert refused.code == 1
    assert "line 2, column perCustomerLimit: after the first reservation the limit can only be raised" in refused.err
    assert "a part was imported; correct the line and import the file again" in refused.err
    assert changes(again.out) == ["changed", "unchanged"]


def test_a_limit_that_is_fixed_and_alone_changes_nothing(shop: CommandShop) -> None:
    shop.run("products", "import", "-", stdin=OURS)
    shop.reserve(str(listed(shop)[0]["id"]), quantity=1)
    before = listed(shop)

    refused = shop.run("products", "import", "-", stdin=OURS.replace("10,2,A", "10,1,A"))

    assert (refused.code, listed(shop)) == (2, before)
    assert "nothing was imported" in refused.err


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


def test_a_list_is_filtered_as_over_http(shop: CommandShop) -> None:
    file = (
        "name,price,stockQuantity,externalId,saleStartsAt\nA,1,1,x,\nB,1,1,y,2999-01-01T00:00:00Z\nC,1,1,z,\n"
        "D,1,1,v,2999-01-01T00:00:00Z\n"
    )
    shop.run("products", "import", "-", stdin=file)
    for product in listed(shop)[2:]:
        shop.archive(str(product["id"]))

    def names(*options: str) -> str:
        rows = shop.run("products", "list", *options).out.splitlines()[1:]
        lines = shop.run("products", "list", "--json", *options).out.splitlines()
        found = "".join(row.split()[-1] for row in rows)
        assert [json.loads(line)["name"] for line in lines] == list(found)
        return found

    assert names() == "ABCD"
    assert (names("--archived"), names("--not-archived")) == ("CD", "AB")
    assert (names("--on-sale"), names("--not-on-sale")) == ("AC", "BD")
    assert names("--not-archived", "--on-sale") == "A"
    assert (names("--external-id", "y"), names("--external-id", "Y")) == ("B", "")
    refused = shop.run("products", "list", "--external-id", "")
    assert refused.code == 2
    assert "--external-id" in refused.err


def test_a_list_of_several_pages_is_whole(shop: CommandShop) -> None:
    rows = "".join(f"P{number},1,1\n" for number in range(401))
    shop.run("products", "import", "-", stdin=f"name,price,stockQuantity\n{rows}")

    assert [each["name"] for each in listed(shop)] == [f"P{number}" for number in range(401)]


@pytest.mark.parametrize(("begun", "error"), [(True, FailedError), (False, StoreUnavailableError)])
def test_a_part_that_was_imported_before_an_outage_is_told(*, begun: bool, error: type[Exception]) -> None:
    with pytest.raises(error, match="line 3") as told:
        _refuse("sale.csv", 3, ImportRefused(1, Unavailable("the database is away"), begun))
    assert ("a part was imported" in str(told.value)) is begun
