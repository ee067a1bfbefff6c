"""The database through PyMongo: settings of the connection, and what the driver's errors mean here."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from bson.errors import BSONError
from pymongo import AsyncMongoClient, IndexModel, ReturnDocument, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from flashreserve.stores.mongo.database import Collection, Document, Fields, Index, Order, Query, Update
from flashreserve.stores.port import StoreDefectError, StoreOutcomeUnknownError, StoreUnavailableError

DATABASE_DEFAULT: Final = "flashreserve"
"""The database's name, where the URL has none."""

_DUPLICATE_KEY: Final = 11000
_POOL_MAX: Final = 64
_CONNECTING_MAX: Final = 16
"""The driver's own default, 2, makes a spike wait for its connections."""
_POOL_WAIT_MS: Final = 1_500
_SERVER_WAIT_MS: Final = 2_000
_CONNECT_MS: Final = 2_000
_SOCKET_MS: Final = 10_000
"""Longest wait for a reply: a server that is there but stopped."""


class PymongoDatabase:
    """See `Database`. Made inside the event loop that uses it."""

    def __init__(self, url: str) -> None:
        """Nothing is connected to yet.

        Raises:
            StoreUnavailableError: the URL can't be read.
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
                retryWrites=True,
                retryReads=True,
            )
        except (ConfigurationError, InvalidURI, ValueError) as error:
            raise StoreUnavailableError(f"the database's URL can't be used: {error}") from error
        self._database = self._client.get_database(
            name,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )
        self._collections: dict[Collection, AsyncCollection[Document]] = {}

    def _of(self, collection: Collection) -> AsyncCollection[Document]:
        found = self._collections.get(collection)
        if found is None:
            found = self._collections[collection] = self._database[collection]
        return found

    async def find(
        self,
        collection: Collection,
        query: Query,
        *,
        fields: Fields | None = None,
        order: Order | None = None,
        most: int = 0,
    ) -> list[Document]:
        """See `Database`."""
        with _reading():
            cursor = self._of(collection).find(query, fields, limit=most, batch_size=most or 10_000)
            if order is not None:
                cursor = cursor.sort(order)
            return await cursor.to_list()

    async def aggregate(self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        """See `Database`."""
        with _reading():
            cursor = await self._of(collection).aggregate(pipeline, allowDiskUse=True)
            return await cursor.to_list()

    async def insert_many(self, collection: Collection, documents: Sequence[Document]) -> list[int]:
        """See `Database`."""
        with _writing():
            try:
                await self._of(collection).insert_many(documents, ordered=False)
            except BulkWriteError as error:
                return _duplicates(error)
            return []

    async def find_one_and_update(
        self, collection: Collection, query: Query, update: Update, *, fields: Fields | None = None
    ) -> Document | None:
        """See `Database`."""
        with _writing():
            return await self._of(collection).find_one_and_update(
                query, update, projection=fields, return_document=ReturnDocument.AFTER
            )

    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        """See `Database`."""
        with _writing():
            await self._of(collection).update_many(query, update)

    async def bulk_update(self, collection: Collection, updates: Sequence[tuple[Query, Update]]) -> None:
        """See `Database`."""
        with _writing():
            await self._of(collection).bulk_write(
                [UpdateOne(query, update) for query, update in updates], ordered=False
            )

    async def ensure_indexes(self, indexes: Sequence[Index], *, create: bool) -> None:
        """See `Database`."""
        with _reading():
            for collection in dict.fromkeys(index.collection for index in indexes):
                wanted = [index for index in indexes if index.collection == collection]
                if create:
                    await self._of(collection).create_indexes([_model(index) for index in wanted])
                there = await self._of(collection).index_information()
                for index in wanted:
                    _compare(index, there.get(index.name))

    async def now_ms(self) -> int:
        """See `Database`."""
        with _reading():
            told = await self._client.admin.command("hello")
        return int(told["localTime"].timestamp() * 1000)

    async def version(self) -> str:
        """The server's version, and what it is beside MongoDB if it tells.

        Raises:
            StoreUnavailableError: the server can't be reached.
        """
        with _reading():
            built = await self._client.admin.command("buildInfo")
        other = built.get("ferretdb", {}).get("version")
        return f"{built['version']} (FerretDB {other})" if other else str(built["version"])

    async def topology(self) -> str:
        """Whether one server, a replica set or a sharded cluster was connected to.

        Raises:
            StoreUnavailableError: the server can't be reached.
        """
        with _reading():
            told = await self._client.admin.command("hello")
        if told.get("msg") == "isdbgrid":
            return "sharded cluster"
        return f"replica set {told['setName']}" if "setName" in told else "one server, which can be lost"

    async def close(self) -> None:
        """See `Database`."""
        await self._client.close()


@contextmanager
def _reading() -> Iterator[None]:
    """Whatever a read fails by, it has changed nothing."""
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailableError(f"reading: {error}") from error


@contextmanager
def _writing() -> Iterator[None]:
    """A write has surely not been carried out only if it never left: no server was found for it.

    All else counts as unknown, a full connection pool too: the driver may come to it after a first attempt that did
    leave.
    """
    try:
        yield
    except ServerSelectionTimeoutError as error:
        raise StoreUnavailableError(f"writing: {error}") from error
    except PyMongoError as error:
        raise StoreOutcomeUnknownError(f"writing: {error}") from error
    except (BSONError, OverflowError) as error:
        raise StoreDefectError(f"writing: {error}") from error


def _duplicates(error: BulkWriteError) -> list[int]:
    """The places of the documents refused as duplicates; any other refusal makes the whole reply unusable."""
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


def _compare(index: Index, found: Mapping[str, Any] | None) -> None:
    """An index that isn't unique, or not on these fields, would let holds collide that must not."""
    if found is None:
        raise OperationFailure(f"the index {index.name} of {index.collection} is missing")
    same = (
        [(field, int(direction)) for field, direction in found["key"]] == list(index.keys)
        and bool(found.get("unique")) == index.unique
        and bool(found.get("sparse")) == index.sparse
        and (dict(found["partialFilterExpression"]) if "partialFilterExpression" in found else None) == index.where
    )
    if not same:
        raise OperationFailure(f"the index {index.name} of {index.collection} differs: drop it, it is made again")
