"""Some admin who isn't disabled always stays, in every order of the calls of several processes, on every store."""

import asyncio

import pytest
from tests.core.examples import NOON, an_account, user_id
from tests.interleaving import NOTHING, every_interleaving
from tests.moving_clock import MovingClock

from flashreserve.auth.outcomes import AccountChanged, LastAdmin
from flashreserve.core.accounts import Restricted, Restriction
from flashreserve.core.model import Account, Role
from flashreserve.service.account_changes import AccountChanges
from flashreserve.stores.port import Store

DEMOTED, DISABLED = Restriction
EMAILS = {"A": "a@example.com", "B": "b@example.com", "C": "c@example.com"}
IDS = {name: user_id(number) for number, name in enumerate(EMAILS)}


async def staff(store: Store, admins: str) -> None:
    """Put the accounts A, B and C back to where all but the admins are customers, and nobody is disabled."""
    for name, id_ in IDS.items():
        role = Role.ADMIN if name in admins else Role.CUSTOMER
        if not await store.set_role(id_, role, at=1):
            await store.add_account(an_account(list(IDS).index(name), EMAILS[name], role))
        await store.enable(id_, at=1)


async def able_admins(store: Store) -> str:
    found = await store.list_accounts(None, 9)
    able = {each.email for each in found if each.role is Role.ADMIN and each.disabled_at is None}
    return "".join(name for name, email in EMAILS.items() if email in able)


def changes_on(store: Store) -> AccountChanges:
    return AccountChanges(
        store=store,
        passwords=NOTHING,
        tokens=NOTHING,
        throttle=NOTHING,
        rates=NOTHING,
        clock=MovingClock(),
        shop_names=(),
    )


@pytest.mark.parametrize(
    ("admins", "acts"),
    [
        ("A", "disable A, demote A"),
        ("A", "disable A, disable A"),
        ("AB", "disable A, disable A"),
        ("AB", "demote A, demote B"),
        ("AB", "disable A, demote B"),
        ("AB", "disable A, disable A, demote B"),
        ("ABC", "disable A, demote B, disable C"),
    ],
)
async def test_one_is_left_and_each_answer_is_true(store: Store, admins: str, acts: str) -> None:
    asked = [act.split() for act in acts.split(", ")]
    for order in every_interleaving():
        await staff(store, admins)
        changes = changes_on(order.of(store))

        outcomes = await order.run([getattr(changes, act)(IDS[name]) for act, name in asked])

        left = await able_admins(store)
        assert left
        for (_, name), outcome in zip(asked, outcomes, strict=True):
            assert isinstance(outcome, LastAdmin if name in left else AccountChanged)


@pytest.mark.parametrize(
    ("admins", "acts"),
    [
        ("A", "disable A, enable A"),
        ("A", "demote A, promote A"),
        ("A", "promote B, demote B, demote A"),
        ("A", "promote B, disable B, demote A"),
        ("AB", "disable A, enable A, demote B"),
    ],
)
async def test_one_is_left_while_others_are_promoted_and_enabled(store: Store, admins: str, acts: str) -> None:
    for order in every_interleaving():
        await staff(store, admins)
        changes = changes_on(order.of(store))
        await order.run([getattr(changes, act)(IDS[name]) for act, name in map(str.split, acts.split(", "))])
        assert await able_admins(store)


async def test_of_many_who_restrict_all_admins_at_once_one_is_spared(stores: tuple[Store, Store]) -> None:
    for _ in range(5):
        await staff(stores[0], "ABC")
        asked = [(name, restriction) for name in IDS for restriction in (DEMOTED, DISABLED)] * 2
        outcomes = await asyncio.gather(
            *[
                stores[place % 2].restrict(IDS[name], restriction, NOON)
                for place, (name, restriction) in enumerate(asked)
            ]
        )
        left = await able_admins(stores[1])
        assert len(left) == 1
        for (name, _), outcome in zip(asked, outcomes, strict=True):
            assert outcome is (Restricted.LAST_ADMIN if name == left else Restricted.DONE)


async def _account(store: Store, name: str) -> Account:
    account = await store.account_by_id(IDS[name])
    assert account is not None
    return account


async def test_a_restriction_changes_the_account_and_signs_it_out(store: Store) -> None:
    await staff(store, "AB")
    for id_ in IDS.values():
        await store.set_reset_code(id_, "code", NOON + 1)
    assert await store.restrict(IDS["A"], DEMOTED, NOON) is Restricted.DONE
    assert await store.restrict(IDS["B"], DISABLED, NOON) is Restricted.LAST_ADMIN
    assert await store.restrict(user_id(9), DISABLED, NOON) is Restricted.NO_ACCOUNT
    assert await store.restrict(IDS["C"], DISABLED, NOON) is Restricted.DONE
    assert await store.restrict(IDS["C"], DISABLED, NOON + 5_000) is Restricted.DONE

    a, b, c = [await _account(store, name) for name in IDS]
    assert (a.role, a.disabled_at, a.signed_out_at) == (Role.CUSTOMER, None, NOON)
    assert (b.role, b.disabled_at, b.signed_out_at) == (Role.ADMIN, None, None)
    assert (c.role, c.disabled_at, c.signed_out_at) == (Role.CUSTOMER, NOON, NOON + 5_000)
    assert [await store.has_reset_code(id_, "code", NOON) for id_ in IDS.values()] == [True, True, False]


async def test_an_admin_is_not_erased(store: Store) -> None:
    await staff(store, "AB")
    assert await store.begin_erasure(IDS["A"], NOON) is False
    assert await able_admins(store) == "AB"
    assert await store.signed_out_since(0, 9) == {}
    assert await store.restrict(IDS["A"], DEMOTED, NOON) is Restricted.DONE
    assert await store.begin_erasure(IDS["A"], NOON) is True
    assert await store.account_by_id(IDS["A"]) is None
