"""Customers: export and erase what is stored about one."""

from typing import Final

from flashreserve.http import fields
from flashreserve.http.customer_export import CustomerExport, ErasedView
from flashreserve.http.operations.examples import ACCOUNT, HOLD, USER_ID
from flashreserve.http.operations.operation import Operation, Parameter, Success

_CUSTOMER_IN_PATH: Final = Parameter(
    "id", "path", fields.CustomerId, "The customer's id.", required=True, example=USER_ID
)

CUSTOMERS: Final = (
    Operation(
        name="exportCustomer",
        method="get",
        path="/customers/{id}",
        tag="Accounts",
        summary="All that is stored about a customer",
        who="admin",
        parameters=(_CUSTOMER_IN_PATH,),
        successes=(
            Success(
                200,
                "The account, if there is one, and all reservations.",
                CustomerExport,
                {
                    "customerId": USER_ID,
                    "account": {**ACCOUNT, "disabledAt": None, "signedOutAt": None},
                    "reservations": [{**HOLD, "idempotencyKey": None, "returns": []}],
                },
            ),
        ),
        codes=("not-found",),
    ),
    Operation(
        name="eraseCustomer",
        method="delete",
        path="/customers/{id}",
        tag="Accounts",
        summary="Erase a customer",
        description=(
            "Open holds are cancelled, the account is deleted, and a pseudonym takes the customer's place in the"
            " reservations. It can't be undone. It takes over ten seconds, until all processes refuse the customer's"
            " tokens. A repeated request goes on where the first one ended."
        ),
        who="admin",
        parameters=(_CUSTOMER_IN_PATH,),
        successes=(Success(200, "What was erased.", ErasedView, {"account": True, "reservations": 1}),),
        codes=("not-found", "still-admin", "erasure-unfinished"),
    ),
)
