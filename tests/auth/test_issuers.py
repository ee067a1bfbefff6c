"""The settings of issuers: read, or refused with the entry, the field and what was expected."""

import json
from typing import Any

import pytest
from tests.auth.sign_in_service import AUDIENCE, ISSUER, SECRET

from flashreserve.auth.issuers import Issuer, read_issuers

SHOP: dict[str, Any] = {
    "name": "shop",
    "issuer": ISSUER,
    "audience": AUDIENCE,
    "jwks_url": "https://login.shop.example/keys.json",
}


def read(*entries: dict[str, Any]) -> list[Issuer]:
    return read_issuers(json.dumps({"issuers": entries}))


def test_issuers_are_written_as_toml_or_json() -> None:
    toml = f"""
    [[issuers]]
    name = "shop"
    issuer = "{ISSUER}"
    audience = "{AUDIENCE}"
    jwks_url = "https://login.shop.example/keys.json"

    [[issuers]]
    name = "app"
    issuer = "https://app.example"
    audience = "{AUDIENCE}"
    secret = "{SECRET}"
    subject_claim = "customer"
    required_claims = {{ email_verified = true }}
    """
    app = {
        "name": "app",
        "issuer": "https://app.example",
        "audience": AUDIENCE,
        "secret": SECRET,
        "subject_claim": "customer",
        "required_claims": {"email_verified": True},
    }

    assert read_issuers(toml) == read(SHOP, app)
    assert [list(issuer.allowed) for issuer in read_issuers(toml)] == [["RS256", "ES256", "EdDSA"], ["HS256"]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "Shop"}, r"issuers\[0\].name: expected 1 to 32 lower-case letters"),
        ({"name": "erased"}, r"issuers\[0\].name: expected 1 to 32 .*; not `erased`"),
        ({"name": ""}, r"issuers\[0\].name"),
        ({"name": None}, r"issuers\[0\].name: expected 1 to 32 .*; found null"),
        ({"issuer": ""}, r"issuers\[0\].issuer: expected text of 1 to 512 characters"),
        ({"issuer": "flashreserve"}, "another one than flashreserve"),
        ({"algorithms": ["none"]}, r"issuers\[0\].algorithms\[0\]: expected ES256 or EdDSA or HS256 or RS256"),
        ({"algorithms": ["HS256"]}, "expected RS256 or ES256 or EdDSA with public keys, not HS256"),
        ({"jwks": "x"}, r"issuers\[0\].jwks: unknown field; .*jwks_url"),
        ({"jwks_file": "keys.json"}, "expected exactly one of jwks_url, jwks_file and secret"),
        ({"jwks_url": ""}, "expected exactly one of jwks_url, jwks_file and secret"),
        ({"jwks_url": "http://login.shop.example/keys.json"}, "expected an https:// address"),
        ({"jwks_url": "https://user@login.shop.example/"}, "expected an https:// address"),
        ({"jwks_url": "https://login.shop.example:port/"}, "expected an https:// address"),
        ({"jwks_url": "file:///etc/keys.json"}, "expected an https:// address"),
        ({"jwks_url": "", "secret": "short"}, "secret: expected at least 32 bytes, not 5"),
        ({"jwks_url": "", "secret": "ab" * 32}, "secret: expected a random one"),
        ({"jwks_url": "", "secret": SECRET, "algorithms": ["RS256"]}, "expected HS256 with a shared secret, not RS256"),
    ],
)
def test_a_wrong_entry_is_told(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as told:
        read({**SHOP, **changes})
    assert SECRET not in str(told.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "expected JSON"),
        ("[[issuers", "expected TOML"),
        (f'[[issuers]]\nsecret = "{SECRET}', "expected TOML"),
        ("", "issuers"),
        ("x" * 70_000, "at most 65536 bytes"),
        ('{"issuers": ' + "[" * 5_000, "expected JSON"),
    ],
)
def test_a_text_of_another_form_is_told_without_its_content(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as told:
        read_issuers(text)
    assert SECRET not in str(told.value)


def test_names_and_pairs_of_issuer_and_audience_occur_once() -> None:
    with pytest.raises(ValueError, match=r"issuers\[1\] \(shop\): name: expected one that no other issuer has"):
        read(SHOP, {**SHOP, "issuer": "https://other.example"})
    with pytest.raises(ValueError, match=r"issuers\[1\] \(app\): issuer: expected one that no other entry has"):
        read(SHOP, {**SHOP, "name": "app"})
    with pytest.raises(ValueError, match="at most 16, not 17"):
        read(*[{**SHOP, "name": f"shop{number}", "audience": str(number)} for number in range(17)])


def test_two_issuers_have_no_secret_in_common() -> None:
    one = {**SHOP, "jwks_url": "", "secret": SECRET}
    with pytest.raises(
        ValueError, match=r"issuers\[1\] \(app\): secret: expected one that no other issuer has"
    ) as told:
        read(one, {**one, "name": "app", "issuer": "https://app.example"})
    assert SECRET not in str(told.value)
    assert len(read(one, {**one, "name": "app", "audience": "app"})) == 2, "one issuer, for two audiences"


def test_keys_on_this_machine_need_no_tls() -> None:
    for host in ("localhost", "127.0.0.1:8080", "[::1]:8080"):
        assert read({**SHOP, "jwks_url": f"http://{host}/keys.json"})


def test_no_secret_is_shown() -> None:
    issuer = read({**SHOP, "jwks_url": "", "secret": SECRET})[0]

    assert SECRET not in repr(issuer)
