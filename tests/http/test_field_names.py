"""Refusals name fields as the API does, although the core uses other names."""

from typing import Final

import msgspec
import pytest
from msgspec import UNSET

from flashreserve.core.commands import Edit
from flashreserve.core.model import Product, ProductDetails
from flashreserve.core.outcomes import Invalid, RulesFixed
from flashreserve.http import answers, bodies, views
from flashreserve.http.field_names import with_wire_names
from flashreserve.http.operations import examples
from flashreserve.http.places import Place
from flashreserve.service.catalogue import NewProduct

SET_BY_SERVICE: Final = {
    "id",
    "available",
    "created_at",
    "updated_at",
    "archived_at",
    "rev",
    "pause_reason",
    "shop_pause_reason",
    "trail_n",
}
"""Fields of a product that no admin gives when making it."""


@pytest.mark.parametrize(
    ("kind", "body"),
    [(Product, views.ProductView), (NewProduct, bodies.ProductBody), (Edit, bodies.ProductEditBody)],
)
def test_every_field_of_a_product_has_the_name_that_bodies_have(
    kind: type[msgspec.Struct], body: type[msgspec.Struct]
) -> None:
    own = {"rev", "product_id", "trail_n", "by", "shop_pause_reason"}
    told = {with_wire_names(name) for name in kind.__struct_fields__ if name not in own}
    details = {with_wire_names(name) for name in ProductDetails.__struct_fields__}
    # `archived_at` is shown and set as `archived`; a new product isn't archived. Pauses have a body of their own.
    written = {"archived" if name == "archivedAt" else name for name in told}
    assert (written | details) - {"pauseReason"} == set(body.__struct_encode_fields__) - {"pauseReason"}


def test_a_new_product_has_every_field_that_an_admin_gives() -> None:
    assert set(NewProduct.__struct_fields__) == set(Product.__struct_fields__) - SET_BY_SERVICE


def test_an_edit_has_the_value_of_every_field_of_its_body() -> None:
    said = {name: examples.PRODUCT[name] for name in bodies.ProductEditBody.__struct_encode_fields__}
    edit = msgspec.convert(said, bodies.ProductEditBody).edit(examples.PRODUCT_ID, "USD", "an admin")
    assert isinstance(edit, Edit)
    assert [name for name, value in msgspec.structs.asdict(edit).items() if value is UNSET] == ["pause_reason"]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (
            Invalid("sale_ends_at", "expected an instant after sale_starts_at"),
            ("bad-request", "saleEndsAt", "expected an instant after saleStartsAt"),
        ),
        (RulesFixed("per_customer_limit", "it is"), ("rules-fixed", "perCustomerLimit", "it is")),
        (
            Invalid("change", "expected at most 3 more units"),
            ("bad-request", "change", "expected at most 3 more units"),
        ),
        (Invalid("price", "expected a number"), ("bad-request", "price", "expected a number")),
    ],
)
def test_a_refusal_names_the_field_as_the_request_did(
    outcome: Invalid | RulesFixed, told: tuple[str, str, str]
) -> None:
    problem = msgspec.json.decode(answers.from_outcome(outcome, Place("/products")).body)
    code, field, message = told
    assert (problem["code"], problem["detail"]) == (code, f"{field}: {message}")
    assert problem["errors"] == [{"field": field, "message": message}]
