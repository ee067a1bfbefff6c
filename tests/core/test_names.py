import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashreserve.core import limits
from flashreserve.core.names import parse_name
from flashreserve.core.outcomes import Invalid

SHOWN_FORMATS = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
"""Format characters (Cf) that are visible: Arabic, Syriac and Kaithi signs that enclose numbers and letters."""


def test_what_unicode_calls_a_space_separator_control_or_format_character_shows_nothing() -> None:
    unseen = {"Zs", "Zl", "Zp", "Cc", "Cf"}
    every = {chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in unseen}

    assert {letter for letter in every if not isinstance(parse_name(letter), Invalid)} == SHOWN_FORMATS
    assert {letter for letter in every if parse_name(f"{letter}A{letter}") != "A"} == SHOWN_FORMATS


def test_what_unicode_calls_a_control_or_a_separator_of_lines_is_in_no_name() -> None:
    every = {chr(code) for code in range(sys.maxunicode + 1)}
    refused = {letter for letter in every if isinstance(parse_name(f"A{letter}B"), Invalid)}

    assert refused == {letter for letter in every if unicodedata.category(letter) in {"Cc", "Zl", "Zp"}} | set(
        "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


@pytest.mark.parametrize("length", [0, limits.NAME_LENGTH_MAX + 1, 60_000])
def test_a_name_has_at_least_one_and_at_most_200_characters(length: int) -> None:
    assert isinstance(parse_name("x" * length), Invalid)
    assert parse_name(" " * length + "x" * limits.NAME_LENGTH_MAX + " " * length) == "x" * limits.NAME_LENGTH_MAX


@given(st.text())
def test_a_name_reads_as_itself(text: str) -> None:
    name = parse_name(text)

    assert isinstance(name, Invalid) or (name in text and parse_name(name) == name)


def test_a_refusal_names_the_character() -> None:
    refused = parse_name("a\u202eb")

    assert isinstance(refused, Invalid)
    assert re.fullmatch(r"expected text on one line, .*; found U\+202E", refused.message)
