import asyncio

import pytest
from msgspec.structs import replace
from tests.contract.factories import StoreFactory
from tests.core.examples import an_account, user_id

from flashreserve.core.accounts import Restricted, Restriction
from flashreserve.core.model import Role
from flashreserve.stores.port import Store, StoreDefectError


@pytest.mark.parametrize("role", list(Role))
async def test_an_account_is_found_by_email_and_by_id(store: Store, role: Role) -> None:
    account = an_account(role=role)
    assert await store.add_account(account) is True
    assert await store.account_by_email(account.email) == account
    found = await store.account_by_id(account.id)
    assert found == account
    assert isinstance(found.role, Role)


async def test_unknown_accounts_are_none(store: Store) -> None:
    await store.add_account(an_account())
    assert await store.account_by_id(user_id(2)) is None
    for email in ("ben@example.com", "", "ann@example.co", "%", "ANN@example.com", "ann@example.com "):
        assert await store.account_by_email(email) is None


async def test_a_taken_email_is_refused_and_nothing_is_written(store: Store) -> None:
    first = an_account(1)
    await store.add_account(first)
    assert await store.add_account(replace(an_account(2), role=Role.ADMIN)) is False
    assert await store.account_by_email(first.email) == first
    assert await store.account_by_id(user_id(2)) is None


async def test_emails_that_differ_belong_to_different_accounts(store: Store) -> None:
    emails = ["ann@example.com", "Ann@example.com", "ann@example.org", "änn@example.com", "ann+1@example.com"]
    for number, email in enumerate(emails):
        assert await store.add_account(an_account(number, email)) is True
    for number, email in enumerate(emails):
        assert await store.account_by_email(email) == an_account(number, email)


async def test_a_used_id_is_a_defect_and_nothing_is_written(store: Store) -> None:
    await store.add_account(an_account(1))
    with pytest.raises(StoreDefectError):
        await store.add_account(an_account(1, "ben@example.com"))
    assert await store.account_by_email("ben@example.com") is None
    assert await store.account_by_id(user_id(1)) == an_account(1)


async def test_of_many_who_want_an_email_at_once_one_gets_it(store: Store) -> None:
    added = await asyncio.gather(*[store.add_account(an_account(number)) for number in range(20)])
    assert sum(added) == 1
    winner = await store.account_by_email(an_account().email)
    assert winner == an_account(added.index(True))


async def test_an_email_is_taken_once_across_stores(stores: tuple[Store, Store]) -> None:
    added = await asyncio.gather(*[stores[number % 2].add_account(an_account(number)) for number in range(20)])
    assert sum(added) == 1
    assert await stores[0].account_by_email(an_account().email) == an_account(added.index(True))


async def test_a_hash_is_replaced_only_while_it_is_the_old_one(store: Store) -> None:
    await store.add_account(an_account(1))
    await store.add_account(an_account(2, "ben@example.com"))
    old = an_account().password_hash
    assert await store.replace_password_hash(user_id(1), "$argon2id$other", "$argon2id$new") is False
    assert await store.replace_password_hash(user_id(3), old, "$argon2id$new") is False
    assert await store.account_by_id(user_id(1)) == an_account(1)
    assert await store.replace_password_hash(user_id(1), old, "$argon2id$new") is True
    assert await store.account_by_id(user_id(1)) == replace(an_account(1), password_hash="$argon2id$new")
    assert await store.replace_password_hash(user_id(1), old, "$argon2id$newer") is False
    assert await store.account_by_id(user_id(2)) == an_account(2, "ben@example.com")


async def test_of_many_who_replace_a_hash_at_once_one_does(store: Store) -> None:
    await store.add_account(an_account())
    old = an_account().password_hash
    replaced = await asyncio.gather(
        *[store.replace_password_hash(user_id(1), old, f"$argon2id${number}") for number in range(10)]
    )
    assert sum(replaced) == 1
    account = await store.account_by_id(user_id(1))
    assert account is not None
    assert account.password_hash == f"$argon2id${replaced.index(True)}"


async def test_a_role_is_given(store: Store) -> None:
    await store.add_account(an_account(1))
    await store.add_account(an_account(2, "ben@example.com"))
    assert await store.set_role(user_id(1), Role.ADMIN, at=1) is True
    assert await store.account_by_id(user_id(1)) == replace(an_account(1, role=Role.ADMIN), trail_n=1)
    assert await store.account_by_id(user_id(2)) == an_account(2, "ben@example.com")
    assert await store.set_role(user_id(1), Role.ADMIN, at=1) is True
    assert await store.set_role(user_id(1), Role.CUSTOMER, at=1) is True
    assert await store.account_by_id(user_id(1)) == replace(an_account(1), trail_n=2)


async def test_an_unknown_account_gets_no_role(store: Store) -> None:
    assert await store.set_role(user_id(1), Role.ADMIN, at=1) is False


async def test_accounts_are_durable(durable: StoreFactory) -> None:
    store = await durable.open()
    await store.add_account(an_account())
    await store.set_role(user_id(1), Role.ADMIN, at=1)
    await store.replace_password_hash(user_id(1), an_account().password_hash, "$argon2id$new")
    await store.close()
    store = await durable.open()
    expected = replace(an_account(role=Role.ADMIN), password_hash="$argon2id$new", trail_n=1)
    assert await store.account_by_email(expected.email) == expected


async def test_an_account_is_disabled_and_enabled(store: Store) -> None:
    await store.add_account(an_account())
    assert await store.restrict(user_id(1), Restriction.DISABLED, 5) is Restricted.DONE
    assert await store.account_by_id(user_id(1)) == replace(an_account(), disabled_at=5, signed_out_at=5, trail_n=1)
    assert await store.enable(user_id(1), at=6) is True
    assert await store.account_by_id(user_id(1)) == replace(an_account(), signed_out_at=5, trail_n=2)
    assert await store.enable(user_id(1), at=7) is True
    assert await store.account_by_id(user_id(1)) == replace(an_account(), signed_out_at=5, trail_n=2)
    assert await store.enable(user_id(2), at=6) is False


async def test_accounts_that_were_signed_out_are_found_by_time(store: Store) -> None:
    for number in range(4):
        await store.add_account(an_account(number, f"{number}@example.com"))
    for number, at in ((1, 1_010), (2, 1_020), (3, 3_030), (2, 4_040)):
        assert await store.sign_out(user_id(number), at) is True
    assert await store.sign_out(user_id(9), 10) is False
    assert await store.signed_out_since(0, 9) == {user_id(1): 1_010, user_id(2): 4_040, user_id(3): 3_030}
    assert await store.signed_out_since(3_030, 9) == {user_id(2): 4_040, user_id(3): 3_030}
    assert await store.signed_out_since(0, 2) == {user_id(2): 4_040, user_id(3): 3_030}
    assert await store.signed_out_since(4_041, 9) == {}
    assert await store.account_by_id(user_id(1)) == replace(an_account(1, "1@example.com"), signed_out_at=1_010)


async def test_the_last_sign_out_or_erasure_of_one_customer_is_found(store: Store) -> None:
    for number in range(3):
        await store.add_account(an_account(number, f"{number}@example.com"))
    await store.sign_out(user_id(1), 1_010)
    await store.sign_out(user_id(2), 1_020)
    await store.begin_erasure(user_id(2), 2_000)
    await store.begin_erasure("shop:ann", 3_000)
    customers = (user_id(0), user_id(1), user_id(2), "shop:ann", "shop:ben")
    assert [await store.signed_out_at(id_) for id_ in customers] == [None, 1_010, 2_000, 3_000, None]


async def test_each_sign_out_refuses_the_tokens_that_were_issued_after_the_one_before(store: Store) -> None:
    """Such a token has the whole second after the sign-out, so it may have been issued in the future."""
    await store.add_account(an_account())
    noted = []
    for at in (5_100, 5_200, 4_000, 8_000, 8_999):
        assert await store.sign_out(user_id(1), at) is True
        account = await store.account_by_id(user_id(1))
        assert account is not None
        noted.append(account.signed_out_at)
    assert noted == [5_100, 6_000, 7_000, 8_000, 9_000]


async def test_of_many_sign_outs_at_once_each_counts(store: Store) -> None:
    await store.add_account(an_account())
    await asyncio.gather(*[store.sign_out(user_id(1), 5_100) for _ in range(10)])
    assert await store.signed_out_since(0, 9) == {user_id(1): 14_000}


async def test_accounts_are_listed_oldest_first(store: Store) -> None:
    accounts = [an_account(number, f"{number}@example.com") for number in (3, 1, 2)]
    for account in accounts:
        await store.add_account(account)
    listed = sorted(accounts, key=lambda account: account.id)
    assert await store.list_accounts(None, 9) == listed
    assert await store.list_accounts(None, 2) == listed[:2]
    assert await store.list_accounts(user_id(2), 2) == listed[2:]


async def test_a_reset_code_is_used_once_and_in_time(store: Store) -> None:
    await store.add_account(an_account(1))
    await store.add_account(an_account(2, "ben@example.com"))
    await store.set_reset_code(user_id(1), "first", 100)
    await store.set_reset_code(user_id(1), "second", 100)
    assert await store.has_reset_code(user_id(1), "second", 99) is True
    for account, code, now in ((1, "first", 99), (2, "second", 99), (1, "second", 100)):
        assert await store.has_reset_code(user_id(account), code, now) is False
        assert await store.use_reset_code(user_id(account), code, now) is False
    used = await asyncio.gather(*[store.use_reset_code(user_id(1), "second", 99) for _ in range(9)])
    assert sum(used) == 1
    assert await store.account_by_id(user_id(1)) == an_account(1)


async def test_a_password_is_set_together_with_a_sign_out_and_without_its_reset_code(store: Store) -> None:
    await store.add_account(an_account())
    old, new = an_account().password_hash, "$argon2id$new"
    await store.set_reset_code(user_id(1), "code", 9_000)
    for account, known in ((1, "$argon2id$other"), (2, old)):
        assert await store.set_password(user_id(account), known, new, 5_000) is False
    assert await store.account_by_id(user_id(1)) == an_account()
    assert await store.has_reset_code(user_id(1), "code", 5_000) is True

    assert await store.set_password(user_id(1), old, new, 5_000) is True

    assert await store.account_by_id(user_id(1)) == replace(an_account(), password_hash=new, signed_out_at=5_000)
    assert await store.has_reset_code(user_id(1), "code", 5_000) is False


async def test_accounts_are_found_by_their_ids(store: Store) -> None:
    accounts = [an_account(number, f"{number}@example.com") for number in range(3)]
    for account in accounts:
        await store.add_account(account)
    found = await store.accounts([user_id(2), user_id(0), user_id(9), user_id(2), "shop:1"])
    assert sorted(found, key=lambda account: account.id) == [accounts[0], accounts[2]]
    assert await store.accounts([]) == []
