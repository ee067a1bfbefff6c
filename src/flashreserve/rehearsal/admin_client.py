"""The shop's API for an admin: puts products on sale, reads their stock, and reads the books afterwards."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlencode

import msgspec

from flashreserve.clock import Clock
from flashreserve.core.instants import format_instant
from flashreserve.core.limits import PAGE_MAX
from flashreserve.core.model import Status
from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.rehearsal.client import Client, ConnectionLostError, Response
from flashreserve.rehearsal.server import RehearsalError
from flashreserve.rehearsal.verdict import BookedReservation, ProductBooks

_TRIES_MAX: Final = 6
_PAUSE_S: Final = 0.5
_TIMEOUT_S: Final = 10.0
_STILL_POLL_S: Final = 0.25
_STILL_TIMES_MAX: Final = 12
"""How many times `still_s` the books may go on changing, as when others buy as well."""
_SALE_MS_MAX: Final = 24 * 3600 * 1_000
_OVER: Final = "2000-01-01T00:00:00Z"
_PAGES_MAX: Final = 100_000
_UNAVAILABLE: Final = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


class _ProductJson(msgspec.Struct, rename="camel"):
    id: str
    stock_quantity: int
    available: int


class _StockJson(msgspec.Struct):
    available: int


class _LineJson(msgspec.Struct, rename="camel"):
    product_id: str
    quantity: int


class _ReservationJson(msgspec.Struct, rename="camel"):
    id: str
    user_id: str
    status: Status
    lines: list[_LineJson]


class _PageJson(msgspec.Struct, rename="camel"):
    items: list[_ReservationJson]
    next_cursor: str | None = None


_Body = TypeVar("_Body")


class AdminClient:
    """Makes requests as an admin. Retries a bounded number of times if the shop is unavailable."""

    def __init__(self, client: Client, token: str, clock: Clock) -> None:
        self._client = client
        self._signed = f"Authorization: Bearer {token}\r\n"
        self._clock = clock

    async def create(self, name: str, *, units: int, hold_s: int) -> str:
        """Create a product whose sale is over; its id. If the answer is lost, the unknown product is not on sale."""
        body = {"name": name, "price": "999.00", "currency": "USD", "stockQuantity": units, "holdSeconds": hold_s}
        return (await self._ask("POST", "/products", _ProductJson, {**body, "saleEndsAt": _OVER})).id

    async def put_on_sale(self, product_id: str, in_s: float = 0.0) -> None:
        """Begin a product's sale, in so many seconds. It ends after a day, in case this process is killed."""
        now = self._clock.now_ms()
        times = {"saleEndsAt": format_instant(now + _SALE_MS_MAX)}
        if in_s:
            times["saleStartsAt"] = format_instant(now + round(in_s * 1000))
        await self._ask("PATCH", f"/products/{product_id}", _ProductJson, times)

    async def end_sale(self, product_id: str) -> None:
        """End a product's sale now, by any clock of the shop's."""
        await self._ask("PATCH", f"/products/{product_id}", _ProductJson, {"saleStartsAt": None, "saleEndsAt": _OVER})

    async def available(self, product_ids: Sequence[str]) -> int:
        """Units on sale now, all products together."""
        stocks = await asyncio.gather(*(self._ask("GET", f"/products/{id_}/stock", _StockJson) for id_ in product_ids))
        return sum(stock.available for stock in stocks)

    async def books(self, product_id: str) -> ProductBooks:
        """Stock and all reservations of one product. If the shop is busy, they are not of one instant."""
        read_ms = self._clock.monotonic() * 1_000
        entries: dict[str, BookedReservation] = {}
        cursor: str | None = ""
        for _ in range(_PAGES_MAX):
            page = await self._page(product_id, cursor or "")
            entries.update((found.id, _entry(found, product_id)) for found in page.items)
            cursor = page.next_cursor
            if not cursor:
                break
        product = await self._ask("GET", f"/products/{product_id}", _ProductJson)
        return ProductBooks(product_id, product.stock_quantity, product.available, tuple(entries.values()), read_ms)

    async def still_books(
        self, product_ids: Sequence[str], units: Sequence[int], still_s: float
    ) -> tuple[ProductBooks, ...]:
        """The books as soon as they add up, or once they have neither added up nor changed for `still_s`.

        A hold that lapses between two reads, or that is over and not yet swept, makes the books differ for a moment;
        a leaked unit makes them differ for good.
        """
        last: tuple[ProductBooks, ...] = ()
        deadline = end = self._clock.monotonic() + still_s * _STILL_TIMES_MAX
        while True:
            books = tuple([await self.books(id_) for id_ in product_ids])
            if all(product.gap(stocked) == 0 for product, stocked in zip(books, units, strict=True)):
                return books
            now = self._clock.monotonic()
            if now < end and not _same(books, last):
                last, deadline = books, min(end, now + still_s)
            elif now >= deadline:
                return books
            await asyncio.sleep(_STILL_POLL_S)

    async def _page(self, product_id: str, cursor: str) -> _PageJson:
        query = urlencode({"limit": PAGE_MAX} | ({"cursor": cursor} if cursor else {}))
        return await self._ask("GET", f"/products/{product_id}/reservations?{query}", _PageJson)

    async def _ask(self, method: str, path: str, kind: type[_Body], body: object = None) -> _Body:
        typed = "" if body is None else "Content-Type: application/json\r\n"
        content = b"" if body is None else msgspec.json.encode(body)
        request = self._client.request(method, path, self._signed + typed, content)
        said = ""
        for turn in range(_TRIES_MAX):
            if turn:
                await asyncio.sleep(_PAUSE_S)
            try:
                response = await self._client.ask(request, _TIMEOUT_S)
            except (TimeoutError, ConnectionLostError) as error:
                said = str(error) or f"nothing within {_TIMEOUT_S:.0f} s"
                continue
            if response.status not in _UNAVAILABLE:
                return _decoded(response, kind, f"{method} {path}")
            said = _said(response)
        raise RehearsalError(f"{self._client.url}: {method} {path} was not answered after {_TRIES_MAX} tries: {said}")


def _decoded(response: Response, kind: type[_Body], where: str) -> _Body:
    if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise RehearsalError(f"{where}: expected the token of an admin of this shop. It answered {_said(response)}")
    if response.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise RehearsalError(f"{where}: expected 200 or 201. It answered {_said(response)}")
    try:
        return msgspec.json.decode(response.body, type=kind)
    except DECODE_ERRORS as error:
        raise RehearsalError(
            f"{where}: expected the JSON that FlashReserve answers with. It answered {_said(response)}"
        ) from error


def _said(response: Response) -> str:
    return f"{response.status} {response.body[:300].decode(errors='replace')}"


def _entry(reservation: _ReservationJson, product_id: str) -> BookedReservation:
    quantity = sum(line.quantity for line in reservation.lines if line.product_id == product_id)
    return BookedReservation(reservation.id, reservation.user_id, reservation.status, quantity)


def _same(books: Sequence[ProductBooks], last: Sequence[ProductBooks]) -> bool:
    return [msgspec.structs.replace(b, read_ms=0) for b in books] == [
        msgspec.structs.replace(b, read_ms=0) for b in last
    ]
