"""API keys, through every store."""

import asyncio

import pytest
from tests.core.examples import a_key

from flashreserve.core import limits
from flashreserve.stores.port import Store, StoreDefectError


async def test_keys_are_kept_as_they_were_added(store: Store) -> None:
    every_field = a_key(2, expires_at=20, revoked_at=30, last_used_at=25)
    bare = a_key(1, scopes=(), created_by=None)
    assert await store.add_key(every_field, 9) is True
    assert await store.add_key(bare, 9) is True
    assert await store.keys() == [bare, every_field]


async def test_no_more_keys_are_added_than_may_be_valid(store: Store) -> None:
    assert [await store.add_key(a_key(number), 2) for number in (1, 2, 3)] == [True, True, False]
    await store.revoke_key(a_key(1).id, 20)
    assert await store.add_key(a_key(3), 2) is True
    assert [key.id for key in await store.keys()] == [a_key(number).id for number in (1, 2, 3)]


async def test_an_id_used_twice_is_a_defect(store: Store) -> None:
    await store.add_key(a_key(), 9)
    with pytest.raises(StoreDefectError):
        await store.add_key(a_key(name="another"), 9)
    assert await store.keys() == [a_key()]


async def test_a_key_is_revoked_once(store: Store) -> None:
    await store.add_key(a_key(), 9)
    assert await store.revoke_key(a_key().id, 20) is True
    assert await store.revoke_key(a_key().id, 30) is True
    assert await store.keys() == [a_key(revoked_at=20, trail_n=2)]
    assert await store.revoke_key(a_key(2).id, 20) is False


async def test_the_latest_use_is_noted(store: Store) -> None:
    for number in (1, 2, 3):
        await store.add_key(a_key(number), 9)
    await store.touch_keys({a_key(1).id: 40, a_key(2).id: 50})
    await store.touch_keys({a_key(1).id: 30, a_key(2).id: 60})
    await store.touch_keys({})
    assert [key.last_used_at for key in await store.keys()] == [40, 60, None]


async def test_only_the_latest_revoked_keys_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "API_KEYS_MAX", 2)
    for number in range(5):
        await store.add_key(a_key(number), 9)
    await asyncio.gather(*[store.revoke_key(a_key(number).id, 20 + number) for number in range(4)])
    assert [key.id for key in await store.keys()] == [a_key(number).id for number in (2, 3, 4)]
