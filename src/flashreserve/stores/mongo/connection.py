"""The database through PyMongo: the connection's settings, and translating the driver's errors to the port's."""

import re
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import pymongo
from bson.errors import BSONError
from bson.son import SON
from pymongo import AsyncMongoClient, IndexModel, ReturnDocument, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    BulkWriteError,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern
from typing_extensions import override

from flashreserve.calls import CallError, Calls, patience
from flashreserve.stores.mongo.database import (
    DRIVER_RETRIES_WRITES,
    Collection,
    Database,
    Document,
    Fields,
    Index,
    Order,
    Query,
    Update,
)
from flashreserve.stores.port import StoreDefectError, StoreOutcomeUnknownError, StoreUnavailableError

DATABASE_DEFAULT: Final = "flashreserve"
"""The database's name if the URL has none."""

T = TypeVar("T")

_TOLD_LENGTH_MAX: Final = 300
"""Characters of an error that are kept. It may name each server of a replica set."""

_ADDITIONS: Final = re.compile(r" \(configured timeouts: [^)]*\)|, (?:Timeout|full error): .*", re.DOTALL)
_DUPLICATE_KEY: Final = 11000
_POOL_MAX: Final = 64
_CONNECTING_MAX: Final = 16
"""Connections opened at a time. With the driver's default, 2, requests in a spike would wait for connections."""
_POOL_WAIT_MS: Final = 1_500
_SERVER_WAIT_MS: Final = 2_000
_CONNECT_MS: Final = 2_000
_SOCKET_MS: Final = 10_000
"""Longest wait for the reply of a server that accepts connections but hangs. It ends abandoned calls."""
_BUILD_S: Final = 600.0
"""Time limit for building the indexes of a large collection."""
_CLOSE_S: Final = 2.0


class PymongoDatabase(Database):
    """A database through PyMongo. Make it inside the event loop that uses it."""

    def __init__(self, url: str) -> None:
        """Prepare the client. It doesn't connect yet.

        Raises:
            StoreUnavailableError: the URL is invalid.
        """
        try:
            name = parse_uri(url)["database"] or DATABASE_DEFAULT
            self._client: AsyncMongoClient[Document] = AsyncMongoClient(
                url,
                appname="flashreserve",
                tz_aware=True,
                maxPoolSize=_POOL_MAX,
                maxConnecting=_CONNECTING_MAX,
                waitQueueTimeoutMS=_POOL_WAIT_MS,
                serverSelectionTimeoutMS=_SERVER_WAIT_MS,
                connectTimeoutMS=_CONNECT_MS,
                socketTimeoutMS=_SOCKET_MS,
                retryWrites=DRIVER_RETRIES_WRITES,
                retryReads=True,
            )
        except (PyMongoError, ValueError, TypeError, LookupError, OSError) as error:  # depends on the bad option
            raise StoreUnavailableError(f"the database's URL can't be used: {_url_fault(error)}") from error
        self._database = self._client.get_database(
            name,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._collections: dict[Collection, AsyncCollection[Document]] = {}
        self._calls = Calls("the database")
        self._replicated: bool | None = None

    def _of(self, collection: Collection) -> AsyncCollection[Document]:
        found = self._collections.get(collection)
        if found is None:
            found = self._collections[collection] = self._database[collection]
        return found

    async def _read(self, purpose: str, call: Coroutine[Any, Any, T]) -> T:
        with _reading():
            return await self._calls.run(purpose, call)

    async def _write(self, purpose: str, call: Coroutine[Any, Any, T]) -> T:
        with _writing():
            return await self._calls.run(purpose, call)

    async def _current(self, collection: Collection) -> AsyncCollection[Document]:
        """The collection for linearizable reads. A server without a replica set refuses them and doesn't need them."""
        of = self._of(collection)
        if self._replicated is None:
            told = await self._read("asking the topology", self._client.admin.command("hello"))
            self._replicated = "setName" in told or told.get("msg") == "isdbgrid"
        return of.with_options(read_concern=ReadConcern("linearizable")) if self._replicated else of

    @override
    async def find(
        self,
        collection: Collection,
        query: Query,
        *,
        fields: Fields | None = None,
        order: Order | None = None,
        most: int = 0,
        current: bool = False,
    ) -> list[Document]:
        of = await self._current(collection) if current else self._of(collection)
        cursor = of.find(query, fields, limit=most, batch_size=most or 10_000)
        if order is not None:
            cursor = cursor.sort(order)
        return await self._read(f"reading {collection}", cursor.to_list())

    @override
    async def aggregate(self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:

        async def summed() -> list[Document]:
            cursor = await self._of(collection).aggregate(pipeline, allowDiskUse=True)
            return await cursor.to_list()

        return await self._read(f"summing {collection}", summed())

    @override
    async def insert_many(self, collection: Collection, documents: Sequence[Document]) -> list[int]:

        async def insert() -> list[int]:
            try:
                await self._of(collection).insert_many(documents, ordered=False)
            except BulkWriteError as error:
                return _duplicates(error)
            return []

        return await self._write(f"inserting {collection}", insert())

    @override
    async def find_one_and_update(
        self, collection: Collection, query: Query, update: Update, *, fields: Fields | None = None
    ) -> Document | None:
        call = self._of(collection).find_one_and_update(
            query, update, projection=fields, return_document=ReturnDocument.AFTER
        )
        return await self._write(f"updating one of {collection}", call)

    @override
    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        await self._write(f"updating {collection}", self._of(collection).update_many(query, update))

    @override
    async def delete_many(self, collection: Collection, query: Query) -> None:
        await self._write(f"deleting {collection}", self._of(collection).delete_many(query))

    @override
    async def bulk_update(self, collection: Collection, updates: Sequence[tuple[Query, Update]]) -> None:
        steps = [UpdateOne(query, update) for query, update in updates]
        await self._write(f"updating {collection}", self._of(collection).bulk_write(steps, ordered=False))

    @override
    async def ensure_indexes(self, indexes: Sequence[Index], *, create: bool) -> None:
        for collection in dict.fromkeys(index.collection for index in indexes):
            there = await self._read(f"reading the indexes of {collection}", self._of(collection).index_information())
            wanted = [index for index in indexes if index.collection == collection]
            missing = [index for index in wanted if index.name not in there]
            faults = [_difference(index, there[index.name]) for index in wanted if index.name in there]
            faults += [] if create else [f"the index {index.name} of {collection} is missing" for index in missing]
            if any(faults):
                raise StoreUnavailableError("; ".join(filter(None, faults)))
            if missing:
                with patience(_BUILD_S):
                    await self._read(f"indexing {collection}", self._build(collection, missing))

    async def _build(self, collection: Collection, indexes: Sequence[Index]) -> None:
        with pymongo.timeout(_BUILD_S):  # instead of `_SOCKET_MS`
            await self._of(collection).create_indexes([_model(index) for index in indexes])

    @override
    async def now_ms(self) -> int:
        told = await self._read("asking the time", self._client.admin.command("hello"))
        return int(told["localTime"].timestamp() * 1000)

    async def version(self) -> str:
        """The server's version, and its product if it reports one other than MongoDB.

        Raises:
            StoreUnavailableError: the server can't be reached.
        """
        built = await self._read("asking the version", self._client.admin.command("buildInfo"))
        other = built.get("ferretdb", {}).get("version")
        return f"{built['version']} (FerretDB {other})" if other else str(built["version"])

    async def topology(self) -> str:
        """The kind of deployment: one server, a replica set or a sharded cluster.

        Raises:
            StoreUnavailableError: the server can't be reached.
        """
        told = await self._read("asking the topology", self._client.admin.command("hello"))
        if told.get("msg") == "isdbgrid":
            return "sharded cluster"
        return f"replica set {told['setName']}" if "setName" in told else "one server, which can be lost"

    @override
    async def close(self) -> None:
        """Close the client. Calls in flight get a short time to end."""
        await self._calls.finish(_CLOSE_S)
        with suppress(CallError):
            await self._calls.run("closing", self._client.close(), limit_s=_CLOSE_S)

    @override
    def beat(self) -> str:
        return self._calls.beat()


@contextmanager
def _reading() -> Iterator[None]:
    """Translate the errors of a read. A read changes nothing, so no outcome is unknown."""
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailableError(f"reading: {_told(error)}") from error
    except CallError as error:
        raise StoreUnavailableError(str(error)) from error


@contextmanager
def _writing() -> Iterator[None]:
    """Translate the errors of a write. It is certain that it wasn't carried out only if no server was found for it.

    After any other error the outcome is unknown. That includes a full connection pool, because the driver may report it
    after a first attempt that was sent.
    """
    try:
        yield
    except ServerSelectionTimeoutError as error:
        raise StoreUnavailableError(f"writing: {_told(error)}") from error
    except CallError as error:
        raise (StoreOutcomeUnknownError if error.sent else StoreUnavailableError)(str(error)) from error
    except PyMongoError as error:
        raise StoreOutcomeUnknownError(f"writing: {_told(error)}") from error
    except (BSONError, OverflowError) as error:
        raise StoreDefectError(f"writing: {error}") from error


def _url_fault(error: Exception) -> str:
    match error:
        case OSError(strerror=reason):
            return f"a file that it names can't be read: {reason}"
        case LookupError():
            return f"unknown value {error}"
        case _:
            return str(error)


def _told(error: PyMongoError) -> str:
    """The driver's message, without the long lists of timeouts and of the topology."""
    return _ADDITIONS.sub("", str(error))[:_TOLD_LENGTH_MAX]


def _duplicates(error: BulkWriteError) -> list[int]:
    """The places of the documents that were refused as duplicates. Raises the error if there is any other refusal."""
    details = error.details or {}
    refused: list[Document] = details.get("writeErrors", [])
    if details.get("writeConcernErrors") or any(each["code"] != _DUPLICATE_KEY for each in refused):
        raise error
    return [each["index"] for each in refused]


def _model(index: Index) -> IndexModel:
    options: dict[str, Any] = {"name": index.name}
    if index.unique:
        options["unique"] = True
    if index.sparse:
        options["sparse"] = True
    if index.where is not None:
        options["partialFilterExpression"] = index.where
    return IndexModel(list(index.keys), **options)


def _difference(index: Index, found: Mapping[str, Any]) -> str:
    """How an existing index differs, in words. One that isn't unique would let two holds have the same claim."""
    is_so = _in_words(
        [(field, int(direction)) for field, direction in found["key"]],
        unique=bool(found.get("unique")),
        sparse=bool(found.get("sparse")),
        where=SON(found.get("partialFilterExpression", {})).to_dict() or None,
    )
    should = _in_words(index.keys, unique=index.unique, sparse=index.sparse, where=index.where)
    if is_so == should:
        return ""
    return (
        f"the index {index.name} of {index.collection} differs: it is {is_so}, expected {should};"
        f" drop it with db.{index.collection}.dropIndex({index.name!r}), the next start makes it again"
    )


def _in_words(keys: Sequence[tuple[str, int]], *, unique: bool, sparse: bool, where: Mapping[str, Any] | None) -> str:
    fields = ", ".join(field if direction > 0 else f"{field} descending" for field, direction in keys)
    kinds = [*(["unique"] if unique else []), *(["sparse"] if sparse else [])]
    return f"{' '.join([*kinds, 'on'])} ({fields})" + (f" where {dict(where)}" if where else "")
