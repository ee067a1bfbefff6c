"""The messages that the driver sends to a replica set, as a small server that acts as a primary receives them."""

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any, Final

import bson
import pytest

from flashreserve.stores.mongo.connection import PymongoDatabase
from flashreserve.stores.port import StoreOutcomeUnknownError

_OP_QUERY: Final = 2004
_OP_MSG: Final = 2013
_REFUSED: Final = {"ok": 1, "n": 0, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "E11000 duplicate key"}]}


class Primary:
    """Answers the driver's greetings, doesn't answer the first insert, and refuses the next one as a duplicate."""

    def __init__(self, *, set_name: str | None) -> None:
        self.set_name = set_name
        self.commands: list[dict[str, Any]] = []
        self.port = 0

    def named(self, name: str) -> list[dict[str, Any]]:
        return [command for command in self.commands if next(iter(command)) == name]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request, code, command = await _read(reader)
                self.commands.append(command)
                if next(iter(command)) == "insert" and len(self.named("insert")) == 1:
                    break
                _write(writer, request, code, self._answer(command))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        match next(iter(command)):
            case "hello" | "ismaster" | "isMaster":
                return self._greeting()
            case "insert":
                return _REFUSED
            case "find":
                return {"ok": 1, "cursor": {"id": 0, "ns": "shop.products", "firstBatch": []}}
            case _:
                return {"ok": 1}

    def _greeting(self) -> dict[str, Any]:
        me = f"127.0.0.1:{self.port}"
        greeting: dict[str, Any] = {
            "ok": 1,
            "helloOk": True,
            "isWritablePrimary": True,
            "ismaster": True,
            "readOnly": False,
        }
        greeting |= {"maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000}
        greeting |= {"minWireVersion": 0, "maxWireVersion": 21, "logicalSessionTimeoutMinutes": 30, "connectionId": 1}
        if self.set_name is not None:
            greeting |= {"setName": self.set_name, "setVersion": 1, "hosts": [me], "me": me, "primary": me}
        return greeting


async def _read(reader: asyncio.StreamReader) -> tuple[int, int, dict[str, Any]]:
    size, request, _, code = struct.unpack("<iiii", await reader.readexactly(16))
    body = await reader.readexactly(size - 16)
    if code == _OP_QUERY:
        return request, code, bson.decode(body[body.index(b"\0", 4) + 1 + 8 :])
    command: dict[str, Any] = {}
    at = 4
    while at < len(body):
        (length,) = struct.unpack_from("<i", body, at + 1)
        if body[at] == 0:
            command |= bson.decode(body[at + 1 : at + 1 + length])
        at += 1 + length
    return request, code, command


def _write(writer: asyncio.StreamWriter, request: int, code: int, answer: dict[str, Any]) -> None:
    document = bson.encode(answer)
    if code == _OP_MSG:
        body, reply = struct.pack("<i", 0) + b"\0" + document, _OP_MSG
    else:
        body, reply = struct.pack("<iqii", 8, 0, 0, 1) + document, 1
    writer.write(struct.pack("<iiii", 16 + len(body), 1, request, reply) + body)


@pytest.fixture
async def primary() -> AsyncIterator[Primary]:
    async for each in _running(Primary(set_name="rs")):
        yield each


@pytest.fixture
async def standalone() -> AsyncIterator[Primary]:
    async for each in _running(Primary(set_name=None)):
        yield each


async def _running(primary: Primary) -> AsyncIterator[Primary]:
    server = await asyncio.start_server(primary.serve, "127.0.0.1", 0)
    primary.port = server.sockets[0].getsockname()[1]
    yield primary
    server.close()


@pytest.mark.parametrize("options", ["", "&retryWrites=true&w=1&journal=false"])
async def test_a_write_whose_reply_is_lost_is_sent_once_and_its_outcome_is_unknown(
    primary: Primary, options: str
) -> None:
    database = PymongoDatabase(f"mongodb://127.0.0.1:{primary.port}/shop?replicaSet=rs{options}")
    with pytest.raises(StoreOutcomeUnknownError):
        await database.insert_many("reservations", [{"_id": "r1"}])
    await database.close()
    (insert,) = primary.named("insert")
    assert insert["writeConcern"] == {"w": "majority", "j": True}
    assert "txnNumber" not in insert


async def test_current_reads_of_a_replica_set_are_linearizable(primary: Primary) -> None:
    database = PymongoDatabase(f"mongodb://127.0.0.1:{primary.port}/shop?replicaSet=rs")
    await database.find("products", {})
    await database.find("products", {}, current=True)
    await database.close()
    assert [find["readConcern"]["level"] for find in primary.named("find")] == ["majority", "linearizable"]


async def test_current_reads_of_a_server_alone_are_its_only_ones(standalone: Primary) -> None:
    database = PymongoDatabase(f"mongodb://127.0.0.1:{standalone.port}/shop")
    await database.find("products", {}, current=True)
    await database.close()
    assert [find["readConcern"]["level"] for find in standalone.named("find")] == ["majority"]
