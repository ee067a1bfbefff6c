"""Signatures: what the public library accepts, by which secrets, and for how long."""

import base64
import hashlib
import hmac
import time
from typing import Final

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.moving_clock import START_MS

from flashreserve.auth.keys import KeyRing
from flashreserve.webhooks.signatures import (
    ROTATION_MS,
    EndpointSecrets,
    MissingKey,
    SecretVersion,
    rotated,
    secret_of,
    signed_headers,
    signing_secrets,
)

OLD: Final = "old-key-of-32-bytes-or-more-for-tests"
NEW: Final = "new-key-of-32-bytes-or-more-for-tests"
KEYS: Final = KeyRing.parse(f"old:{OLD},new:{NEW}")
ENDPOINT: Final = EndpointSecrets("e1", SecretVersion("old", 1))
BODY: Final = '{"id": "r1-3", "name": "Bücher ✓"}'.encode()


def secrets_at(endpoint: EndpointSecrets, now_ms: int) -> tuple[str, ...]:
    found = signing_secrets(KEYS, endpoint, now_ms)
    assert not isinstance(found, MissingKey)
    return found


def test_the_library_verifies_what_is_signed() -> None:
    now_ms = time.time_ns() // 1_000_000
    (secret,) = secrets_at(ENDPOINT, now_ms)
    headers = signed_headers((secret,), "r1-3", BODY, now_ms)

    assert Webhook(secret).verify(BODY, headers)["id"] == "r1-3"
    assert headers["webhook-id"] == "r1-3"
    assert headers["webhook-timestamp"] == str(now_ms // 1000)
    for changed in (
        {**headers, "webhook-id": "r1-4"},
        {**headers, "webhook-timestamp": str(now_ms // 1000 - 1)},
        {**headers, "webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()},
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, changed)


def test_the_signature_is_of_utc_in_every_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        told.append(signed_headers(secrets_at(ENDPOINT, START_MS), "r1-3", BODY, START_MS))
    monkeypatch.undo()
    time.tzset()

    key = base64.b64decode(secrets_at(ENDPOINT, START_MS)[0].removeprefix("whsec_"))
    digest = hmac.digest(key, b"r1-3.%d." % (START_MS // 1000) + BODY, hashlib.sha256)
    assert [each["webhook-signature"] for each in told] == ["v1," + base64.b64encode(digest).decode()] * 3


def test_a_secret_is_derived_as_the_design_says() -> None:
    expected = hmac.digest(OLD.encode(), b"webhook:e1:1", hashlib.sha256)

    assert secret_of(KEYS, "e1", SecretVersion("old", 1)) == "whsec_" + base64.b64encode(expected).decode()


def test_endpoints_generations_and_keys_have_different_secrets() -> None:
    named = [
        ("e1", "old", 1),
        ("e1", "old", 2),
        ("e1", "new", 1),
        ("e2", "old", 1),
        ("e11", "old", 1),
        ("e1", "old", 11),
    ]

    assert len({secret_of(KEYS, id_, SecretVersion(kid, number)) for id_, kid, number in named}) == len(named)


def test_after_a_rotation_both_secrets_sign_for_a_day_and_then_the_new_one_only() -> None:
    endpoint = rotated(ENDPOINT, "new", START_MS)
    (old,), end_ms = secrets_at(ENDPOINT, START_MS), START_MS + ROTATION_MS

    both = secrets_at(endpoint, START_MS)
    assert both == secrets_at(endpoint, end_ms - 1) == (both[0], old)
    assert secrets_at(endpoint, end_ms) == (both[0],)
    assert both[0] == secret_of(KEYS, "e1", SecretVersion("new", 2))


def test_a_receiver_with_either_secret_accepts_a_delivery_during_a_rotation() -> None:
    now_ms = time.time_ns() // 1_000_000
    both = secrets_at(rotated(ENDPOINT, "new", now_ms), now_ms)
    headers = signed_headers(both, "r1-3", BODY, now_ms)

    assert len(both) == 2
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in both:
        Webhook(secret).verify(BODY, headers)


def test_a_second_rotation_within_a_day_ends_the_first_secret() -> None:
    twice = rotated(rotated(ENDPOINT, "new", START_MS), "new", START_MS + 1000)

    first = secret_of(KEYS, "e1", ENDPOINT.current)
    assert [twice.current.generation, twice.previous and twice.previous.generation] == [3, 2]
    assert first not in secrets_at(twice, START_MS + 1000)


def test_a_key_that_was_dropped_is_reported_if_it_is_the_current_one_and_else_left_out() -> None:
    dropped = KeyRing.parse(f"new:{NEW}")
    endpoint = rotated(ENDPOINT, "new", START_MS)

    assert signing_secrets(dropped, ENDPOINT, START_MS) == MissingKey("old")
    assert signing_secrets(dropped, endpoint, START_MS) == secrets_at(endpoint, START_MS)[:1]


def test_ids_that_would_make_a_signature_or_a_secret_ambiguous_are_defects() -> None:
    with pytest.raises(ValueError, match="dots"):
        signed_headers(secrets_at(ENDPOINT, 0), "r1.3", BODY, 0)
    with pytest.raises(ValueError, match="colons"):
        secret_of(KEYS, "e1:1", ENDPOINT.current)
    with pytest.raises(ValueError, match="always signed"):
        signed_headers((), "r1-3", BODY, 0)


def test_a_key_derives_only_for_a_named_purpose() -> None:
    with pytest.raises(ValueError, match="a word and a colon"):
        KEYS.derive("old", b"eyJhbGciOiJIUzI1NiJ9.e30")
    assert KEYS.derive("other", b"webhook:e1:1") is None
