"""Documents are derived from the structs: a new field with a default is written, and may be missing when read."""

from functools import lru_cache
from typing import Any

import msgspec
import pytest
from tests.core.examples import ADMIN, CUP, HOLD_MS, NOON, a_product, an_account, reservation_id

from flashreserve.core.effects import EditEffect
from flashreserve.core.model import Adjustment, Line, Product, Reservation, Status
from flashreserve.stores.mongo import documents, product_writes

HELD = Reservation(
    id=reservation_id(1),
    user_id=an_account().id,
    status=Status.PENDING,
    lines=(Line(CUP, 2, 1_250, "EUR"),),
    created_at=NOON,
    expires_at=NOON + HOLD_MS,
    hold_s=HOLD_MS // 1000,
    extensions_max=3,
    key="k",
)
RESTOCKED = Adjustment(CUP, "k", 5, ADMIN, NOON, 15, 15)


@lru_cache
def longer(kind: type[msgspec.Struct]) -> type[Any]:
    """The struct with one more field, like one that a new version adds."""
    return msgspec.defstruct(f"Longer{kind.__name__}", [("extra", int, 7)], bases=(kind,), frozen=True)


def with_more(struct: msgspec.Struct) -> Any:
    return longer(type(struct))(**msgspec.structs.asdict(struct), extra=8)


@pytest.mark.parametrize(
    ("struct", "write"),
    [
        (a_product(), documents.product_document),
        (HELD, lambda held: documents.reservation_document(held, (), "f")),
        (an_account(), documents.account_document),
        (RESTOCKED, lambda adjustment: {"_id": None, "product_id": CUP} | documents.adjustment_document(adjustment)),
    ],
    ids=["product", "reservation", "account", "adjustment"],
)
def test_a_new_field_is_written_and_has_its_default_where_it_is_missing(struct: msgspec.Struct, write: Any) -> None:
    assert documents.read_struct(write(with_more(struct)), longer(type(struct))) == with_more(struct)
    assert documents.read_struct(write(struct), longer(type(struct))).extra == 7
    assert documents.read_struct(write(with_more(struct)), type(struct)) == struct, "an earlier version passes over it"


def an_edit(after: Product) -> EditEffect:
    return EditEffect(after, after, "an admin", NOON)


def test_a_new_field_is_edited_and_kept_with_an_adjustment() -> None:
    assert product_writes._editing(an_edit(with_more(a_product())))["$set"]["extra"] == 8  # type: ignore[call-overload]
    (step,) = product_writes._restocking(with_more(RESTOCKED))
    (_, (kept,)) = step["$set"]["adjustments"]["$slice"][0]["$concatArrays"]
    assert kept["extra"] == {"$literal": 8}


def test_an_edit_leaves_the_stock_alone() -> None:
    changed = product_writes._editing(an_edit(a_product()))["$set"]  # type: ignore[call-overload]
    assert Product.__struct_fields__[1:] != tuple(changed)
    assert changed.keys().isdisjoint({"stocked", "available", "created_at"})


def test_what_is_none_stays_out_of_a_reservation() -> None:
    written = documents.reservation_document(HELD, ("idem:k",), "f")
    assert written.keys().isdisjoint({"confirmed_at", "released_at"})
    line = {"product_id": CUP, "quantity": 2, "unit_price": 1_250, "currency": "EUR", "returned": 0}
    assert written["lines"] == [line]
    assert (written["product"], written["status"], written["key"]) == (CUP, "PENDING", "k")
