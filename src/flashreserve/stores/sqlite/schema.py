"""The tables, and the migrations of older files."""

from typing import Final

import apsw

from flashreserve.core.quotas import HOUR_MS
from flashreserve.stores.port import StoreUnavailableError
from flashreserve.stores.sqlite.connection import BUSY_WAIT_S, use_wal
from flashreserve.stores.sqlite.generation import field_of, generation_in, version_in
from flashreserve.stores.sqlite.header import APPLICATION_ID

_VERSION_1: Final = """
CREATE TABLE products (
    id                  TEXT PRIMARY KEY,
    name                TEXT NOT NULL,
    price               INTEGER NOT NULL CHECK (price >= 0),
    currency            TEXT NOT NULL,
    stocked             INTEGER NOT NULL,
    available           INTEGER NOT NULL CHECK (available BETWEEN 0 AND stocked),
    sale_starts_at      INTEGER,
    sale_ends_at        INTEGER,
    per_customer_limit  INTEGER,
    hold_s              INTEGER NOT NULL,
    extensions_max      INTEGER NOT NULL,
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    rev                 INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE reservations (
    id              TEXT PRIMARY KEY,
    user_id         TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('PENDING', 'CONFIRMED', 'EXPIRED', 'CANCELLED')),
    lines           TEXT NOT NULL,  -- JSON: [[product id, quantity, unit price, currency], ...]
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    hold_s          INTEGER NOT NULL,
    extensions_max  INTEGER NOT NULL,
    extensions      INTEGER NOT NULL CHECK (extensions <= extensions_max),
    confirmed_at    INTEGER,
    released_at     INTEGER,
    idem_key        TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX reservations_due ON reservations (expires_at) WHERE status = 'PENDING';

-- Lookup from customer to reservations and idempotency keys. New rows are appended to `fresh` in arrival order and
-- moved to the index (`filed` and `claims`) in batches. The last row stays, so that no place is used again.
CREATE TABLE fresh (
    place           INTEGER PRIMARY KEY,
    user_id         TEXT NOT NULL,
    idem_key        TEXT,
    reservation_id  TEXT NOT NULL
) STRICT;
CREATE TRIGGER note_reservation AFTER INSERT ON reservations BEGIN
    INSERT INTO fresh (user_id, idem_key, reservation_id) VALUES (new.user_id, new.idem_key, new.id);
END;
CREATE TABLE filed (
    user_id         TEXT NOT NULL,
    reservation_id  TEXT NOT NULL,
    PRIMARY KEY (user_id, reservation_id)
) STRICT, WITHOUT ROWID;

-- The products of each reservation, written with it. Prices are in the reservation's own `lines`.
CREATE TABLE lines (
    product_id      TEXT NOT NULL REFERENCES products,
    reservation_id  TEXT NOT NULL,
    quantity        INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (product_id, reservation_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE claims (
    user_id         TEXT NOT NULL,
    claim           TEXT NOT NULL,
    reservation_id  TEXT NOT NULL,
    PRIMARY KEY (user_id, claim)
) STRICT, WITHOUT ROWID;

CREATE TABLE adjustments (
    product_id  TEXT NOT NULL REFERENCES products,
    key         TEXT NOT NULL,
    change      INTEGER NOT NULL,
    by          TEXT NOT NULL,
    at          INTEGER NOT NULL,
    stocked     INTEGER NOT NULL,
    available   INTEGER NOT NULL,
    PRIMARY KEY (product_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id             TEXT PRIMARY KEY,
    email          TEXT NOT NULL UNIQUE,
    role           TEXT NOT NULL CHECK (role IN ('customer', 'admin')),
    password_hash  TEXT NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

COUNTS_UNTIL: Final = f"""
    max(
        (r.created_at / {HOUR_MS} + 1) * {HOUR_MS},
        r.created_at + (1 + r.extensions_max) * (r.hold_s * 1000 + 1)
    )"""
"""The instant from which the reservation counts for no quota: its hour and its longest possible hold are over."""

_VERSION_2: Final = f"""
ALTER TABLE fresh ADD COLUMN counts_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE filed ADD COLUMN counts_until INTEGER NOT NULL DEFAULT 0;
UPDATE fresh SET counts_until = (SELECT {COUNTS_UNTIL} FROM reservations AS r WHERE r.id = fresh.reservation_id);
UPDATE filed SET counts_until = (SELECT {COUNTS_UNTIL} FROM reservations AS r WHERE r.id = filed.reservation_id);

DROP TRIGGER note_reservation;
CREATE TRIGGER note_reservation AFTER INSERT ON reservations BEGIN
    INSERT INTO fresh (user_id, idem_key, reservation_id, counts_until)
    VALUES (new.user_id, new.idem_key, new.id, {COUNTS_UNTIL.replace("r.", "new.")});
END;
"""  # noqa: S608

_VERSION_3: Final = """
ALTER TABLE reservations ADD COLUMN returns TEXT;  -- JSON: the entries of `core.model.ReturnEntry`; NULL for none
ALTER TABLE reservations ADD COLUMN external_id TEXT;
ALTER TABLE reservations ADD COLUMN metadata TEXT;  -- JSON: an object of texts; NULL for none
CREATE INDEX reservations_external ON reservations (external_id, id) WHERE external_id IS NOT NULL;
ALTER TABLE lines ADD COLUMN returned INTEGER NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND quantity);

ALTER TABLE products ADD COLUMN external_id TEXT;
ALTER TABLE products ADD COLUMN archived_at INTEGER;
CREATE UNIQUE INDEX products_external ON products (external_id) WHERE external_id IS NOT NULL;

ALTER TABLE accounts ADD COLUMN disabled_at INTEGER;
ALTER TABLE accounts ADD COLUMN signed_out_at INTEGER;
CREATE INDEX accounts_signed_out ON accounts (signed_out_at) WHERE signed_out_at IS NOT NULL;
CREATE INDEX accounts_admins ON accounts (id) WHERE role = 'admin' AND disabled_at IS NULL;

CREATE TABLE reset_codes (
    account_id  TEXT PRIMARY KEY REFERENCES accounts,
    code_hash   TEXT NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    scopes        TEXT NOT NULL,  -- JSON: a list of `core.model.Scope`
    secret_hash   TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    created_by    TEXT,
    expires_at    INTEGER,
    revoked_at    INTEGER,
    last_used_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_valid ON api_keys (id) WHERE revoked_at IS NULL;
CREATE INDEX api_keys_revoked ON api_keys (revoked_at) WHERE revoked_at IS NOT NULL;

-- Customers who were erased, by the hash of their id: their tokens are refused.
CREATE TABLE erasures (
    id  TEXT PRIMARY KEY,
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX erasures_at ON erasures (at);

-- Apart from `products`: each flush of a hot product writes its row.
CREATE TABLE product_details (
    product_id   TEXT PRIMARY KEY REFERENCES products,
    description  TEXT,
    image_url    TEXT,
    metadata     TEXT  -- JSON: an object of texts; NULL for none
) STRICT, WITHOUT ROWID;
"""

_VERSION_4: Final = """
ALTER TABLE reservations ADD COLUMN trail_n INTEGER NOT NULL DEFAULT 1;
ALTER TABLE products ADD COLUMN trail_n INTEGER NOT NULL DEFAULT 1;
ALTER TABLE accounts ADD COLUMN trail_n INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN trail_n INTEGER NOT NULL DEFAULT 1;
ALTER TABLE products ADD COLUMN pause_reason TEXT;
ALTER TABLE products ADD COLUMN shop_pause_reason TEXT;

-- The log of events. A place is never used again, so that a reader can go on after the last one that it saw.
CREATE TABLE events (
    place        INTEGER PRIMARY KEY AUTOINCREMENT,
    subject      TEXT NOT NULL,
    n            INTEGER NOT NULL,
    type         TEXT NOT NULL,
    at           INTEGER NOT NULL,
    actor        TEXT NOT NULL,
    actor_id     TEXT,
    data         TEXT NOT NULL,  -- JSON: the struct of `core.events.data_of`
    external_id  TEXT,
    UNIQUE (subject, n)
) STRICT;

-- Addresses of the shop's programs to which events are delivered.
CREATE TABLE endpoints (
    id              TEXT PRIMARY KEY,
    url             TEXT NOT NULL,
    types           TEXT NOT NULL,  -- JSON: a list of `core.events.EventType`; empty for all
    kid             TEXT NOT NULL,
    generation      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      TEXT NOT NULL,
    old_kid         TEXT,
    old_generation  INTEGER,
    old_until       INTEGER,
    disabled_at     INTEGER,
    disabled_why    TEXT,
    removed_at      INTEGER,
    trail_n         INTEGER NOT NULL,
    seen            INTEGER NOT NULL,
    replay_to       INTEGER NOT NULL,
    failing_since   INTEGER,
    failures        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Groups: the deliveries of one subject to one endpoint. `next_at` is when the next try is due; NULL while it is idle.
CREATE TABLE deliveries (
    endpoint_id   TEXT NOT NULL REFERENCES endpoints,
    key           TEXT NOT NULL,
    subject       TEXT NOT NULL,
    done          INTEGER NOT NULL,
    previous      INTEGER,
    upto          INTEGER NOT NULL,
    tries         INTEGER NOT NULL DEFAULT 0,
    next_at       INTEGER,
    lease         TEXT,
    leased_until  INTEGER NOT NULL DEFAULT 0,
    at            INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (endpoint_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_idle ON deliveries (at) WHERE next_at IS NULL;

CREATE TABLE attempts (
    id           TEXT PRIMARY KEY,
    endpoint_id  TEXT NOT NULL,
    event_id     TEXT NOT NULL,
    number       INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    status       INTEGER,
    duration_ms  INTEGER NOT NULL,
    error        TEXT,
    result       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_of ON attempts (endpoint_id, id);

-- One row: why the sales of all products are paused; NULL if they aren't.
CREATE TABLE shop (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    pause_reason   TEXT,
    pause_version  INTEGER NOT NULL DEFAULT 0  -- grows with each change of the reason
) STRICT;
INSERT INTO shop (id) VALUES (1);
"""

_VERSION_5: Final = """
-- The last report of each process, for operators. A process that has ended leaves its report behind for a day.
CREATE TABLE processes (
    id          TEXT PRIMARY KEY,
    role        TEXT NOT NULL,
    host        TEXT NOT NULL,
    pid         INTEGER NOT NULL,
    version     TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    counts      TEXT NOT NULL  -- JSON: an object of numbers
) STRICT, WITHOUT ROWID;

-- The findings of the last audits.
CREATE TABLE verdicts (
    id       TEXT PRIMARY KEY,
    at       INTEGER NOT NULL,
    took_ms  INTEGER NOT NULL,
    by       TEXT NOT NULL,
    audit    TEXT NOT NULL  -- JSON: `core.audits.Audit`
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: Final = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)
"""Script n makes version n + 1. A released script never changes, apart from comments; add a new script instead."""


def migrate(connection: apsw.Connection, busy_wait_s: float = BUSY_WAIT_S) -> None:
    """Migrate the file to the newest version. Several processes may do so at once.

    Raises:
        StoreUnavailableError: the file is another application's, or of a newer version than this program knows.
    """
    version = version_of(connection)
    use_wal(connection, busy_wait_s)
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for script in MIGRATIONS[version_of(connection) :]:
            connection.execute(script)
        connection.pragma("application_id", APPLICATION_ID)
        generation = generation_in(int(connection.pragma("user_version")))
        connection.pragma("user_version", field_of(len(MIGRATIONS), generation))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def check(connection: apsw.Connection) -> None:
    """Refuse a file that `migrate` would change, when it is opened for reading.

    Raises:
        StoreUnavailableError: not a FlashReserve database of this version.
    """
    if version_of(connection) != len(MIGRATIONS):
        raise StoreUnavailableError(
            "the database is of an older version: start `flashreserve serve` once to bring it up"
        )


def version_of(connection: apsw.Connection) -> int:
    """The version of the file's tables; 0 for an empty file.

    Raises:
        StoreUnavailableError: the file is another application's, or of a newer version than this program knows.
    """
    with connection:  # One transaction, because another process may be migrating.
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
        version = version_in(int(connection.pragma("user_version")))
        owner = int(connection.pragma("application_id"))
    if ((owner, version) != (0, 0) and owner != APPLICATION_ID) or (owner == 0 and tables):
        raise StoreUnavailableError("the file is a database of another application")
    if version > len(MIGRATIONS):
        raise StoreUnavailableError(f"the database has version {version}, this program knows up to {len(MIGRATIONS)}")
    return version
