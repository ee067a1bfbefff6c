"""Changing passwords and rights: earlier tokens are refused, and there is always an admin."""

import asyncio
from urllib.parse import quote

import pytest
from tests.http.owner import NEW, OLD, Owner, an_owner
from tests.http.shop import Admin, HttpShop, ShopClock, all_of
from tests.http.slow_refresh import slow_refresh

from flashreserve.auth.outcomes import WrongCredentials
from flashreserve.auth.tokens import Identity, Issued
from flashreserve.core import limits
from flashreserve.core.accounts import Restriction
from flashreserve.core.model import Account, Role

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODYS = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"


async def test_a_changed_password_signs_all_others_out(shop: HttpShop, clock: ShopClock) -> None:
    owner = await an_owner(shop)
    first = owner.token
    clock.advance(0.4)

    answer = await owner.ask("POST", "/auth/password", body={"oldPassword": OLD, "newPassword": NEW})

    fresh = answer.granted(200)["token"]
    assert f"token={fresh}" in answer.headers["Set-Cookie"]
    assert (await owner.me(first), await owner.me(fresh)) == ("unauthenticated", "signed in")
    assert (await owner.login(OLD)).code == "unauthenticated"
    assert (await owner.login(NEW)).status == 200
    assert await owner.me() == "signed in"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"oldPassword": "wrong horse", "newPassword": NEW}, "oldPassword"),
        ({"oldPassword": OLD, "newPassword": "short"}, "newPassword"),
        ({"oldPassword": OLD, "newPassword": "password1234"}, "newPassword"),
        ({"oldPassword": "x" * 2_000, "newPassword": NEW}, "oldPassword"),
        ({"newPassword": NEW}, "oldPassword"),
    ],
)
async def test_a_refused_change_leaves_password_and_tokens(shop: HttpShop, body: dict[str, str], expected: str) -> None:
    owner = await an_owner(shop)

    answer = await owner.ask("POST", "/auth/password", body=body)

    assert (answer.status, answer.code) == (400, "bad-request")
    assert answer.fields == [expected]
    assert "WWW-Authenticate" not in answer.headers
    assert await owner.me() == "signed in"
    assert (await owner.login(OLD)).status == 200


async def test_guesses_at_the_old_password_are_throttled(shop: HttpShop) -> None:
    owner = await an_owner(shop)
    body = {"oldPassword": "wrong horse", "newPassword": NEW}

    answers = [await owner.ask("POST", "/auth/password", body=body) for _ in range(12)]

    assert {answer.code for answer in answers[:10]} == {"bad-request"}
    assert {answer.code for answer in answers[10:]} == {"too-many-tries"}


async def test_a_token_is_refreshed_for_twelve_hours(shop: HttpShop, clock: ShopClock) -> None:
    owner = await an_owner(shop)
    for _ in range(23):
        clock.advance(1_800)
        answer = await owner.ask("POST", "/auth/refresh")
        owner.token = answer.granted(200)["token"]
        assert f"token={owner.token}" in answer.headers["Set-Cookie"]
    clock.advance(1_800)

    over = await owner.ask("POST", "/auth/refresh")

    assert over.code == "unauthenticated"
    assert await owner.me() == "signed in"
    assert (await owner.login(OLD)).status == 200
    assert (await owner.ask("POST", "/auth/refresh")).status == 200


@pytest.mark.parametrize("what", ["disabled", "signed out"])
async def test_another_process_s_sign_out_ends_the_session_at_once(shop: HttpShop, clock: ShopClock, what: str) -> None:
    """This process has not read of it yet, so it accepts the token. It must not replace it by a fresh one."""
    owner = await an_owner(shop)
    clock.advance(5)
    if what == "disabled":
        await shop.store.restrict(owner.id, Restriction.DISABLED, clock.now_ms())
    else:
        assert await shop.store.sign_out(owner.id, clock.now_ms())
    clock.advance(5)

    refreshed = await owner.ask("POST", "/auth/refresh")
    changed = await owner.ask("POST", "/auth/password", body={"oldPassword": OLD, "newPassword": NEW})

    assert (refreshed.code, changed.code) == ("unauthenticated", "unauthenticated")
    assert (await shop.core.accounts.login(owner.email, NEW, None, ())) == WrongCredentials()


async def test_a_token_that_is_refreshed_while_its_owner_signs_out_is_refused(
    shop: HttpShop, clock: ShopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await an_owner(shop)
    identity = shop.core.tokens.verify(owner.token, clock.now_ms())
    assert isinstance(identity, Identity)
    read = shop.store.account_by_id

    async def read_before_signing_out(account_id: str) -> Account | None:
        account = await read(account_id)
        await shop.store.sign_out(account_id, clock.now_ms())
        clock.advance(1)
        return account

    monkeypatch.setattr(shop.store, "account_by_id", read_before_signing_out)
    issued = await shop.core.account_changes.refresh(identity)
    monkeypatch.undo()
    clock.advance(1)

    assert isinstance(issued, Issued)
    await shop.core.access.refresh()
    assert await owner.me(issued.token) == "unauthenticated"


async def test_signing_out_everywhere_refuses_all_tokens(shop: HttpShop, clock: ShopClock) -> None:
    owner = await an_owner(shop)
    first = owner.token
    clock.advance(5)
    await owner.login(OLD)

    answer = await owner.ask("POST", "/auth/logout-everywhere")

    assert answer.status == 204
    assert [await owner.me(token) for token in (first, owner.token)] == ["unauthenticated"] * 2
    assert (await owner.login(OLD)).status == 200
    assert await owner.me() == "signed in"


async def test_sign_outs_beyond_the_list_s_limit_still_count(
    shop: HttpShop, admin: Admin, clock: ShopClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list has the latest two. Of older sessions, the signed-out ones are refused and the others go on."""
    monkeypatch.setattr(limits, "SIGN_OUTS_MAX", 2)
    others, erased, stays = [await an_owner(shop) for _ in range(3)], await an_owner(shop), await an_owner(shop)
    clock.advance(5)
    await shop.store.begin_erasure(erased.id, clock.now_ms())
    for owner in others:
        clock.advance(5)
        assert (await admin.ask("POST", f"/accounts/{owner.id}/sign-out")).status == 200
    await shop.core.access.refresh()

    for ask in (Owner.me, _me_by_cookie):
        assert [await ask(owner) for owner in (erased, *others)] == ["unauthenticated"] * 4
        assert await ask(stays) == "signed in"
    product = await admin.product()
    assert (await stays.ask("POST", f"/reservations/{product}")).status == 201
    assert (await others[0].ask("POST", f"/reservations/{product}")).code == "unauthenticated"
    await shop.store.sign_out(stays.id, clock.now_ms())
    await shop.core.access.refresh()
    assert await stays.me() == "unauthenticated"
    monkeypatch.undo()
    await shop.core.access.refresh()


async def _me_by_cookie(owner: Owner) -> str:
    answer = await owner.shop.ask("GET", "/auth/me", headers={"Cookie": f"token={owner.token}; token=none"})
    return "signed in" if answer.status == 200 else answer.code


async def test_a_slow_read_does_not_replace_a_list_that_was_read_later(shop: HttpShop, clock: ShopClock) -> None:
    owner = await an_owner(shop)
    async with slow_refresh(shop, "signed_out_since"):
        await shop.store.sign_out(owner.id, clock.now_ms())
        await shop.core.access.refresh()
        assert await owner.me() == "unauthenticated"
    assert await owner.me() == "unauthenticated"


async def test_signing_out_twice_within_a_second_refuses_the_token_in_between(shop: HttpShop) -> None:
    owner = await an_owner(shop)
    for _ in range(3):
        assert (await owner.ask("POST", "/auth/logout-everywhere")).status == 204
        assert await owner.me() == "unauthenticated"
        assert (await owner.login(OLD)).status == 200
    assert await owner.me() == "signed in"


async def test_a_reset_code_sets_a_password_once(shop: HttpShop, admin: Admin, clock: ShopClock) -> None:
    owner = await an_owner(shop)
    made = (await admin.ask("POST", f"/accounts/{owner.id}/reset-code")).granted()
    body = {"email": owner.email, "code": made["code"].lower().replace("-", " "), "newPassword": NEW}

    wrong = [
        {**body, "code": "ABCDEF-GHJKMN-PQRSTV-WXYZ23"},
        {**body, "email": "nobody@example.com"},
        {**body, "newPassword": "short"},
    ]
    refused = [await shop.ask("POST", "/auth/password/reset", body=each) for each in wrong]
    answers = await all_of([shop.ask("POST", "/auth/password/reset", body=body) for _ in range(4)])

    assert [answer.code for answer in refused] == ["wrong-code", "wrong-code", "bad-request"]
    assert sorted(answer.status for answer in answers) == [204, 409, 409, 409]
    assert await owner.me() == "unauthenticated"
    assert (await owner.login(NEW)).status == 200
    late = (await admin.ask("POST", f"/accounts/{owner.id}/reset-code")).granted()
    clock.advance(1_800)
    answer = await shop.ask("POST", "/auth/password/reset", body={**body, "code": late["code"]})
    assert answer.code == "wrong-code"


@pytest.mark.parametrize("how", ["password changed", "disabled"])
async def test_a_reset_code_is_void_once_the_password_is_changed_or_the_account_disabled(
    shop: HttpShop, admin: Admin, how: str
) -> None:
    owner = await an_owner(shop)
    made = (await admin.ask("POST", f"/accounts/{owner.id}/reset-code")).granted()
    if how == "disabled":
        assert (await admin.ask("POST", f"/accounts/{owner.id}/disable")).status == 200
    else:
        assert (await owner.ask("POST", "/auth/password", body={"oldPassword": OLD, "newPassword": NEW})).status == 200

    body = {"email": owner.email, "code": made["code"], "newPassword": "a stranger's own choice"}
    assert (await shop.ask("POST", "/auth/password/reset", body=body)).code == "wrong-code"


async def test_a_disabled_account_is_out_until_it_is_enabled(shop: HttpShop, admin: Admin) -> None:
    owner = await an_owner(shop)

    disabled = (await admin.ask("POST", f"/accounts/{owner.id}/disable")).granted(200)
    again = (await admin.ask("POST", f"/accounts/{owner.id}/disable")).granted(200)

    assert disabled["disabledAt"] == again["disabledAt"] is not None
    assert await owner.me() == "unauthenticated"
    assert (await owner.login(OLD)).code == "unauthenticated"
    assert (await admin.ask("POST", f"/accounts/{owner.id}/enable")).granted(200)["disabledAt"] is None
    assert (await owner.login(OLD)).status == 200


async def test_a_disabled_account_gets_no_reset_code_and_can_use_none(shop: HttpShop, admin: Admin) -> None:
    owner = await an_owner(shop)
    made = (await admin.ask("POST", f"/accounts/{owner.id}/reset-code")).granted()
    body = {"email": owner.email, "code": made["code"], "newPassword": NEW}
    assert (await admin.ask("POST", f"/accounts/{owner.id}/disable")).status == 200

    another = await admin.ask("POST", f"/accounts/{owner.id}/reset-code")
    used = await shop.ask("POST", "/auth/password/reset", body=body)

    assert (another.code, another.fields) == ("bad-request", ["id"])
    assert used.code == "wrong-code"
    assert (await admin.ask("POST", f"/accounts/{owner.id}/enable")).status == 200
    assert (await owner.login(OLD)).status == 200
    assert (await shop.ask("POST", "/auth/password/reset", body=body)).code == "wrong-code"


async def test_an_account_is_promoted_and_demoted(shop: HttpShop, admin: Admin) -> None:
    owner = await an_owner(shop)

    assert (await admin.ask("POST", f"/accounts/{owner.id}/promote")).granted(200)["role"] == "admin"
    await owner.login(OLD)
    assert (await owner.ask("GET", "/accounts")).status == 200
    assert (await admin.ask("POST", f"/accounts/{owner.id}/demote")).granted(200)["role"] == "customer"
    assert (await owner.ask("GET", "/accounts")).code == "unauthenticated"
    await owner.login(OLD)
    assert (await owner.ask("GET", "/accounts")).code == "forbidden"


async def test_the_last_admin_stays(fresh_shop: HttpShop) -> None:
    first, second = await fresh_shop.hire(), await fresh_shop.hire()
    assert (await first.ask("POST", f"/accounts/{second.id}/demote")).status == 200

    for action in ("demote", "disable"):
        assert (await first.ask("POST", f"/accounts/{first.id}/{action}")).code == "last-admin"
    assert (await first.ask("GET", f"/accounts/{first.id}")).granted(200)["role"] == "admin"


async def test_of_two_admins_who_demote_each_other_one_is_left(fresh_shop: HttpShop) -> None:
    admins = [await fresh_shop.hire() for _ in range(2)]

    await asyncio.gather(
        *[one.ask("POST", f"/accounts/{other.id}/demote") for one, other in (admins, reversed(admins))]
    )

    left = await fresh_shop.store.list_accounts(None, 9)
    assert [each.role for each in left].count(Role.ADMIN) == 1


async def test_accounts_are_listed_page_by_page(fresh_shop: HttpShop) -> None:
    admin = await fresh_shop.hire()
    owners = [await Owner(fresh_shop, f"{number}@example.com").register() for number in range(3)]

    listed = [item async for item in admin.pages("/accounts?limit=2")]

    assert sorted(item["id"] for item in listed) == sorted([admin.id, *(owner.id for owner in owners)])
    assert "password" not in str(listed).lower()


async def test_an_account_is_found_by_its_email(shop: HttpShop, admin: Admin) -> None:
    owner = await an_owner(shop)
    await an_owner(shop)
    email = owner.email

    for spelling in (email, email.upper(), f" {email} "):
        page = (await admin.ask("GET", f"/accounts?email={quote(spelling)}")).granted(200)
        assert [each["id"] for each in page["items"]] == [owner.id], spelling
        assert page["nextCursor"] is None
    nobody = (await admin.ask("GET", "/accounts?email=nobody%40example.com")).granted(200)
    assert nobody == {"items": [], "nextCursor": None}
    assert (await admin.ask("GET", f"/accounts?email={quote(email[1:])}")).granted(200)["items"] == []
    after = await admin.ask("GET", f"/accounts?email={quote(email)}&cursor={owner.id}")
    assert after.granted(200) == {"items": [], "nextCursor": None}
    for invalid in ("", "x", "a@b", "ä@example.com"):
        refused = await admin.ask("GET", f"/accounts?email={quote(invalid)}")
        assert (refused.code, refused.fields) == ("bad-request", ["email"]), invalid
    assert (await owner.ask("GET", f"/accounts?email={quote(email)}")).code == "forbidden"


async def test_accounts_are_managed_by_admins_only(shop: HttpShop, admin: Admin) -> None:
    owner = await an_owner(shop)
    paths = [("GET", "/accounts"), ("GET", f"/accounts/{owner.id}")]
    actions = ("disable", "enable", "promote", "demote", "sign-out", "reset-code")
    paths += [("POST", f"/accounts/{owner.id}/{action}") for action in actions]

    assert {(await owner.ask(method, path)).code for method, path in paths} == {"forbidden"}
    for action in actions:
        assert (await admin.ask("POST", f"/accounts/{NOBODYS}/{action}")).code == "not-found"
    assert await shop.store.set_role(admin.id, Role.CUSTOMER, at=1)
    assert {(await admin.ask(method, path)).code for method, path in paths} == {"forbidden"}
