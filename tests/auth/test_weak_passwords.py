import subprocess
import sys
import tracemalloc

import pytest

from flashreserve.auth.passwords import PASSWORD_LENGTH_MIN
from flashreserve.auth.weak_passwords import HEAD_END, LIST_FILE, refusal_of_weak, shop_names

EMAIL = "anna.smith@example.com"
NAMES = shop_names(["tickets.example", "www.kiosk.example"])


@pytest.mark.parametrize(
    "password",
    [
        *("password", "12345678", "123456789", "1234567890", "qwertyuiop", "iloveyou", "87654321", "11111111"),
        *("password1", "password123", "passw0rd", "p@ssword", "1q2w3e4r", "1qaz2wsx", "trustno1", "changeme"),
        *("PASSWORD", "Password1", "  password ", "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44"),
    ],
)
def test_a_common_password_is_refused(password: str) -> None:
    refused = refusal_of_weak(password, EMAIL, NAMES)
    assert refused is not None
    assert (refused.field, "most common" in refused.message) == ("password", True)


@pytest.mark.parametrize(
    "password",
    [
        *(
            "anna.smith@example.com",
            "Anna.Smith@Example.com",
            "annasmith",
            "anna smith",
            "Anna.Smith1",
            "anna_smith_2026",
        ),
        "2026annasmith",
    ],
)
def test_one_s_own_email_is_refused(password: str) -> None:
    refused = refusal_of_weak(password, EMAIL, NAMES)
    assert refused is not None
    assert "your e-mail address" in refused.message


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("maxi20@example.com", "maxi20123"),
        ("maxi20@example.com", "2026-Maxi20"),
        ("anna.smith+shop@x.example", "anna.smith@x.example"),
        ("anna.smith+shop@x.example", "annasmith99"),
        ("anna.smith+shop@x.example", "anna.smith+shop"),
    ],
)
def test_an_email_with_digits_or_a_tag_is_refused(email: str, password: str) -> None:
    refused = refusal_of_weak(password, email, NAMES)
    assert refused is not None
    assert "your e-mail address" in refused.message


@pytest.mark.parametrize("password", ["~~~~~~~~~~", "ababababab", "12345678901234", "0987654321098", "abcdefghijkl"])
def test_a_pattern_is_refused(password: str) -> None:
    assert refusal_of_weak(password, EMAIL, NAMES) is not None


def test_a_shop_s_name_with_digits_is_refused() -> None:
    assert refusal_of_weak("my-shop24 2024", EMAIL, shop_names(["my-shop24.example"])) is not None


@pytest.mark.parametrize(
    "password", ["flashreserve", "FlashReserve", "Flash Reserve!", "flashreserve2026", "tickets.example", "Kiosk-1234"]
)
def test_the_shop_s_name_is_refused(password: str) -> None:
    refused = refusal_of_weak(password, EMAIL, NAMES)
    assert refused is not None
    assert "the shop's name" in refused.message


@pytest.mark.parametrize(
    "password",
    [
        *("correct horse", "long enough", "annasmith-8347-2834", "smith and anna", "flash of reserve", "x" * 9 + "yz!"),
        *(
            "password of mine",
            "\n123456789\nabc",
            "a\npassword\nb",
            "# Common passwords",
            "\u6211\u5fd8\u4e86\u5bc6\u7801\u600e\u4e48\u529e",
        ),
    ],
)
def test_others_are_taken(password: str) -> None:
    assert refusal_of_weak(password, EMAIL, NAMES) is None


def test_a_short_name_in_the_email_forbids_little() -> None:
    assert refusal_of_weak("a-7291-8364", "a@example.com", NAMES) is None
    assert refusal_of_weak("ann-7291-8364", "ann@example.com", NAMES) is None
    assert refusal_of_weak("ann-2026", "ann@example.com", NAMES) is not None


def test_the_list_names_its_sources_and_has_what_could_be_chosen() -> None:
    head, _, listed = LIST_FILE.read_text(encoding="utf-8").partition(HEAD_END)
    words = listed.removesuffix("\n").split("\n")
    assert "zxcvbn 4.5.0" in head
    assert "MIT licence" in head
    assert "BSD 3-clause licence" in head
    assert len(words) > 15_000
    assert words == sorted(set(words))
    assert all(len(word) >= PASSWORD_LENGTH_MIN and word == word.strip().casefold() for word in words)


def test_the_list_costs_nothing_before_it_is_needed_and_little_afterwards() -> None:
    program = "import flashreserve.auth.weak_passwords as w; print(w._common.cache_info().currsize)"
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ended.stdout == "0\n"
    tracemalloc.start()
    try:
        refusal_of_weak("correct horse", EMAIL, NAMES)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
