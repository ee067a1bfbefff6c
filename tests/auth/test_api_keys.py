"""The list of API keys that a process keeps, and what it accepts by it."""

import pytest
from msgspec.structs import replace

from flashreserve.auth.api_keys import KeyIdentity, KeyList, NewSecret, is_api_key, new_secret
from flashreserve.auth.keys import Refusal, TokenRefused
from flashreserve.core.model import ApiKey, Scope

NOW = 1_000_000_000
SECRET = new_secret("k1")
KEY = ApiKey("k1", "backend", (Scope.CUSTOMERS,), SECRET.secret_hash, NOW, None, NOW + 60_000)
PROGRAM = KeyIdentity("k1", frozenset({Scope.CUSTOMERS}))


@pytest.fixture
def keys() -> KeyList:
    keys = KeyList()
    keys.learn([KEY])
    return keys


def test_a_key_names_its_program_each_time(keys: KeyList) -> None:
    assert [keys.find(SECRET.text, NOW) for _ in range(3)] == [PROGRAM] * 3


def test_an_id_that_is_not_in_the_list_may_be_a_new_key(keys: KeyList) -> None:
    assert keys.find(new_secret("k2").text, NOW) is None


@pytest.mark.parametrize(
    "wrong",
    [new_secret("k1").text, SECRET.text[:-1], SECRET.text + "x", SECRET.text + " "],
    ids=["another", "shorter", "longer", "followed by a blank"],
)
def test_a_wrong_secret_is_refused_before_and_after_the_right_one(keys: KeyList, wrong: str) -> None:
    refused = TokenRefused(Refusal.WRONG_SIGNATURE)
    assert keys.find(wrong, NOW) == refused
    assert keys.find(SECRET.text, NOW) == PROGRAM
    assert keys.find(wrong, NOW) == refused


@pytest.mark.parametrize("text", ["frk_", "frk_k1", "frk_k1_" + "s" * 200])
def test_a_text_that_is_no_key_is_malformed(keys: KeyList, text: str) -> None:
    assert keys.find(text, NOW) == TokenRefused(Refusal.MALFORMED)


def test_a_key_that_was_used_is_refused_once_it_has_expired(keys: KeyList) -> None:
    assert keys.find(SECRET.text, NOW + 59_999) == PROGRAM
    assert keys.find(SECRET.text, NOW + 60_000) == TokenRefused(Refusal.EXPIRED)


def test_a_key_that_was_used_is_refused_once_the_list_says_that_it_is_revoked(keys: KeyList) -> None:
    assert keys.find(SECRET.text, NOW) == PROGRAM
    keys.learn([replace(KEY, revoked_at=NOW)])
    assert keys.find(SECRET.text, NOW) == TokenRefused(Refusal.REVOKED_API_KEY)


def test_a_key_that_was_used_is_unknown_once_it_is_gone_from_the_list(keys: KeyList) -> None:
    assert keys.find(SECRET.text, NOW) == PROGRAM
    keys.learn([])
    assert keys.find(SECRET.text, NOW) is None


def test_only_accepted_uses_are_noted_in_whole_minutes(keys: KeyList) -> None:
    at = NOW + 30_000
    keys.find(SECRET.text, at)
    keys.find(new_secret("k1").text, at + 60_000)
    assert keys.uses() == {"k1": at - at % 60_000}
    assert keys.uses() == {}


def test_a_secret_is_told_apart_from_a_token_and_never_shown() -> None:
    assert (is_api_key(SECRET.text), is_api_key("eyJhbGciOi")) == (True, False)
    assert repr(NewSecret("text", "hash")) == "NewSecret()"
