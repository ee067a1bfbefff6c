"""Pauses: stop and resume the sale of a product, or of all."""

from typing import Final

from flashreserve.http import bodies, views
from flashreserve.http.operations.operation import Body, Operation, Success
from flashreserve.http.operations.parameters import PRODUCT_IN_PATH

_REASON: Final = Body(bodies.PauseBody, {"reason": "The price is wrong"})
_PAUSED: Final = Success(200, "The sale is paused.", views.PauseView, {"paused": True, "settling": 0})
_RESUMED: Final = Success(200, "Whether it is paused still.", views.PauseView, {"paused": False, "settling": 0})
_SETTLING: Final = (
    "Reservations under way get up to five seconds to end. `settling` is the number of those that haven't: after an"
    " answer with 0, no units are held until the sale is resumed. Holds can be bought, extended and cancelled as"
    " usual."
)

PAUSES: Final = (
    Operation(
        name="pauseProduct",
        method="post",
        path="/products/{id}/pause",
        tag="Products",
        summary="Pause the sale of a product",
        description=f"Reserving is answered 403 `sale-paused` with the reason. {_SETTLING}",
        who="admin",
        parameters=(PRODUCT_IN_PATH,),
        body=_REASON,
        successes=(_PAUSED,),
        codes=("not-found",),
    ),
    Operation(
        name="resumeProduct",
        method="post",
        path="/products/{id}/resume",
        tag="Products",
        summary="Resume the sale of a product",
        description="`paused` stays true while the sales of all products are paused.",
        who="admin",
        parameters=(PRODUCT_IN_PATH,),
        successes=(_RESUMED,),
        codes=("not-found",),
    ),
    Operation(
        name="pauseAll",
        method="post",
        path="/pause",
        tag="Products",
        summary="Pause the sales of all products, and of new ones",
        description=f"It can be repeated, for example after a 503 `outcome-unknown`. {_SETTLING}",
        who="admin",
        body=_REASON,
        successes=(_PAUSED,),
    ),
    Operation(
        name="resumeAll",
        method="post",
        path="/resume",
        tag="Products",
        summary="Resume the sales of all products",
        description="Products that were paused by themselves stay paused.",
        who="admin",
        successes=(_RESUMED,),
    ),
)
