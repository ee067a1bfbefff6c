"""Recorded customers record each request that is sent."""

import asyncio
import random

import pytest
from tests.faults.recorded_customers import RecordedCustomers, completed
from tests.proof.records import Answered, Asked, Held, Lost, ReturnedUnits

STOCK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"available": 1}'
KEYS = "k:0123456789abcdefghijklmnopqrstuvwxyz"


async def test_a_cancellation_whose_connection_breaks_was_asked_once() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            while await reader.readline() != b"\r\n":
                pass
            asked.append(line.split()[0])
            if asked[-1] == b"DELETE":
                break
            writer.write(STOCK)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        customers = RecordedCustomers([url], ["cup"], size=1, secret_keys=KEYS, chance=random.Random(1), backend="")
        customers.vanish = 0.0
        async with customers.session() as http:
            for kind in ("stock", "cancel"):
                await customers.ask(http, Asked(0, 0, "", kind, "ann", of="cup"))

    assert asked == [b"GET", b"DELETE"]
    assert isinstance(customers.history[-1], Lost)


CUP, HAT = ReturnedUnits((("cup", 1),), "parcel-1"), ReturnedUnits((("cup", 1), ("hat", 2)), None)


@pytest.mark.parametrize(
    ("shown", "single"),
    [
        ((), ()),
        ((("cup", 1),), (CUP,)),
        ((("cup", 2), ("hat", 2)), (CUP, HAT)),
        ((("hat", 2),), (ReturnedUnits((("hat", 2),), None),)),
    ],
)
def test_the_returns_behind_a_shown_sum_are_the_first_of_the_reservations(
    shown: tuple[tuple[str, int], ...], single: tuple[ReturnedUnits, ...]
) -> None:
    left = Held("1", "ann", "CONFIRMED", (("cup", 3), ("hat", 2)), 0, 1, 1, 0, 1, None, None, (CUP, HAT))
    held = left._replace(returns=(ReturnedUnits(shown, None),) if shown else ())

    (_, answered) = completed([Asked(0, 0, "", "read", "ann", of="1"), Answered(0, 0, "found", held)], [left])

    assert isinstance(answered, Answered)
    assert answered.held == left._replace(returns=single)
