from itertools import pairwise

import msgspec
import pytest
from tests.auth.conftest import NEW_SECRET

from flashreserve.auth.keys import KeyRing, Refusal, TokenRefused
from flashreserve.auth.tokens import ACCESS_AUDIENCE, LEEWAY_MS, Identity, Tokens
from flashreserve.core.model import Role

NOW_MS = 1_795_000_000_999
USER = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
CLAIMS: dict[str, object] = {
    "iss": "flashreserve",
    "aud": ACCESS_AUDIENCE,
    "sub": USER,
    "role": "customer",
    "iat": 1_795_000_000,
    "exp": 1_795_003_600,
}


@pytest.fixture
def tokens(keys: KeyRing) -> Tokens:
    return Tokens(keys, ttl_s=3600)


def identity(role: Role, expires_at: int, issued_at: int) -> Identity:
    return Identity(USER, role, expires_at, issued_at, issued_at)


def signed(keys: KeyRing, **changes: object) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return keys.sign(msgspec.json.encode(claims))


@pytest.mark.parametrize("role", list(Role))
def test_an_issued_token_speaks_for_its_account(tokens: Tokens, role: Role) -> None:
    issued = tokens.issue(USER, role, NOW_MS)
    assert issued.expires_at == 1_795_003_600_000
    assert tokens.verify(issued.token, NOW_MS) == identity(role, issued.expires_at, 1_795_000_000_000)
    assert len(issued.token) < 400


@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize(("after_end_ms", "over"), [(-1, False), (0, True), (1, True)])
def test_a_token_is_over_at_its_exp(tokens: Tokens, seen_before: bool, after_end_ms: int, over: bool) -> None:  # noqa: FBT001
    issued = tokens.issue(USER, Role.CUSTOMER, NOW_MS)
    if seen_before:
        assert isinstance(tokens.verify(issued.token, NOW_MS), Identity)
    answer = tokens.verify(issued.token, issued.expires_at + after_end_ms)
    good = identity(Role.CUSTOMER, issued.expires_at, 1_795_000_000_000)
    assert answer == (TokenRefused(Refusal.EXPIRED) if over else good)


def test_expiry_goes_by_the_passed_in_time_alone(tokens: Tokens) -> None:
    long_ago = tokens.issue(USER, Role.CUSTOMER, 5_000)
    assert long_ago.expires_at == 3_605_000
    assert isinstance(tokens.verify(long_ago.token, 3_604_999), Identity)
    far_ahead = tokens.issue(USER, Role.CUSTOMER, 10**15)
    assert isinstance(tokens.verify(far_ahead.token, 10**15), Identity)


def test_the_wrong_issuer_is_refused(tokens: Tokens, keys: KeyRing) -> None:
    assert tokens.verify(signed(keys, iss="another"), NOW_MS) == TokenRefused(Refusal.WRONG_ISSUER)


def test_the_wrong_audience_is_refused(tokens: Tokens, keys: KeyRing) -> None:
    assert tokens.verify(signed(keys, aud="flashreserve-device"), NOW_MS) == TokenRefused(Refusal.WRONG_AUDIENCE)


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "root"},
        {"role": "ADMIN"},
        {"role": ["admin"]},
        {"sub": "admin"},
        {"sub": USER.upper()},
        {"sub": "{" + USER + "}"},
        {"sub": USER.replace("-", "")},
        {"sub": USER + "\n"},
        {"sub": 7},
        {"exp": "1795003600"},
        {"exp": 1_795_003_600.5},
        {"exp": True},
        {"iat": "now"},
        {"aud": [ACCESS_AUDIENCE]},
        *({name: None} for name in CLAIMS),
    ],
)
def test_wrong_and_missing_claims_are_refused(tokens: Tokens, keys: KeyRing, changes: dict[str, object]) -> None:
    assert tokens.verify(signed(keys, **changes), NOW_MS) == TokenRefused(Refusal.WRONG_CLAIMS)


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b'{"iss":' + b"[" * 2_000])
def test_a_payload_that_is_no_claims_is_refused(tokens: Tokens, keys: KeyRing, payload: bytes) -> None:
    assert isinstance(tokens.verify(keys.sign(payload) if payload else "..", NOW_MS), TokenRefused)


def test_an_end_beyond_all_bounds_is_refused(tokens: Tokens, keys: KeyRing) -> None:
    assert tokens.verify(signed(keys, exp=10**17), NOW_MS) == TokenRefused(Refusal.TOO_LONG_LIVED)
    assert tokens.verify(signed(keys, exp=-(10**17)), NOW_MS) == TokenRefused(Refusal.EXPIRED)


@pytest.mark.parametrize(("lifetime_s", "good"), [(1, False), (3_599, True), (3_600, True), (3_601, False)])
def test_a_token_lives_no_longer_than_tokens_do_here(
    tokens: Tokens, keys: KeyRing, lifetime_s: int, *, good: bool
) -> None:
    iat = NOW_MS // 1000 - 1
    answer = tokens.verify(signed(keys, iat=iat, exp=iat + lifetime_s), NOW_MS)
    expected = Refusal.EXPIRED if lifetime_s == 1 else Refusal.TOO_LONG_LIVED
    accepted = identity(Role.CUSTOMER, (iat + lifetime_s) * 1000, iat * 1000)
    assert answer == (accepted if good else TokenRefused(expected))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_of_the_future_is_refused_beyond_a_small_leeway(tokens: Tokens, keys: KeyRing, claim: str) -> None:
    soon = (NOW_MS + LEEWAY_MS) // 1000
    assert isinstance(tokens.verify(signed(keys, **{claim: soon}), NOW_MS), Identity)
    for ahead_s in (1, 270, 10**9, 10**17):
        ahead = signed(keys, **{"exp": soon + ahead_s + 600, claim: soon + ahead_s})
        assert tokens.verify(ahead, NOW_MS) == TokenRefused(Refusal.NOT_YET_VALID)
    assert len(tokens._verified) == 1


@pytest.mark.parametrize("nbf", ["soon", 1.5, True, [1]])
def test_a_beginning_that_is_no_time_is_refused(tokens: Tokens, keys: KeyRing, nbf: object) -> None:
    assert tokens.verify(signed(keys, nbf=nbf), NOW_MS) == TokenRefused(Refusal.WRONG_CLAIMS)


def test_a_role_edited_by_its_bearer_is_refused(tokens: Tokens, keys: KeyRing) -> None:
    honest, wished = signed(keys, role="customer").split("."), signed(keys, role="admin").split(".")
    edited = ".".join([honest[0], wished[1], honest[2]])
    assert tokens.verify(edited, NOW_MS) == TokenRefused(Refusal.WRONG_SIGNATURE)


def test_a_megabyte_is_refused_and_not_remembered(tokens: Tokens) -> None:
    assert tokens.verify("A" * 1_000_000, NOW_MS) == TokenRefused(Refusal.TOO_LONG)
    assert len(tokens._verified) == 0


def test_tokens_of_a_key_taken_off_the_ring_are_refused(tokens: Tokens) -> None:
    token = tokens.issue(USER, Role.CUSTOMER, NOW_MS).token
    following = "next:the-secret-that-comes-after-the-new-one"
    rotated = Tokens(KeyRing.parse(f"{following},new:{NEW_SECRET}"), ttl_s=3600)
    assert isinstance(rotated.verify(token, NOW_MS), Identity)
    assert Tokens(KeyRing.parse(following), ttl_s=3600).verify(token, NOW_MS) == TokenRefused(Refusal.UNKNOWN_KEY)


def test_a_new_key_first_behind_then_in_front_never_refuses_a_token(keys: KeyRing) -> None:
    following = "next:the-secret-that-comes-after-the-new-one"
    before = f"new:{NEW_SECRET}"
    steps = [before, f"{before},{following}", f"{following},{before}"]
    # During each step of a rotation, processes with the keys of the previous step still run.
    for rings in pairwise(steps):
        processes = [Tokens(KeyRing.parse(ring), ttl_s=3600) for ring in rings]
        for signs in processes:
            token = signs.issue(USER, Role.CUSTOMER, NOW_MS).token
            assert all(isinstance(reads.verify(token, NOW_MS), Identity) for reads in processes)


def test_a_token_seen_before_is_not_opened_again(
    tokens: Tokens, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.issue(USER, Role.CUSTOMER, NOW_MS).token
    first = tokens.verify(token, NOW_MS)
    monkeypatch.setattr(keys, "open", lambda _: pytest.fail("the token was opened again"))
    assert tokens.verify(token, NOW_MS) is first


def test_the_cache_is_bounded_and_forgets_the_least_recently_used(keys: KeyRing) -> None:
    tokens = Tokens(keys, ttl_s=3600, cached_max=3)
    issued = [tokens.issue(USER.replace("0000", f"000{n}"), Role.CUSTOMER, NOW_MS).token for n in range(4)]
    for token in [*issued[:3], issued[0], issued[3]]:
        assert isinstance(tokens.verify(token, NOW_MS), Identity)
    assert list(tokens._verified) == [issued[2], issued[0], issued[3]]


def test_an_expired_token_leaves_the_cache(tokens: Tokens) -> None:
    issued = tokens.issue(USER, Role.CUSTOMER, NOW_MS)
    tokens.verify(issued.token, NOW_MS)
    tokens.verify(issued.token, issued.expires_at)
    assert len(tokens._verified) == 0


def test_refused_tokens_are_not_remembered(tokens: Tokens, keys: KeyRing) -> None:
    for changes in ({"iss": "x"}, {"aud": "x"}, {"sub": "x"}, {"exp": 1}):
        tokens.verify(signed(keys, **changes), NOW_MS)
    assert len(tokens._verified) == 0


def test_a_lifetime_of_nothing_is_refused(keys: KeyRing) -> None:
    with pytest.raises(ValueError, match="at least 1 second, not 0"):
        Tokens(keys, ttl_s=0)
