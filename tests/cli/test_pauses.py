"""`flashreserve pause` and `resume`."""

import asyncio
from collections.abc import Awaitable

import pytest
from tests.cli.conftest import CommandShop

from flashreserve.bootstrap import open_store
from flashreserve.core.model import Product
from flashreserve.service.pauses import SalePause

WHY = "a fault in the price"
UNKNOWN = "01a20b39-4685-7139-95e5-df707f880fb4"


def product_of(shop: CommandShop, product_id: str) -> Product:
    async def read() -> Product:
        store = await open_store(shop.settings, create=False)
        try:
            found = await store.product(product_id)
        finally:
            await store.close()
        assert found is not None
        return found

    return asyncio.run(read())


def test_a_product_is_paused_and_resumed(shop: CommandShop) -> None:
    id_, other = shop.stock(), shop.stock()
    ended = shop.run("pause", id_.upper(), "--reason", f" {WHY} ")
    assert (ended.code, ended.out) == (
        0,
        f"Paused the sale of {id_}. No reservation is under way any more.\n",
    )
    assert (product_of(shop, id_).pause, product_of(shop, other).pause) == (WHY, None)

    ended = shop.run("resume", id_)
    assert (ended.code, ended.out) == (0, f"Resumed the sale of {id_}.\n")
    assert product_of(shop, id_).pause is None


def test_all_sales_are_paused_and_resumed(shop: CommandShop) -> None:
    id_ = shop.stock()
    ended = shop.run("pause", "--all", "--reason", WHY)
    assert (ended.code, ended.out) == (0, "Paused all sales. No reservation is under way any more.\n")
    assert product_of(shop, id_).pause == WHY
    assert product_of(shop, shop.stock()).pause == WHY

    ended = shop.run("resume", id_)
    assert ended.code == 0
    assert "but all sales are paused: `flashreserve resume --all` ends that" in ended.out
    assert shop.run("resume", "--all").out == "Resumed all sales.\n"
    assert product_of(shop, id_).pause is None


def test_the_movements_that_are_still_under_way_are_told(shop: CommandShop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.stock()
    for left, said in ((1, "1 reservation is still under way"), (2, "2 reservations are still under way")):

        def pause_all(*_: object, settling: int = left) -> Awaitable[SalePause]:
            async def done() -> SalePause:
                return SalePause(paused=True, settling=settling)

            return done()

        monkeypatch.setattr("flashreserve.service.pauses.PauseService.pause_all", pause_all)
        ended = shop.run("pause", "--all", "--reason", WHY)
        assert (ended.code, said in ended.out) == (0, True)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("pause", "--reason", WHY), 2, "expected either PRODUCT or --all"),
        (("pause", UNKNOWN, "--all", "--reason", WHY), 2, "expected either PRODUCT or --all"),
        (("resume",), 2, "expected either PRODUCT or --all"),
        (("resume", UNKNOWN, "--all"), 2, "expected either PRODUCT or --all"),
        (("pause", "--all"), 2, "--reason"),
        (("pause", "--all", "--reason", " "), 2, "--reason: expected 1 to 500 characters on one line"),
        (("pause", "--all", "--reason", "a\nb"), 2, "--reason: expected text on one line"),
        (("pause", "SKU-1", "--reason", WHY), 2, "expected a UUID"),
        (("pause", UNKNOWN, "--reason", WHY), 1, f"PRODUCT: there is no product {UNKNOWN}"),
        (("resume", UNKNOWN), 1, f"PRODUCT: there is no product {UNKNOWN}"),
    ],
)
def test_invalid_arguments_and_unknown_products_are_refused(
    shop: CommandShop, args: tuple[str, ...], code: int, said: str
) -> None:
    id_ = shop.stock()
    ended = shop.run(*args)
    assert (ended.code, ended.out) == (code, "")
    assert said in " ".join(ended.err.split())
    assert product_of(shop, id_).pause is None
