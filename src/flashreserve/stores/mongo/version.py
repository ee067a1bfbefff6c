"""The version of the documents, which decides which programs may work on a database.

One document has the version that wrote the others, and the oldest version of a program that can work on them. If a
version only adds fields that have a default, that is the version before: the two can share a database during an
upgrade, and a downgrade by one version stays possible. If programs of the version before would do harm, it is the
version itself.

A process compares the versions when it starts. So nothing stops a process of an unfit version that already runs.

Version 2 has returns: intents of the kind `return`, and `lines.returned`. A program of version 1 knows neither, and
would give back returned units a second time. It would also sell products that are archived. Version 3 has trails and
pauses: a program of version 2 would record no events, and sell products whose sales are paused.
"""

from typing import Final

from flashreserve.stores.mongo.database import Database, Document
from flashreserve.stores.port import StoreUnavailableError

VERSION: Final = 3
"""The version of the documents that this program writes."""

USABLE_FROM: Final = 3
"""The oldest version of a program that can work on them: `VERSION - 1`, or `VERSION` if that would do harm."""

_ID: Final = "schema"


async def check(database: Database, *, create: bool) -> bool:
    """Refuse a database that this program can't work on. Returns whether the database has a version.

    With `create`, the version is written if there is none, and raised if it is the previous one.

    Raises:
        StoreUnavailableError: the database is of a version that is too old or too new, or can't be read.
    """
    found = await _read(database)
    if found is None and create:
        await database.insert_many("meta", [{"_id": _ID, "version": VERSION, "usable_from": USABLE_FROM}])
        found = await _read(database)  # Another process may have been faster.
    if found is None:
        return False
    version, usable_from = found
    if usable_from > VERSION:
        raise StoreUnavailableError(
            f"the database is of version {version}, which programs of version {usable_from} or later can use;"
            f" this one's is {VERSION}: install a newer FlashReserve"
        )
    if version < VERSION - 1:
        raise StoreUnavailableError(
            f"the database is of version {version}, this program reads version {VERSION - 1} or later:"
            f" start the FlashReserve of version {version + 1} on it first"
        )
    if version < VERSION and create:
        change = {"$set": {"version": VERSION, "usable_from": USABLE_FROM}}
        await database.update_many("meta", {"_id": _ID, "version": version}, change)
    return True


async def touch(database: Database) -> None:
    """Write a value that is never read, to check that writing works."""
    await database.update_many("meta", {"_id": _ID}, {"$inc": {"touched": 1}})


async def _read(database: Database) -> tuple[int, int] | None:
    found = await database.find("meta", {"_id": _ID}, most=1)
    return _numbers(found[0]) if found else None


def _numbers(document: Document) -> tuple[int, int]:
    match document:
        case {"version": int(version), "usable_from": int(usable_from)}:
            return version, usable_from
        case _:
            raise StoreUnavailableError(
                "the document that tells the database's version can't be read: expected the numbers version and"
                " usable_from in the document schema of the collection meta"
            )
