"""Tokens that the shop's issuers have signed: accepted, or refused for the reason that the test names."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.auth import sign_in_service as shop
from tests.auth.sign_in_service import ALL_KEYS, AUDIENCE, ISSUER, NOW_S, SECRET, issuer, private_key, public_key, token

from flashreserve.auth.foreign_tokens import LEEWAY_S, ForeignCustomer, ForeignTokens
from flashreserve.auth.issuers import Issuer
from flashreserve.auth.keys import KeyRing, Refusal, TokenRefused
from flashreserve.auth.public_keys import PublicKeys
from flashreserve.auth.tokens import Identity, Tokens
from flashreserve.core.model import Role

NOW_MS = NOW_S * 1000


def verifier(*issuers: Issuer, keys: bytes = ALL_KEYS) -> ForeignTokens:
    found = issuers or (issuer(),)
    tokens = ForeignTokens(found)
    for each in found:
        if not each.secret:
            tokens.learn(each, PublicKeys.parse(keys, each.allowed))
    return tokens


def refusal(sent: str, tokens: ForeignTokens | None = None) -> Refusal | None:
    found = (tokens or verifier()).verify(sent, NOW_MS)
    return found.reason if isinstance(found, TokenRefused) else None


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", None])
def test_a_token_of_each_algorithm_names_its_customer(algorithm: str, typ: str | None) -> None:
    found = verifier().verify(token(algorithm, headers={"typ": typ}), NOW_MS)

    assert found == ForeignCustomer("shop:42", "shop", NOW_MS, NOW_MS + 300_000 + LEEWAY_S * 1000)


def test_a_shared_secret_needs_no_public_keys() -> None:
    found = verifier(issuer(jwks_file="", secret=SECRET)).verify(token("HS256"), NOW_MS)

    assert isinstance(found, ForeignCustomer)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (token(aud="another-service"), Refusal.WRONG_AUDIENCE),
        (token(aud=["a", "b"]), Refusal.WRONG_AUDIENCE),
        (token(aud=None), Refusal.WRONG_AUDIENCE),
        (token(exp=None), Refusal.WRONG_CLAIMS),
        (token(exp=NOW_S - LEEWAY_S), Refusal.EXPIRED),
        (token(nbf=NOW_S + LEEWAY_S + 1), Refusal.NOT_YET_VALID),
        (token(iat=NOW_S + LEEWAY_S + 1), Refusal.NOT_YET_VALID),
        (token(exp=True), Refusal.WRONG_CLAIMS),
        (token(exp=1e300), Refusal.WRONG_CLAIMS),
        (token(nbf="later"), Refusal.WRONG_CLAIMS),
        (token(sub=None), Refusal.WRONG_CLAIMS),
        (token(sub=""), Refusal.WRONG_CLAIMS),
        (token(sub="an n"), Refusal.WRONG_CLAIMS),
        (token(sub="ann\n"), Refusal.WRONG_CLAIMS),
        (token(sub="ann,bob"), Refusal.WRONG_CLAIMS),
        (token(sub="änn"), Refusal.WRONG_CLAIMS),
        (token(sub=True), Refusal.WRONG_CLAIMS),
        (token(sub=["42"]), Refusal.WRONG_CLAIMS),
        (token(sub="x" * 124), Refusal.WRONG_CLAIMS),
        (token(headers={"kid": "four"}), Refusal.UNKNOWN_ISSUER_KEY),
        (token(headers={"kid": None}), Refusal.UNKNOWN_ISSUER_KEY),
        (token(headers={"typ": "logout+jwt"}), Refusal.WRONG_TYPE),
        (token("ES256", headers={"kid": "one"}), Refusal.WRONG_ALGORITHM),
        (token(headers={"kid": "two"}), Refusal.WRONG_ALGORITHM),
        (token(key=rsa.generate_private_key(65537, 2048)), Refusal.WRONG_SIGNATURE),
        (token()[:-40] + "A" * 40, Refusal.WRONG_SIGNATURE),
        (token(headers={"crit": ["exp2"], "exp2": 1}), Refusal.MALFORMED),
    ],
)
def test_a_token_that_is_wrong_is_refused_for_its_reason(sent: str, reason: Refusal) -> None:
    assert refusal(sent) is reason


def test_times_are_good_within_the_leeway() -> None:
    latest = NOW_S + LEEWAY_S
    for claims in ({"exp": NOW_S - LEEWAY_S + 1}, {"nbf": latest}, {"iat": latest}, {"exp": NOW_S + 0.5}):
        assert refusal(token(**claims)) is None


def test_no_token_is_good_without_a_signature() -> None:
    unsigned = jwt.encode(shop.CLAIMS, "", algorithm="none")

    assert verifier().verify(unsigned, NOW_MS) is None  # Such a token has no third part, so it is no token at all.
    assert refusal(unsigned + "AAAA") is Refusal.WRONG_ALGORITHM


def test_a_public_key_is_no_shared_secret() -> None:
    """A classical attack: the public key, which everybody has, taken as the secret of HS256."""
    pem = shop.RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header, payload = ({"alg": "HS256", "typ": "JWT", "kid": "one"}, shop.CLAIMS)
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, payload))
    signature = jwt.get_algorithm_by_name("HS256").sign(signed.encode(), pem)

    assert refusal(f"{signed}.{_encoded(signature)}") is Refusal.WRONG_ALGORITHM


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://attacker.example/keys.json"},
        {"x5u": "https://attacker.example/chain.pem"},
        {"jwk": public_key("RS256", "one", shop.WEAK_RSA)},
    ],
)
def test_a_key_that_a_token_brings_along_has_no_effect(header: dict[str, Any]) -> None:
    attackers = rsa.generate_private_key(65537, 2048)

    assert refusal(token(key=attackers, headers=header)) is Refusal.WRONG_SIGNATURE
    assert refusal(token(headers=header)) is None


def test_tokens_of_others_are_none_of_these() -> None:
    tokens = verifier()
    others = [token(iss="https://elsewhere.example/"), token(iss=None), token(exp=float("nan"))]
    for sent in (*others, "a.b.c", "", "x" * 9000, "a.e30.c"):
        assert tokens.verify(sent, NOW_MS) is None
    assert ForeignTokens().verify(token(), NOW_MS) is None


def test_the_same_issuer_may_have_entries_for_several_audiences() -> None:
    tokens = verifier(issuer(), issuer(name="app", audience="app"))

    assert tokens.verify(token(aud="app"), NOW_MS).customer_id == "app:42"  # type: ignore[union-attr]
    assert tokens.verify(token(aud=["x", AUDIENCE]), NOW_MS).customer_id == "shop:42"  # type: ignore[union-attr]


def test_the_subject_may_be_another_claim_and_a_number() -> None:
    tokens = verifier(issuer(subject_claim="customer_number"))

    assert tokens.verify(token(customer_number=7), NOW_MS).customer_id == "shop:7"  # type: ignore[union-attr]
    assert refusal(token(), tokens) is Refusal.WRONG_CLAIMS


def test_required_claims_must_have_their_values() -> None:
    tokens = verifier(issuer(required_claims={"email_verified": True, "tier": "gold"}))

    assert refusal(token(email_verified=True, tier="gold"), tokens) is None
    for claims in ({}, {"email_verified": True}, {"email_verified": 1, "tier": "gold"}, {"email_verified": "true"}):
        assert refusal(token(**claims), tokens) is Refusal.WRONG_CLAIMS


def test_without_keys_it_is_said_that_there_are_none() -> None:
    assert refusal(token(), ForeignTokens([issuer()])) is Refusal.NO_ISSUER_KEYS


def test_a_token_without_kid_fits_the_only_key() -> None:
    tokens = verifier(keys=shop.jwks(public_key("RS256", "one")))

    assert refusal(token(headers={"kid": None}), tokens) is None


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (public_key("RS256", "one", use="enc"), None),
        (public_key("RS256", "one", key_ops=["encrypt"]), None),
        (public_key("RS256", "one", key_ops=[5]), None),
        (public_key("RS256", "one", alg="RS512"), None),
        (public_key("RS256", "one", shop.WEAK_RSA), "it has 1024 bits, expected at least 2048"),
        (private_key("RS256", "one"), "it is private: whoever has read it can sign in as anybody"),
        (private_key("ES256", "one"), "it is private: whoever has read it can sign in as anybody"),
        (private_key("EdDSA", "one"), "it is private: whoever has read it can sign in as anybody"),
        ({"kty": "oct", "kid": "one", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}, "it is a shared secret"),
        (public_key("RS256", "one", use=["sig"]), "use: expected text"),
        (public_key("RS256", "one", alg=5), "alg: expected text"),
        (public_key("RS256", "one", kty=["RSA"]), "kty: expected text"),
        (public_key("RS256", "one", key_ops=5), "key_ops: expected a list"),
        (public_key("RS256", "one", key_ops="verify"), "key_ops: expected a list"),
        (public_key("RS256", "one", n=5), "it can't be read"),
        (public_key("ES256", "one", crv=["P-256"]), "it can't be read"),
        ({"kty": "RSA", "kid": "one"}, "it can't be read"),
        ({"kty": "PQC", "kid": "one"}, "it can't be read"),
        ({"kid": "one"}, "it can't be read"),
    ],
)
def test_keys_that_are_not_for_signatures_are_left_out(key: dict[str, Any], why: str | None) -> None:
    keys = PublicKeys.parse(shop.jwks(key, public_key("ES256", "two")), issuer().allowed)

    assert keys.find("one") is None
    assert keys.find("two") is not None
    assert keys.skipped == ([] if why is None else [f"key 'one': {why}"])


@pytest.mark.parametrize("kid", [5, ["one"], {}])
def test_a_key_whose_id_is_no_text_is_left_out(kid: object) -> None:
    keys = PublicKeys.parse(
        shop.jwks({**public_key("RS256", None), "kid": kid}, public_key("ES256", "two")), issuer().allowed
    )

    assert keys.skipped == ["a key without kid: kid: expected text"]
    assert list(keys.by_id) == ["two", None]


@pytest.mark.parametrize("member", [{"key_ops": []}, *({name: None} for name in ("key_ops", "use", "alg", "d"))])
def test_a_member_without_a_value_counts_as_absent(member: dict[str, Any]) -> None:
    assert refusal(token(), verifier(keys=shop.jwks(public_key("RS256", "one", **member)))) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<html>", "a JWKS document"),
        (b"[]", "a JWKS document"),
        (b'{"keys": [1]}', "a JWKS document"),
        (b'{"keys": []}', "at least one key for signatures by RS256 or ES256 or EdDSA"),
        (shop.jwks(*[public_key("ES256", f"k{n}") for n in range(101)]), "at most 100 keys, not 101"),
        (b" " * (256 * 1024 + 1), "at most 262144 bytes"),
        (b"[" * 100_000, "a JWKS document"),
    ],
)
def test_a_document_that_is_none_is_told(body: bytes, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        PublicKeys.parse(body, issuer().allowed)


def test_one_token_has_one_form() -> None:
    """The last character of a signature has unused bits; with others there, one token would fill the cache."""
    sent = token()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = sent[:-1] + letters[letters.index(sent[-1]) ^ 1]

    assert refusal(other) is Refusal.MALFORMED


# With the own tokens.


@pytest.fixture
def tokens(keys: KeyRing) -> Tokens:
    return Tokens(keys, ttl_s=3600, foreign=verifier())


def test_own_and_foreign_tokens_are_told_apart(tokens: Tokens, keys: KeyRing) -> None:
    own = tokens.issue("0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000", Role.ADMIN, NOW_MS).token
    found = tokens.verify(own, NOW_MS)
    assert isinstance(found, Identity)
    assert (found.role, found.issuer) == (Role.ADMIN, "")
    foreign = tokens.verify(token(role="admin"), NOW_MS)
    assert isinstance(foreign, Identity)
    assert (foreign.user_id, foreign.role, foreign.issuer) == ("shop:42", Role.CUSTOMER, "shop")
    assert tokens.verify(token(), NOW_MS + 331_000) == TokenRefused(Refusal.EXPIRED)
    forged = keys.sign(json.dumps({**shop.CLAIMS}).encode())
    assert tokens.verify(forged, NOW_MS) == TokenRefused(Refusal.WRONG_ALGORITHM)


def test_a_foreign_token_seen_before_is_not_verified_again(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = token()
    first = tokens.verify(sent, NOW_MS)
    monkeypatch.setattr(tokens._foreign, "verify", lambda *_: pytest.fail("the token was verified again"))

    assert tokens.verify(sent, NOW_MS) is first
    assert tokens.verify(sent, NOW_MS + 330_000) == TokenRefused(Refusal.EXPIRED)


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([public_key("RS256", "one"), public_key("ES256", "new")], None),
        ([public_key("ES256", "two")], Refusal.UNKNOWN_ISSUER_KEY),
        ([public_key("RS256", "one", rsa.generate_private_key(65537, 2048))], Refusal.WRONG_SIGNATURE),
        ([public_key("ES256", "one")], Refusal.WRONG_ALGORITHM),
    ],
)
def test_a_token_seen_before_is_good_only_while_its_key_is(
    keys: KeyRing, later: list[dict[str, Any]], expected: Refusal | None
) -> None:
    app = issuer(name="app", audience="app")
    foreign = verifier(issuer(), app)
    tokens = Tokens(keys, ttl_s=3600, foreign=foreign)
    sent, others = token(exp=2**40), token(aud="app")
    assert isinstance(tokens.verify(sent, NOW_MS), Identity)
    assert isinstance(tokens.verify(others, NOW_MS), Identity)

    foreign.learn(issuer(), PublicKeys.parse(shop.jwks(*later), issuer().allowed))

    found = tokens.verify(sent, NOW_MS)
    assert (found.reason if isinstance(found, TokenRefused) else None) is expected
    assert tokens._cached_characters == sum(map(len, tokens._verified))
    assert others in tokens._verified


def test_the_cache_is_bounded_by_characters_too(keys: KeyRing) -> None:
    sent = [token(sub=str(number)) for number in range(5)]
    tokens = Tokens(keys, ttl_s=3600, foreign=verifier(), cached_characters_max=sum(map(len, sent[:3])) + 10)
    for each in sent:
        assert isinstance(tokens.verify(each, NOW_MS), Identity)

    assert list(tokens._verified) == sent[2:]
    assert tokens._cached_characters == sum(map(len, sent[2:]))


def test_issuer_of_says_where_to_look() -> None:
    found = verifier().issuer_of(token())

    assert found is not None
    assert found.issuer == ISSUER
    assert verifier().issuer_of(token(aud="x")) is None


def test_the_name_of_the_issuer_that_a_token_names_is_known_before_it_is_verified() -> None:
    tokens = verifier(issuer(), issuer(name="app", audience="app"))

    assert tokens.issuer_name(token()) == "shop"
    assert tokens.issuer_name(token(aud="app")) == "app"
    assert tokens.issuer_name(token(aud="x")) == "shop"
    assert tokens.issuer_name(token(iss="https://elsewhere.example/")) is None
    assert tokens.issuer_name("x") is None


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
