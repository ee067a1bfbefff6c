import base64
import hmac
import json
import secrets
from collections.abc import Callable

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashreserve.auth.keys import TOKEN_LENGTH_MAX, KeyRing, Refusal, TokenRefused

SECRET = "a-secret-of-the-tests-of-the-key-ring"
OTHER = "another-secret-of-the-tests-of-the-ring"


def refused(reason: Refusal) -> TokenRefused:
    return TokenRefused(reason)


def with_header(header: object, payload: bytes = b"{}", signature: bytes = bytes(32)) -> str:
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (json.dumps(header).encode(), payload, signature)
    )


def test_the_first_key_signs_and_all_are_accepted() -> None:
    both = KeyRing.parse(f"new:{SECRET},old:{OTHER}")
    by_old = KeyRing.parse(f"old:{OTHER}").sign(b"earlier")
    by_both = both.sign(b"now")
    assert jwt.get_unverified_header(by_both) == {"alg": "HS256", "kid": "new", "typ": "JWT"}
    assert both.open(by_both) == b"now"
    assert both.open(by_old) == b"earlier"


def test_a_key_taken_off_the_ring_no_longer_opens_its_tokens() -> None:
    by_old = KeyRing.parse(f"old:{OTHER}").sign(b"earlier")
    assert KeyRing.parse(f"new:{SECRET}").open(by_old) == refused(Refusal.UNKNOWN_KEY)


def test_the_same_key_id_with_another_secret_is_a_wrong_signature() -> None:
    token = KeyRing.parse(f"a:{OTHER}").sign(b"{}")
    assert KeyRing.parse(f"a:{SECRET}").open(token) == refused(Refusal.WRONG_SIGNATURE)


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "HS512", "RS256", "hs256", None, 7, ["HS256"]])
def test_only_hs256_is_accepted(algorithm: object) -> None:
    ring = KeyRing.parse(f"a:{SECRET}")
    assert ring.open(with_header({"alg": algorithm, "kid": "a"})) == refused(Refusal.WRONG_ALGORITHM)


def test_a_token_really_signed_with_another_algorithm_is_refused() -> None:
    ring = KeyRing.parse(f"a:{SECRET * 2}")
    token = jwt.PyJWS().encode(b"{}", (SECRET * 2).encode(), algorithm="HS384", headers={"kid": "a"})
    assert isinstance(ring.open(token), TokenRefused)


def test_alg_none_without_signature_is_refused() -> None:
    token = jwt.PyJWS().encode(b"{}", "", algorithm="none", headers={"kid": "a"})
    assert KeyRing.parse(f"a:{SECRET}").open(token) == refused(Refusal.MALFORMED)


def test_a_header_without_key_id_is_refused() -> None:
    token = jwt.PyJWS().encode(b"{}", SECRET, algorithm="HS256")
    assert KeyRing.parse(f"a:{SECRET}").open(token) == refused(Refusal.UNKNOWN_KEY)


@pytest.mark.parametrize("kid", [7, None, ["a"], {"a": 1}])
def test_a_key_id_that_is_no_text_is_malformed(kid: object) -> None:
    ring = KeyRing.parse(f"a:{SECRET}")
    assert ring.open(with_header({"alg": "HS256", "kid": kid})) == refused(Refusal.MALFORMED)


@pytest.mark.parametrize("header", [[], "a", None, 1])
def test_a_header_that_is_no_object_is_malformed(header: object) -> None:
    assert KeyRing.parse(f"a:{SECRET}").open(with_header(header)) == refused(Refusal.MALFORMED)


def test_a_header_in_other_words_is_read_as_well() -> None:
    ring = KeyRing.parse(f"a:{SECRET}")
    token = jwt.PyJWS().encode(b"{}", SECRET, algorithm="HS256", headers={"kid": "a", "typ": "Jwt"})
    assert token.partition(".")[0] != ring.sign(b"{}").partition(".")[0]
    assert ring.open(token) == b"{}"


def test_a_header_without_type_is_read_as_well() -> None:
    token = jwt.PyJWS().encode(b"{}", SECRET, algorithm="HS256", headers={"kid": "a", "typ": None})
    assert "typ" not in jwt.get_unverified_header(token)
    assert KeyRing.parse(f"a:{SECRET}").open(token) == b"{}"


@pytest.mark.parametrize("kind", ["at+jwt", "JWT ", "secevent+jwt", "application/jwt", 7, ["JWT"], {}])
def test_a_token_of_another_type_is_refused(kind: object) -> None:
    unsigned = with_header({"alg": "HS256", "kid": "a", "typ": kind}).rpartition(".")[0]
    signature = hmac.digest(SECRET.encode(), unsigned.encode(), "sha256")
    token = f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert KeyRing.parse(f"a:{SECRET}").open(token) == refused(Refusal.WRONG_TYPE)


def test_an_unknown_key_is_refused_after_the_same_work_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ring, work = KeyRing.parse(f"a:{SECRET}"), list[str]()

    def counting(name: str) -> Callable[..., object]:
        real = getattr(jwt.PyJWS, name)

        def counted(*args: object, **options: object) -> object:
            work.append(name)
            return real(*args, **options)

        return counted

    for name in ("decode", "get_unverified_header"):
        monkeypatch.setattr(jwt.PyJWS, name, counting(name))

    def done(token: str) -> list[str]:
        work.clear()
        assert isinstance(ring.open(token), TokenRefused)
        return sorted(work)

    known = done(KeyRing.parse(f"a:{OTHER}").sign(b"{}"))
    assert known == done(KeyRing.parse(f"b:{OTHER}").sign(b"{}")) == ["decode", "get_unverified_header"]


def test_what_is_signed_with_nothing_is_refused() -> None:
    unsigned = KeyRing.parse(f"b:{OTHER}").sign(b"{}").rpartition(".")[0]
    signature = hmac.digest(bytes(32), unsigned.encode(), "sha256")
    token = f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert KeyRing.parse(f"a:{SECRET}").open(token) == refused(Refusal.UNKNOWN_KEY)


@pytest.mark.parametrize(
    "secret",
    ["s" * 32, "s" * 500, "a" * 31 + "b", "ab" * 16, "password" * 4, "12345678" * 5, "0123456789" * 4, "äé" * 16],
)
def test_a_secret_of_too_little_variety_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="the secret of key 'a' repeats the same few characters") as caught:
        KeyRing.parse(f"a:{secret}")
    assert secret not in str(caught.value)


def test_random_secrets_are_varied_enough() -> None:
    for _ in range(2_000):
        for secret in (secrets.token_hex(16), secrets.token_urlsafe(24), str(10**40 + secrets.randbelow(10**40))):
            assert KeyRing.parse(f"a:{secret}").kids == ("a",)


def test_a_detached_or_critical_header_is_malformed() -> None:
    ring = KeyRing.parse(f"a:{SECRET}")
    for extra in ({"b64": False, "crit": ["b64"]}, {"crit": ["exp"]}):
        assert ring.open(with_header({"alg": "HS256", "kid": "a", **extra})) == refused(Refusal.MALFORMED)


def test_a_megabyte_is_refused_without_reading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing.parse(f"a:{SECRET}")

    def fail(*_: object) -> None:
        pytest.fail("the token was decoded")

    monkeypatch.setattr(jwt.PyJWS, "_load", fail)
    long = ring.sign(b"{}") + "A" * 1_000_000
    assert ring.open(long) == refused(Refusal.TOO_LONG)


def test_the_longest_token_is_still_read() -> None:
    ring = KeyRing.parse(f"ab:{SECRET}")
    overhead = len(ring.sign(b""))
    payload = b"x" * ((TOKEN_LENGTH_MAX - overhead) * 3 // 4)
    assert len(ring.sign(payload)) == TOKEN_LENGTH_MAX
    assert ring.open(ring.sign(payload)) == payload
    assert ring.open(ring.sign(payload + b"x")) == refused(Refusal.TOO_LONG)


def test_every_token_has_one_spelling() -> None:
    ring = KeyRing.parse(f"a:{SECRET}")
    token = ring.sign(b'{"n":1}')
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = [token[:-1] + letter for letter in alphabet] + [token + end for end in ("=", "==", "\n", " ", "!")]
    assert [spelling for spelling in spellings if ring.open(spelling) == b'{"n":1}'] == [token]


@given(st.data())
def test_no_edited_token_is_opened(data: st.DataObject) -> None:
    ring = KeyRing.parse(f"a:{SECRET}")
    token = ring.sign(b'{"role":"customer"}')
    position = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters().filter(lambda letter: letter != token[position]))
    edited = token[:position] + letter + token[position + 1 :]
    assert isinstance(ring.open(edited), TokenRefused)


@given(st.text())
def test_any_text_is_refused_by_a_value(text: str) -> None:
    assert isinstance(KeyRing.parse(f"a:{SECRET}").open(text), TokenRefused)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the key ring is empty"),
        ("  ", "the key ring is empty"),
        ("a", "key 1 of 1 must have the form kid:secret"),
        (f"a:{SECRET},", "key 2 of 2 must have the form kid:secret"),
        ("a:short", "the secret of key 'a' has 5 bytes, at least 32 are needed"),
        (f"a:{SECRET[:31]}", "has 31 bytes"),
        (f"a:{SECRET},a:{OTHER}", "key 2 of 2 has the id of an earlier key"),
        (f"a:{SECRET},b:{OTHER},c:{SECRET}", "keys 'a' and 'c' have the same secret"),
        (f":{SECRET}", "a key's id must be"),
        (f"a b:{SECRET}", "a key's id must be"),
        (f"{'k' * 65}:{SECRET}", "a key's id must be"),
        (",".join(f"k{number}:{SECRET}" for number in range(17)), "17 keys, at most 16"),
    ],
)
def test_a_bad_ring_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        KeyRing.parse(text)
    assert SECRET not in str(caught.value)


def test_a_secret_may_have_colons_and_32_bytes_are_enough() -> None:
    ring = KeyRing.parse(" a:0:1:2:3:4:5:6:7:8:9:a:b:c:d:e:f: , b:äéîõüàèìòùâêôûãñ ")
    assert ring.kids == ("a", "b")
    assert ring.open(ring.sign(b"x")) == b"x"


def test_no_secret_is_printed() -> None:
    assert repr(KeyRing.parse(f"a:{SECRET}")) == "KeyRing(kids=('a',))"
