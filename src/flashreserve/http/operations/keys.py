"""API keys: make, list and revoke them."""

from typing import Annotated, Final

from msgspec import Meta

from flashreserve.http import bodies, views
from flashreserve.http.operations.examples import API_KEY, KEY_ID, NEW_KEY
from flashreserve.http.operations.operation import Body, Operation, Parameter, Success

KEYS: Final = (
    Operation(
        name="createApiKey",
        method="post",
        path="/api-keys",
        tag="API keys",
        summary="Make an API key",
        description=(
            "For programs of the shop's, which send it as a bearer token. With the scope `customers` and the header"
            " `On-Behalf-Of: <customer id>`, a request acts for that customer. `key` is shown this once."
        ),
        who="admin",
        body=Body(bodies.KeyBody, {"name": "Shop backend", "scopes": ["customers", "read"]}),
        successes=(Success(201, "The key.", views.NewKeyView, NEW_KEY),),
        codes=("too-many-keys",),
    ),
    Operation(
        name="listApiKeys",
        method="get",
        path="/api-keys",
        tag="API keys",
        summary="All API keys, oldest first",
        description="Of the revoked ones, only the latest are listed.",
        who="admin",
        successes=(Success(200, "The keys, without their secrets.", views.KeysView, {"items": [API_KEY]}),),
    ),
    Operation(
        name="revokeApiKey",
        method="delete",
        path="/api-keys/{id}",
        tag="API keys",
        summary="Revoke an API key",
        description="All processes refuse it within 10 seconds.",
        who="admin",
        parameters=(
            Parameter(
                "id",
                "path",
                Annotated[str, Meta(pattern="^[0-9a-fA-F]{32}$")],
                "The key's id.",
                required=True,
                example=KEY_ID,
            ),
        ),
        successes=(Success(204, "The key is revoked."),),
        codes=("not-found",),
    ),
)
