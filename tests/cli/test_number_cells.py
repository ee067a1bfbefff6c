"""Numbers as spreadsheets write them: read exactly, or not at all where they could mean two things."""

import pytest

from flashreserve.cli import number_cells


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1299", "1299"),
        ("1299.99", "1299.99"),
        ("-1", "-1"),
        ("9,99", "9.99"),
        ("1299,99", "1299.99"),
        ("1299,999", "1299.999"),
        ("0,299", "0.299"),
        ("1,299.99", "1299.99"),
        ("1.299,99", "1299.99"),
        ("1,299,000", "1299000"),
        ("1.299.000", "1299000"),
        ("1.299.000,5", "1299000.5"),
        ("1 299", "1299"),
        ("1 299,99", "1299.99"),
        ("1\u00a0299.99", "1299.99"),
        ("1\u202f299,99", "1299.99"),
        ("1'299.99", "1299.99"),
        ("1\u2019299.99", "1299.99"),
        ("1.299", "1.299"),  # A point alone is the decimal point, as the API writes it.
        ("1,299", None),
        ("12,34,567", None),
        ("1,2345,678", None),
        ("1,299,99", None),
        ("1.299.99", None),
        ("1 299 99", None),
        ("0.123.456", None),
        ("0,123.45", None),
        ("01.299,99", None),
        ("1,299 000", None),
        ("1,,299", None),
        (",99", None),
        ("9,", None),
        ("1e3", None),
        ("NaN", None),
        ("€9.99", None),
        ("\u0661", None),
        ("", None),
        ("9" * 19, None),
    ],
)
def test_a_price(cell: str, expected: str | None) -> None:
    assert number_cells.price(cell) == expected


@pytest.mark.parametrize(
    ("cell", "decimals", "expected"),
    [
        ("1,299", True, "1,299 may be 1299 or 1.299; write 1299 or 1,299.00"),
        ("12,500", True, "12,500 may be 12500 or 12.5; write 12500 or 12,500.00"),
        ("1,000", False, "1,000 may be 1000 or 1; write 1000"),
        ("1.500", False, "1.500 may be 1500 or 1.5; write 1500"),
        ("1.299", True, ""),
        ("0,299", True, ""),
        ("1299,999", True, ""),
        ("1,299,99", True, ""),
        ("ten", False, ""),
        ("1.5", False, ""),
    ],
)
def test_a_cell_that_may_be_two_numbers(cell: str, decimals: bool, expected: str) -> None:  # noqa: FBT001
    assert number_cells.doubt(cell, decimals=decimals) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("0", 0),
        ("1000", 1000),
        ("1 000", 1000),
        ("1'000", 1000),
        ("1\u202f000", 1000),
        ("1,000,000", 1_000_000),
        ("1.000.000", 1_000_000),
        ("-5", -5),
        ("1,000", None),
        ("1.000", None),
        ("1,000.0", None),
        ("0'123", None),
        ("0 000", None),
        ("012 345", None),
        ("1.5", None),
        ("1,5", None),
        ("ten", None),
        ("", None),
    ],
)
def test_a_whole_number(cell: str, expected: int | None) -> None:
    assert number_cells.whole_number(cell) == expected
