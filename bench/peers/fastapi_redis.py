"""A flash sale on FastAPI and Redis, as tutorials write it.

One Lua script a reservation: check and decrement the stock, and set a hold that Redis forgets when its time is over.
Nothing is durable, and nothing gives back the stock of a forgotten hold.

    python fastapi_redis.py setup | serve PORT | audit

REDIS_URL, JWT_SECRET, HOLD_SECONDS and STOCK are the settings. `setup` prints the product's id.
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, no-any-return, arg-type, str-bytes-safe"

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from redis.asyncio import Redis

URL = os.environ["REDIS_URL"]
SECRET = os.environ.get("JWT_SECRET", "")
HOLD_SECONDS = int(os.environ.get("HOLD_SECONDS", "600"))
STOCK = int(os.environ.get("STOCK", "1000000000"))
SCAN_COUNT = 10_000

RESERVE = """
local stock = redis.call('GET', KEYS[1])
if not stock or tonumber(stock) < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
"""


class RedisRequest(BaseModel):
    """The body of a request."""

    quantity: int = Field(1, ge=1)


class RedisReservation(BaseModel):
    """The body of an answer."""

    id: UUID
    status: str
    expires_at: datetime


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The connections live as long as the server."""
    redis = Redis.from_url(URL, decode_responses=True)
    app.state.reserve = redis.register_script(RESERVE)
    yield
    await redis.aclose()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


async def customer(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> str:
    """The user that the token is for."""
    try:
        return jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])["sub"]
    except jwt.InvalidTokenError:
        raise HTTPException(401, "Invalid token") from None


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer that the server runs."""
    return {"status": "ok"}


@app.post("/reservations/{product_id}", status_code=201)
async def reserve(
    product_id: UUID, wanted: RedisRequest, user_id: Annotated[str, Depends(customer)], request: Request
) -> RedisReservation:
    """Hold some units of a product."""
    expires_at = datetime.now(UTC) + timedelta(seconds=HOLD_SECONDS)
    reservation = RedisReservation(id=uuid4(), status="PENDING", expires_at=expires_at)
    hold = json.dumps({"user": user_id, "product": str(product_id), "quantity": wanted.quantity})
    taken = await request.app.state.reserve(
        keys=[f"stock:{product_id}", f"hold:{reservation.id}"], args=[wanted.quantity, hold, HOLD_SECONDS]
    )
    if not taken:
        raise HTTPException(409, "Sold out")
    return reservation


async def setup() -> None:
    """Make the product."""
    product_id = uuid4()
    async with Redis.from_url(URL, decode_responses=True) as redis:
        await redis.set(f"stock:{product_id}", STOCK)
        await redis.set("initial", STOCK)
        await redis.set("product", str(product_id))
    print(product_id)


async def audit() -> None:
    """Check that every unit is in stock or in a hold. Holds for as long as no hold has lapsed."""
    async with Redis.from_url(URL, decode_responses=True) as redis:
        initial = int(await redis.get("initial"))
        stock = int(await redis.get(f"stock:{await redis.get('product')}"))
        holds = [key async for key in redis.scan_iter("hold:*", count=SCAN_COUNT)]
        units = 0
        for start in range(0, len(holds), SCAN_COUNT):
            units += sum(json.loads(hold)["quantity"] for hold in await redis.mget(holds[start : start + SCAN_COUNT]))
    clean = stock + units == initial
    books = {"clean": clean, "reservations": len(holds), "initial": initial, "stock": stock, "units": units}
    print(json.dumps(books))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning")
    else:
        asyncio.run(setup() if sys.argv[1] == "setup" else audit())
