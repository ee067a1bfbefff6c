"""A purchase by the generated client: `python purchase.py URL PRODUCT SOLD-OUT-PRODUCT` prints its answers as JSON.

There is no cast here: `isinstance` tells the type checker, and the reader, which class an answer has.
"""

import json
import sys
from typing import TypeVar
from uuid import UUID

from flash_reserve_client import AuthenticatedClient, Client
from flash_reserve_client.api.accounts import login, me, register
from flash_reserve_client.api.products import list_products
from flash_reserve_client.api.reservations import checkout, reserve
from flash_reserve_client.models import (
    AccountView,
    CredentialsBody,
    Problem,
    ProblemCode,
    ProductPage,
    RegistrationBody,
    ReservationView,
    ReserveBody,
    ReserveBodyMetadataType0,
    TokenView,
)
from flash_reserve_client.types import Response, Unset

EMAIL = "ann@example.com"
PASSWORD = "a horse with a typed saddle"
T = TypeVar("T")


def granted(kind: type[T], answer: Response[T | Problem]) -> T:
    """The answer as the generated client parsed it.

    Raises:
        TypeError: it is of another class, or was dropped.
    """
    if not isinstance(answer.parsed, kind):
        raise TypeError(f"{answer.status_code} {answer.content!r} was parsed as {answer.parsed!r}")
    return answer.parsed


def refused(answer: Response[T | Problem]) -> Problem:
    """The problem as the generated client parsed it.

    Raises:
        TypeError: it is no problem, or was dropped.
    """
    if not isinstance(answer.parsed, Problem):
        raise TypeError(f"{answer.status_code} {answer.content!r} was parsed as {answer.parsed!r}")
    return answer.parsed


def sign_up(shop: Client) -> str:
    made = register.sync_detailed(client=shop, body=RegistrationBody(email=EMAIL, password=PASSWORD))
    granted(AccountView, made)
    signed_in = login.sync_detailed(client=shop, body=CredentialsBody(email=EMAIL, password=PASSWORD))
    return granted(TokenView, signed_in).token


def sold_out(customer: AuthenticatedClient, product_id: UUID, quantity: int) -> dict[str, object]:
    answer = reserve.sync_detailed(product_id, client=customer, body=ReserveBody(quantity=quantity))
    problem = refused(answer)
    if problem.code is not ProblemCode.SOLD_OUT or isinstance(problem.available, Unset):
        raise ValueError(problem)
    available: int = problem.available
    return {"status": answer.status_code, "code": problem.code, "available": available, "product": problem.product_id}


def invalid(customer: AuthenticatedClient, product_id: UUID) -> dict[str, object]:
    answer = reserve.sync_detailed(product_id, client=customer, body=ReserveBody(quantity=0))
    problem = refused(answer)
    errors = [] if isinstance(problem.errors, Unset) else problem.errors
    return {
        "status": answer.status_code,
        "code": problem.code,
        "errors": [[each.field, each.message.startswith("expected")] for each in errors],
    }


def purchase(url: str, product_id: UUID, sold_out_id: UUID) -> dict[str, object]:
    shop = Client(base_url=url)
    stranger = me.sync_detailed(client=AuthenticatedClient(base_url=url, token="none"))
    customer = AuthenticatedClient(base_url=url, token=sign_up(shop))
    page = granted(ProductPage, list_products.sync_detailed(client=shop, limit=50))
    body = ReserveBody(
        quantity=2,
        external_id="order-1",
        metadata=ReserveBodyMetadataType0.from_dict({"channel": "app"}),
    )
    held = reserve.sync_detailed(product_id, client=customer, body=body, idempotency_key="click-1")
    hold = granted(ReservationView, held)
    single = reserve.sync_detailed(product_id, client=customer)
    few, none = sold_out(customer, product_id, 3), sold_out(customer, sold_out_id, 1)
    bought = checkout.sync_detailed(hold.id, client=customer)
    return {
        "unauthenticated": {"status": stranger.status_code, "code": refused(stranger).code},
        "products": [{"id": str(each.id), "price": each.price, "available": each.available} for each in page.items],
        "hold": {
            "status": held.status_code,
            "state": hold.status,
            "lines": [[str(line.product_id), line.quantity, line.unit_price] for line in hold.lines],
            "externalId": hold.external_id,
            "channel": hold.metadata["channel"],
        },
        "single": {"status": single.status_code, "quantity": granted(ReservationView, single).lines[0].quantity},
        "few": few,
        "none": none,
        "invalid": invalid(customer, product_id),
        "bought": {
            "status": bought.status_code,
            "state": granted(ReservationView, bought).status,
            "same": granted(ReservationView, bought).id == hold.id,
        },
    }


if __name__ == "__main__":
    address, product, gone = sys.argv[1:]
    json.dump(purchase(address, UUID(product), UUID(gone)), sys.stdout)
