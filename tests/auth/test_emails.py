import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashreserve.auth.emails import normalised_email
from flashreserve.auth.outcomes import InvalidField


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("ada@example.com", "ada@example.com"),
        (" Ada@Example.COM ", "ada@example.com"),
        ("a.b+c_d'e@sub.example.co", "a.b+c_d'e@sub.example.co"),
        ("admin@localhost", "admin@localhost"),
        ("x@xn--bcher-kva.example", "x@xn--bcher-kva.example"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_an_address_has_one_spelling(text: str, email: str) -> None:
    assert normalised_email(text) == email


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "ada@example",
            "a@b@example.com",
            "ada@.com",
            "ada@example..com",
        ),
        *("ada@example.com.", "a da@example.com", "ada@exa mple.com", "ada@example.com\n", "ada\x00@example.com"),
        *("\tada@example.com", "ada@-example.com", "ada@example-.com", "ada@exam_ple.com", "ada@[127.0.0.1]"),
        *(
            "ad\u0430@example.com",
            "ada@bücher.example",
            "ada\u212a@example.com",
            "\ud800@example.com",
            "<ada@example.com>",
        ),
        *("a" * 65 + "@example.com", "a@" + "b" * 64 + ".com", "a@" + "b." * 150 + "com", "x" * 1_000_000),
    ],
)
def test_what_is_no_address_is_refused_by_its_field(text: str) -> None:
    refused = normalised_email(text)
    assert isinstance(refused, InvalidField)
    assert refused.field == "email"
    assert len(refused.message) < 100


def test_254_characters_are_an_address_and_255_are_not() -> None:
    domain = ".".join(["b" * 63] * 3)
    assert len(f"{'a' * 58}@{domain}.com") == 254
    assert isinstance(normalised_email(f"{'a' * 58}@{domain}.com"), str)
    assert isinstance(normalised_email(f"{'a' * 59}@{domain}.com"), InvalidField)


@given(st.one_of(st.emails(), st.text(), st.from_regex(r"\A[ -~]{1,20}@[ -~]{1,20}\Z")))
def test_what_is_accepted_is_its_own_normal_form(text: str) -> None:
    email = normalised_email(text)
    if isinstance(email, str):
        assert normalised_email(email) == email
        assert normalised_email(text.swapcase()) == email
        assert email.count("@") == 1
        assert email.isascii()
        assert email.isprintable()
        assert " " not in email
