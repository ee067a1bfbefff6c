"""Secrets in everything that is shown: recognised by place, by form, and, for settings, by value."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flashreserve.redaction import HIDDEN, redact, redact_url, remember, url_secrets
from flashreserve.settings import Settings

SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    remember(())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://a:27017,b/shop?replicaSet=rs0&w=majority", None),
        ("redis://localhost:6379/1", None),
        ("unix:///run/redis.sock?db=1", None),
        ("mongodb://shop:hunter2@a,b/db", "mongodb://[secret]@a,b/db"),
        ("mongodb://hunter2@a/db", "mongodb://[secret]@a/db"),
        ("mongodb://shop:hunt@er/2?hunter2@a/db", "mongodb://[secret]@a/db"),
        ("mongodb://shop:hunter2#hunter2@a/db", "mongodb://[secret]@a/db"),
        ("redis://:hunter2@c/0", "redis://[secret]@c/0"),
        ("unix://u:hunter2@/run/redis.sock", "unix://[secret]@/run/redis.sock"),
        (
            "mongodb://a/db?authMechanismProperties=AWS_SESSION_TOKEN:hunter2&tls=true",
            "mongodb://a/db?authMechanismProperties=[secret]&tls=true",
        ),
        (
            "mongodb://a/?tlsCertificateKeyFilePassword=hunter2;authSource=admin",
            "mongodb://a/?tlsCertificateKeyFilePassword=[secret];authSource=admin",
        ),
        ("mongodb://a/?TLSCERTIFICATEKEYFILEPASSWORD=hunter2", "mongodb://a/?TLSCERTIFICATEKEYFILEPASSWORD=[secret]"),
        ("mongodb://a/?futureOption=hunter2", "mongodb://a/?futureOption=[secret]"),
        ("mongodb://a/?hunter2", "mongodb://a/?[secret]"),
        ("mongodb://a/db#hunter2", "mongodb://a/db"),
        ("rediss://c/0?ssl_password=hunter2&password=hunter2", "rediss://c/0?ssl_password=[secret]&password=[secret]"),
    ],
)
def test_a_url_is_shown_without_credentials_and_unknown_options(url: str, shown: str | None) -> None:
    assert redact_url(url) == (shown or url)
    assert redact(f"cannot reach {url} now") == f"cannot reach {shown or url} now"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2 is wrong", "password=[secret] is wrong"),
        ("tried AWS_SESSION_TOKEN=hunter2, in vain", "tried AWS_SESSION_TOKEN=[secret], in vain"),
        ("ssl_keyfile_passphrase=hunter2", "ssl_keyfile_passphrase=[secret]"),
        ("FLASHRESERVE_METRICS_TOKEN: expected 32 bytes", None),
        ("--tokens: expected with --url", None),
        ("ready on http://127.0.0.1:3000/api-docs", None),
        ("", None),
    ],
)
def test_a_text_is_shown_without_what_follows_a_secret_s_name(text: str, shown: str | None) -> None:
    assert redact(text) == (text if shown is None else shown)


SPELLINGS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp")), max_size=6)
PLACES = st.sampled_from(
    [
        "mongodb://{}@h/db",
        "mongodb://u:{}@h/db?replicaSet=x",
        "redis://:{}@h:6379/0",
        "mongodb://h/db?authMechanismProperties={}",
        "mongodb://h/db?x=1&tlsCertificateKeyFilePassword={}&tls=true",
        "rediss://h/0?password={}",
    ]
)


@given(place=PLACES, before=SPELLINGS, after=SPELLINGS)
@example(place="mongodb://h/db?authMechanismProperties={}", before="@", after="")
def test_no_spelling_of_a_secret_in_a_url_is_shown(place: str, before: str, after: str) -> None:
    # The special characters of a password should be escaped, but often aren't.
    if "?" in place:
        before, after = before.replace("&", "").replace(";", ""), after.replace("&", "").replace(";", "")
    url = place.format(before + SECRET + after)

    assert SECRET not in redact_url(url)
    assert SECRET not in redact(f"InvalidURI: {url!r} can't be used")


def test_secrets_of_the_settings_are_recognised_by_value_in_any_text_and_spelling() -> None:
    remember(
        Settings(
            store="mongodb://shop:p%40ss%20word@a/db?authMechanismProperties=AWS_SESSION_TOKEN:session-token,X:y",
            redis_url="redis://:queue-password@c/0",
            secret_keys="k1:" + "first-secret-" * 3 + ", k2:" + "other-secret-" * 3,
            metrics_token="the-token-of-the-metrics",
        ).secrets
    )

    for value in ("p@ss word", "p%40ss%20word", "session-token", "queue-password", "first-secret-" * 3):
        assert redact(f"auth failed for ({value})") == f"auth failed for ({HIDDEN})"
    assert redact("<" + "other-secret-" * 3 + ">" + "the-token-of-the-metrics") == f"<{HIDDEN}>{HIDDEN}"


def test_words_too_short_to_be_told_from_others_are_hidden_by_their_place_only() -> None:
    remember(url_secrets("mongodb://shop:on@a/db"))

    assert redact("goes on") == "goes on"
    assert redact("mongodb://shop:on@a/db") == "mongodb://[secret]@a/db"


@pytest.mark.parametrize("unit", ["x", "eyJ", "a://", "token", "token=", "$argon2", "a.b-", "://@", "://?a=b&"])
def test_redacting_takes_no_longer_for_texts_made_to_be_slow(unit: str) -> None:
    text = (unit * 8_000)[:8_000]
    began = time.process_time()

    redact(text)

    # A pattern that backtracks takes seconds; this takes a few milliseconds.
    assert time.process_time() - began < 1.0
