import asyncio

import pytest
from msgspec.structs import replace
from tests.contract.factories import StoreFactory
from tests.core.examples import an_account, user_id

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
    assert await store.set_role(user_id(1), Role.ADMIN) is True
    assert await store.account_by_id(user_id(1)) == an_account(1, role=Role.ADMIN)
    assert await store.account_by_id(user_id(2)) == an_account(2, "ben@example.com")
    assert await store.set_role(user_id(1), Role.ADMIN) is True
    assert await store.set_role(user_id(1), Role.CUSTOMER) is True
    assert await store.account_by_id(user_id(1)) == an_account(1)


async def test_an_unknown_account_gets_no_role(store: Store) -> None:
    assert await store.set_role(user_id(1), Role.ADMIN) is False


async def test_accounts_are_durable(durable: StoreFactory) -> None:
    store = await durable.open()
    await store.add_account(an_account())
    await store.set_role(user_id(1), Role.ADMIN)
    await store.replace_password_hash(user_id(1), an_account().password_hash, "$argon2id$new")
    await store.close()
    store = await durable.open()
    expected = replace(an_account(role=Role.ADMIN), password_hash="$argon2id$new")
    assert await store.account_by_email(expected.email) == expected
