"""Setting a password, while others do the same, the cost of hashing rises, or no password can be hashed."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.auth.test_accounts import EMAIL, HOME, PASSWORD, AccountsShop, shop

from flashreserve.auth.outcomes import Busy, InvalidField, LoggedIn, PasswordChanged, ResetCodeMade, WrongCode
from flashreserve.auth.passwords import Argon2Cost, Passwords, PasswordsBusy
from flashreserve.auth.throttle import TryRates
from flashreserve.auth.tokens import Identity
from flashreserve.service.account_changes import RESET_CODE_S, AccountChanges

__all__ = ["shop"]

NEW = "another battery, quite new"
NEWER = "a third one, newer still"


def changes_of(shop: AccountsShop, passwords: Passwords) -> AccountChanges:
    return AccountChanges(
        store=shop.store,
        passwords=passwords,
        tokens=shop.tokens,
        throttle=shop.throttle,
        rates=TryRates(),
        clock=shop.clock,
        shop_names=(),
    )


async def a_code(changes: AccountChanges, account_id: str) -> str:
    made = await changes.make_reset_code(account_id)
    assert isinstance(made, ResetCodeMade)
    return made.code


async def test_a_code_stays_as_it_is_when_no_password_can_be_hashed(shop: AccountsShop, passwords: Passwords) -> None:
    account = await shop.registered()
    full = Passwords(threads=1, waiting_max=0, cost=Argon2Cost(memory_kib=8, passes=1))
    full.close()
    code = await a_code(changes_of(shop, passwords), account.id)
    before = dict(shop.store._reset_codes)
    shop.clock.advance(RESET_CODE_S - 1)
    assert await changes_of(shop, full).reset_password(EMAIL, code, NEW, HOME) == Busy()
    assert shop.store._reset_codes == before != {}
    shop.clock.advance(1)
    assert await changes_of(shop, passwords).reset_password(EMAIL, code, NEW, HOME) == WrongCode()


async def test_a_newer_code_is_not_replaced_by_one_that_could_not_be_used(
    shop: AccountsShop, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await shop.registered()
    changes = changes_of(shop, passwords)
    code = await a_code(changes, account.id)
    made: list[str] = []

    async def refuse(password: str, parties: Sequence[str]) -> PasswordsBusy:
        del password, parties
        made.append(await a_code(changes, account.id))
        return PasswordsBusy()

    with monkeypatch.context() as busy:
        busy.setattr(passwords, "hash", refuse)
        assert await changes.reset_password(EMAIL, code, NEW, HOME) == Busy()
    assert await changes.reset_password(EMAIL, code, NEW, HOME) == WrongCode()
    assert isinstance(await changes.reset_password(EMAIL, made[0], NEW, HOME), PasswordChanged)


async def test_of_many_who_use_a_code_at_once_one_sets_the_password(shop: AccountsShop, passwords: Passwords) -> None:
    account = await shop.registered()
    changes = changes_of(shop, passwords)
    code = await a_code(changes, account.id)
    outcomes = await asyncio.gather(
        *[changes.reset_password(EMAIL, code, password, HOME) for password in (NEW, NEWER) * 3]
    )
    assert sum(isinstance(outcome, PasswordChanged) for outcome in outcomes) == 1
    assert outcomes.count(WrongCode()) == 5


async def test_resets_share_turns_by_the_widest_network_first_as_sign_ins_do(
    shop: AccountsShop, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await shop.registered()
    changes = changes_of(shop, passwords)
    hash_, shared = passwords.hash, list[Sequence[str]]()

    async def note(password: str, parties: Sequence[str]) -> str | PasswordsBusy:
        shared.append(parties)
        return await hash_(password, parties)

    monkeypatch.setattr(passwords, "hash", note)
    for address in ("2001:db8:1:2::3", None):
        await shop.accounts.register(f"{len(shared)}@example.com", NEWER, address)
        code = await a_code(changes, account.id)
        assert isinstance(await changes.reset_password(EMAIL, code, NEW, address), PasswordChanged)

    registered, reset, registered_nowhere, reset_nowhere = shared
    assert reset == registered == ("2001:db8:1::/48", "2001:db8:1::/56", "2001:db8:1:2::/64")
    assert reset_nowhere == registered_nowhere


@pytest.mark.parametrize(
    ("stored", "outcome", "valid"),
    [
        ("the same password, once", PasswordChanged, NEW),
        ("the same password, always", Busy, PASSWORD),
        ("another", InvalidField, NEWER),
    ],
)
async def test_a_right_password_is_not_called_wrong_because_it_was_hashed_anew(
    shop: AccountsShop, passwords: Passwords, monkeypatch: pytest.MonkeyPatch, stored: str, outcome: type, valid: str
) -> None:
    """While the new password is hashed, a sign-in or another change replaces the account's hash."""
    account = await shop.registered()
    now_ms = shop.clock.now_ms()
    identity = Identity(account.id, account.role, now_ms + 1_000, now_ms, signed_in_at=now_ms)
    set_password, replaced = shop.store.set_password, 0

    async def replace_and_set(account_id: str, old: str, new: str, at: int) -> bool:
        nonlocal replaced
        replaced += 1
        if stored != "the same password, once" or replaced == 1:
            fresh = await passwords.hash(NEWER if stored == "another" else PASSWORD, ())
            assert isinstance(fresh, str)
            assert await shop.store.replace_password_hash(account_id, old, fresh)
        return await set_password(account_id, old, new, at)

    monkeypatch.setattr(shop.store, "set_password", replace_and_set)
    assert isinstance(await changes_of(shop, passwords).change_password(identity, PASSWORD, NEW), outcome)
    monkeypatch.undo()
    assert isinstance(await shop.accounts.login(EMAIL, valid, HOME, ()), LoggedIn)
