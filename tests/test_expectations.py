from typing import Any

import msgspec
import pytest

from flashreserve.core.model import Line, Reservation
from flashreserve.expectations import expected, why_not


class Chest(msgspec.Struct):
    size: int
    labels: tuple[str, ...] = ()
    drawers: dict[str, Line] = {}


DRAWER = {"product_id": "p", "quantity": 1, "unit_price": 5, "currency": "USD"}
REASONS: list[tuple[object, Any, str]] = [
    ("secret", Chest, "expected an object; found text"),
    ({}, Chest, "size: missing; expected a whole number"),
    ({"size": "secret"}, Chest, "size: expected a whole number; found text"),
    ({"size": None}, Chest, "size: expected a whole number; found null"),
    ({"size": 1, "labels": ["a", 2]}, Chest, "labels[1]: expected text; found a whole number"),
    ({"size": 1, "labels": "secret"}, Chest, "labels: expected a list; found text"),
    (
        {"size": 1, "drawers": {"secret": {**DRAWER, "quantity": []}}},
        Chest,
        "drawers[...].quantity: expected a whole number; found a list",
    ),
    ({"status": "secret"}, Reservation, "status: expected PENDING or CONFIRMED or EXPIRED or CANCELLED"),
    (1j, Chest, "expected an object"),
    ({"size": 1j}, Chest, "size: expected a whole number"),
]


@pytest.mark.parametrize(("value", "kind", "reason"), REASONS, ids=[reason for _, _, reason in REASONS])
def test_the_reason_names_the_place_and_no_value(value: object, kind: Any, reason: str) -> None:
    if kind is Reservation:
        assert isinstance(value, dict)
        value = {"id": "r", "user_id": "u", **value}
    assert why_not(value, kind) == reason


def test_a_value_that_is_invalid_in_either_way_is_explained_in_the_way_that_was_tried() -> None:
    assert why_not({"size": "7", "labels": 1}, Chest) == "size: expected a whole number; found text"
    assert why_not({"size": "7", "labels": 1}, Chest, strict=False) == "labels: expected a list; found a whole number"


def test_lists_and_tuples_of_any_length_are_lists() -> None:
    kinds = (list[int], tuple[int, ...])
    assert {expected(msgspec.inspect.type_info(kind)) for kind in kinds} == {"a list"}
