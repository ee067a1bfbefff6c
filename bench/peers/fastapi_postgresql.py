"""A flash sale on FastAPI, asyncpg and PostgreSQL, as tutorials write it.

One transaction a reservation: a conditional update of the product, and the insert of the reservation.

    python fastapi_postgresql.py setup | serve PORT | audit

POSTGRESQL_URL, JWT_SECRET, HOLD_SECONDS and STOCK are the settings. `setup` prints the product's id.
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, no-any-return"

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID, uuid4

import asyncpg
import jwt
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

URL = os.environ["POSTGRESQL_URL"]
SECRET = os.environ.get("JWT_SECRET", "")
HOLD = timedelta(seconds=int(os.environ.get("HOLD_SECONDS", "600")))
STOCK = int(os.environ.get("STOCK", "1000000000"))

SCHEMA = """
CREATE TABLE products (
    id       uuid PRIMARY KEY,
    name     text NOT NULL,
    price    numeric NOT NULL,
    initial  bigint NOT NULL,
    stock    bigint NOT NULL CHECK (stock >= 0)
);
CREATE TABLE reservations (
    id          uuid PRIMARY KEY,
    user_id     text NOT NULL,
    product_id  uuid NOT NULL REFERENCES products,
    quantity    integer NOT NULL CHECK (quantity > 0),
    status      text NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX reservations_of_user ON reservations (user_id);
CREATE INDEX reservations_due ON reservations (expires_at) WHERE status = 'PENDING';
"""
TAKE = "UPDATE products SET stock = stock - $2 WHERE id = $1 AND stock >= $2 RETURNING id"
INSERT = "INSERT INTO reservations VALUES ($1, $2, $3, $4, 'PENDING', $5, $6)"
BOOKS = """
SELECT p.initial, p.stock, coalesce(sum(r.quantity), 0)::bigint AS units, count(r.id) AS reservations
FROM products AS p LEFT JOIN reservations AS r ON r.product_id = p.id
GROUP BY p.id"""


class PostgresqlRequest(BaseModel):
    """The body of a request."""

    quantity: int = Field(1, ge=1)


class PostgresqlReservation(BaseModel):
    """The body of an answer."""

    id: UUID
    status: str
    expires_at: datetime


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The connection pool lives as long as the server."""
    async with asyncpg.create_pool(URL, min_size=10, max_size=20) as pool:
        app.state.pool = pool
        yield


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
    product_id: UUID, wanted: PostgresqlRequest, user_id: Annotated[str, Depends(customer)], request: Request
) -> PostgresqlReservation:
    """Hold some units of a product."""
    now = datetime.now(UTC)
    reservation = PostgresqlReservation(id=uuid4(), status="PENDING", expires_at=now + HOLD)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        taken = await connection.fetchrow(TAKE, product_id, wanted.quantity)
        if taken is None:
            raise HTTPException(409, "Sold out")
        await connection.execute(
            INSERT, reservation.id, user_id, product_id, wanted.quantity, now, reservation.expires_at
        )
    return reservation


async def setup() -> None:
    """Make the tables and the product."""
    connection = await asyncpg.connect(URL)
    await connection.execute(SCHEMA)
    product_id = uuid4()
    await connection.execute("INSERT INTO products VALUES ($1, 'Hot', 9.99, $2, $2)", product_id, STOCK)
    await connection.close()
    print(product_id)


async def audit() -> None:
    """Check that every unit is in stock or in a reservation."""
    connection = await asyncpg.connect(URL)
    books = dict(await connection.fetchrow(BOOKS))
    server = await connection.fetchval("SHOW server_version")
    await connection.close()
    print(json.dumps({"clean": books["stock"] + books["units"] == books["initial"], "server": server, **books}))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning")
    else:
        asyncio.run(setup() if sys.argv[1] == "setup" else audit())
