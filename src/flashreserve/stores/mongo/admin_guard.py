"""Demoting and disabling accounts on the MongoDB server, so that an admin who isn't disabled always stays.

Without transactions, no write can look at two accounts. So restrictions of admins go one after the other, in the order
of a version in one document, the guard. A restriction of the account A

1. reads the guard: its version n, and that no turn is open;
2. reads that another admin B is able (isn't disabled);
3. takes a turn: version n + 1 with the restriction, if the version is still n;
4. changes A if A's own `restricted` is below n + 1, and sets that to n + 1;
5. closes the turn, if the version is still n + 1.

Able admins become fewer in step 4 only. Between 1 and 3 no turn is open, and all earlier ones are over: step 4 of each
has been carried out, and a copy of it that arrives later finds `restricted` raised. So B is able from 2 until after 4.
Other writes add able admins (promoting, enabling), or have the condition that the account is no able admin (`_UNABLE`).

After a crash or a lost reply, the turn stays open. The next restriction ends it: it carries out 4 or, if the turn is
old, so that nobody expects it any more, only raises `restricted`; then 5. So a crash locks nothing. Clocks only decide
which of the two happens, and both are safe.
"""

from contextlib import suppress
from typing import Any, Final, assert_never

import msgspec

from flashreserve.core.accounts import Restricted, Restriction
from flashreserve.core.events import BY_COMMAND_LINE, AccessChange, EventType, RoleChange
from flashreserve.core.model import Role
from flashreserve.stores.mongo.database import Database, Document, Fields
from flashreserve.stores.mongo.trail import entry, recorded_if
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

_GUARD: Final = "admins"
"""The id of the guard, in the collection `meta`."""

_TRIES_MAX: Final = 100
"""How often a restriction looks again because others were faster."""

_OLD_MS: Final = 60_000
"""A turn that has been open for so long isn't carried out any more."""

_ID: Final[Fields] = {"_id": 1}
_DEMOTION: Final[Document] = msgspec.to_builtins(RoleChange(Role.ADMIN, Role.CUSTOMER))
_DISABLED: Final[Document] = msgspec.to_builtins(AccessChange(enabled=False))
_ABLE: Final[Document] = {"role": Role.ADMIN.value, "disabled_at": None}
_UNABLE: Final[Document] = {"$or": [{"role": {"$ne": Role.ADMIN.value}}, {"disabled_at": {"$ne": None}}]}


class _Turn(msgspec.Struct, frozen=True):
    """The restriction that is pending since `at`, as version `version`."""

    version: int
    account: str
    restriction: Restriction
    at: int
    by: str = BY_COMMAND_LINE


async def restrict(database: Database, account_id: str, restriction: Restriction, at: int, by: str) -> Restricted:
    """See `flashreserve.stores.port.AccountStore.restrict`."""
    taken: list[_Turn] = []
    with after_a_change(lambda: bool(taken)):
        for _ in range(_TRIES_MAX):
            found = await _try(database, account_id, restriction, at, by)
            if isinstance(found, Restricted):
                return found
            if found is None or not await _is_taken(database, found):
                continue
            taken.append(found)  # From here on, the next restriction may carry it out, even if this call fails.
            if await _end(database, found, at):
                return Restricted.DONE
        raise StoreUnavailableError("too many accounts are demoted and disabled at once")


async def _try(
    database: Database, account_id: str, restriction: Restriction, at: int, by: str
) -> Restricted | _Turn | None:
    """Restrict an account that is no able admin. Of an able one, returns the turn to take; None: look again."""
    mine: Document = {"_id": account_id}
    if await _change(database, {**mine, **_UNABLE}, restriction, at, by):
        return Restricted.DONE
    version, turn = await _guard(database)
    if turn is not None:
        await _end(database, turn, at)
        return None
    if not await database.find("accounts", {**mine, **_ABLE}, fields=_ID, current=True):
        if not await database.find("accounts", mine, fields=_ID, current=True):
            return Restricted.NO_ACCOUNT
        return None  # It was an able admin, and has been changed meanwhile.
    others = {**_ABLE, "_id": {"$ne": account_id}}
    if not await database.find("accounts", others, fields=_ID, most=1, current=True):
        return Restricted.LAST_ADMIN
    return _Turn(version + 1, account_id, restriction, at, by)


def signed_out(at: int) -> Document:
    """`core.accounts.signed_out_at` as an expression. Without an earlier sign-out, its second part is null."""
    second = {"$subtract": ["$signed_out_at", {"$mod": ["$signed_out_at", 1000]}]}
    return {"$max": [at, {"$add": [second, 1000]}]}


async def _change(
    database: Database, query: Document, restriction: Restriction, at: int, by: str, more: Document | None = None
) -> bool:
    """Restrict the account if the query matches it. Returns whether it did."""
    change: Document = {"signed_out_at": signed_out(at), **(more or {})}
    match restriction:
        case Restriction.DEMOTED:
            demoted = entry(EventType.ACCOUNT_ROLE_CHANGED, at, by, data=_DEMOTION)
            change |= recorded_if({"$eq": ["$role", Role.ADMIN.value]}, {"$literal": demoted}, at)
            change["role"] = Role.CUSTOMER.value
        case Restriction.DISABLED:
            disabled = entry(EventType.ACCOUNT_DISABLED, at, by, data=_DISABLED)
            change |= recorded_if({"$eq": [{"$ifNull": ["$disabled_at", None]}, None]}, {"$literal": disabled}, at)
            change |= {"disabled_at": {"$ifNull": ["$disabled_at", at]}, "reset_code": None}
        case _:
            assert_never(restriction)
    return await database.find_one_and_update("accounts", query, [{"$set": change}], fields=_ID) is not None


async def _guard(database: Database) -> tuple[int, _Turn | None]:
    """The last version, and its turn if that is open."""
    found = await database.find("meta", {"_id": _GUARD}, current=True)
    if not found:
        await database.insert_many("meta", [{"_id": _GUARD, "version": 0, "turn": None}])
        return 0, None
    version, turn = found[0]["version"], found[0]["turn"]
    return version, None if turn is None else msgspec.convert({**turn, "version": version}, _Turn)


async def _is_taken(database: Database, turn: _Turn) -> bool:
    pending: dict[str, Any] = msgspec.to_builtins(turn)
    query = {"_id": _GUARD, "version": turn.version - 1, "turn": None}
    change = {"$set": {"version": pending.pop("version"), "turn": pending}}
    return await database.find_one_and_update("meta", query, change, fields=_ID) is not None


async def _end(database: Database, turn: _Turn, now: int) -> bool:
    """End the turn, this process's own or another's. Returns whether this call carried its restriction out.

    Each write has its version as a condition, so several processes may end it at once.
    """
    once = {"_id": turn.account, "restricted": {"$not": {"$gte": turn.version}}}
    raised = {"restricted": turn.version}
    done = False
    if now - turn.at <= _OLD_MS:
        done = await _change(database, once, turn.restriction, turn.at, turn.by, raised)
    else:
        await database.find_one_and_update("accounts", once, {"$set": raised}, fields=_ID)
    query = {"_id": _GUARD, "version": turn.version}
    with suppress(StoreUnavailableError, StoreOutcomeUnknownError):  # The next restriction closes it.
        await database.find_one_and_update("meta", query, {"$set": {"turn": None}}, fields=_ID)
    return done
