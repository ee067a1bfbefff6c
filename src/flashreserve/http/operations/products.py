"""Products: see, create, edit and restock them; and their reservations."""

from typing import Final

from flashreserve.http import bodies, fields, views
from flashreserve.http.operations.examples import ADJUSTMENT, ORDER, PRODUCT, STOCK
from flashreserve.http.operations.operation import Body, Operation, Parameter, Success
from flashreserve.http.operations.parameters import (
    EXTERNAL_ID_IN_PATH,
    IF_NONE_MATCH,
    PAGE,
    PRODUCT_IN_PATH,
    RESERVATION_FILTER,
    RESTOCK_KEY,
    UNCHANGED,
)

PRODUCTS: Final = (
    Operation(
        name="listProducts",
        method="get",
        path="/products",
        tag="Products",
        summary="Products, oldest first",
        description=(
            "Without `archived=true`, which only admins may ask for, archived products are left out. A page may have"
            " fewer items than `limit`, or none, although there is a `nextCursor`."
        ),
        who="anyone",
        parameters=(
            *PAGE,
            Parameter("externalId", "query", fields.ExternalId, "Only the product with this external id."),
            Parameter("archived", "query", bool, "Only archived products, or only the others."),
            Parameter("onSale", "query", bool, "Only products whose sale is on now, or only the others."),
        ),
        successes=(Success(200, "A page.", views.ProductPage, {"items": [PRODUCT], "nextCursor": None}),),
        codes=("unauthenticated", "forbidden"),
    ),
    Operation(
        name="createProduct",
        method="post",
        path="/products",
        tag="Products",
        summary="Make a product",
        who="admin",
        body=Body(bodies.ProductBody, {"name": "iPhone 15", "price": "999.99", "stockQuantity": 10}),
        successes=(
            Success(
                201,
                "The product.",
                views.ProductView,
                {**PRODUCT, "available": 10},
                headers=("Location",),
                links=("getProduct", "editProduct", "getStock", "restock", "listReservationsOfProduct", "reserve"),
            ),
        ),
        codes=("external-id-taken",),
    ),
    Operation(
        name="putProduct",
        method="put",
        path="/products/by-external-id/{externalId}",
        tag="Products",
        summary="Make the product with this external id, or edit it",
        description=(
            "Repeating the request changes nothing. `stockQuantity` is that of a new product; the stock of an existing"
            " one stays as it is, and is changed by `POST /products/{id}/stock`. An archived product stays archived, as"
            ' the answer\'s `archived` says; `PATCH` with `{"archived": false}` takes it back.'
        ),
        who="admin",
        parameters=(EXTERNAL_ID_IN_PATH,),
        body=Body(bodies.ProductBody, {"name": "iPhone 15", "price": "999.99", "stockQuantity": 10}),
        successes=(
            Success(200, "The product, which was there before.", views.ProductView, PRODUCT),
            Success(201, "The product is new.", views.ProductView, {**PRODUCT, "available": 10}, headers=("Location",)),
        ),
        codes=("rules-fixed",),
    ),
    Operation(
        name="getProduct",
        method="get",
        path="/products/{id}",
        tag="Products",
        summary="One product",
        who="anyone",
        parameters=(PRODUCT_IN_PATH,),
        successes=(Success(200, "The product.", views.ProductView, PRODUCT),),
        codes=("not-found",),
    ),
    Operation(
        name="editProduct",
        method="patch",
        path="/products/{id}",
        tag="Products",
        summary="Change a product's description or rules",
        description=(
            "Fields that the body leaves out stay as they are. Existing reservations keep their price and terms."
            " `perCustomerLimit` may be raised at any time; once somebody has reserved, it can't be set or lowered."
        ),
        who="admin",
        parameters=(PRODUCT_IN_PATH,),
        body=Body(bodies.ProductEditBody, {"price": "949.00"}),
        successes=(Success(200, "The product as it is now.", views.ProductView, {**PRODUCT, "price": "949.00"}),),
        codes=("not-found", "rules-fixed"),
    ),
    Operation(
        name="archiveProduct",
        method="delete",
        path="/products/{id}",
        tag="Products",
        summary="Archive a product",
        description=(
            "It is neither listed nor sold any more. It and its reservations are kept, and holds can still be bought."
            ' `PATCH` with `{"archived": false}` takes it back.'
        ),
        who="admin",
        parameters=(PRODUCT_IN_PATH,),
        successes=(Success(200, "The product, archived.", views.ProductView, {**PRODUCT, "archived": True}),),
        codes=("not-found",),
    ),
    Operation(
        name="getStock",
        method="get",
        path="/products/{id}/stock",
        tag="Products",
        summary="The units that can be reserved now: the cheap poll",
        description="At most 250 ms old, as of `asOf`. With `If-None-Match`, only a changed figure is sent.",
        who="anyone",
        parameters=(PRODUCT_IN_PATH, IF_NONE_MATCH),
        successes=(Success(200, "The stock.", views.StockLevelView, STOCK, headers=("ETag",)), UNCHANGED),
        codes=("not-found",),
    ),
    Operation(
        name="restock",
        method="post",
        path="/products/{id}/stock",
        tag="Products",
        summary="Put stock in, or take it out",
        description="Units that are held or bought can't be taken out. The change is stored with its admin and time.",
        who="admin",
        parameters=(PRODUCT_IN_PATH, RESTOCK_KEY),
        body=Body(bodies.ChangeBody, {"change": 5}),
        successes=(Success(200, "The change.", views.AdjustmentView, ADJUSTMENT, headers=("Idempotent-Replayed",)),),
        codes=("not-found", "stock-taken", "key-reused"),
    ),
    Operation(
        name="listReservationsOfProduct",
        method="get",
        path="/products/{id}/reservations",
        tag="Products",
        summary="Reservations of a product, oldest first",
        description="A page may have fewer items than `limit`, or none, although there is a `nextCursor`.",
        who="admin",
        parameters=(PRODUCT_IN_PATH, *PAGE, *(each for each in RESERVATION_FILTER if each.name != "productId")),
        successes=(Success(200, "A page.", views.OrderPage, {"items": [ORDER], "nextCursor": None}),),
        codes=("not-found",),
    ),
    Operation(
        name="exportReservations",
        method="get",
        path="/reservations.csv",
        tag="Reservations",
        summary="Reservations as a table, one row for each line",
        who="admin",
        parameters=RESERVATION_FILTER,
        successes=(Success(200, "The table.", media_types=("text/csv",), headers=("Content-Disposition",)),),
    ),
)
