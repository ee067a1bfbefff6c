"""Products: see, create, edit and restock them; and their reservations."""

from typing import Final

from flashreserve.http import bodies, views
from flashreserve.http.operations.examples import ADJUSTMENT, BOUGHT, PRODUCT, STOCK
from flashreserve.http.operations.operation import Body, Operation, Success
from flashreserve.http.operations.parameters import IF_NONE_MATCH, PAGE, PRODUCT_IN_PATH, RESTOCK_KEY, UNCHANGED

PRODUCTS: Final = (
    Operation(
        name="listProducts",
        method="get",
        path="/products",
        tag="Products",
        summary="All products, oldest first",
        who="anyone",
        parameters=PAGE,
        successes=(Success(200, "A page.", views.ProductPage, {"items": [PRODUCT], "nextCursor": None}),),
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
        summary="All reservations of a product, oldest first",
        who="admin",
        parameters=(PRODUCT_IN_PATH, *PAGE),
        successes=(Success(200, "A page.", views.ReservationPage, {"items": [BOUGHT], "nextCursor": None}),),
        codes=("not-found",),
    ),
    Operation(
        name="exportReservations",
        method="get",
        path="/reservations.csv",
        tag="Products",
        summary="All reservations as a table, one row for each line",
        who="admin",
        successes=(Success(200, "The table.", media_types=("text/csv",), headers=("Content-Disposition",)),),
    ),
)
