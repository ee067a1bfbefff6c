"""The settings of the clustered engine, with a separate database for each test."""

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import pytest
from pymongo import MongoClient
from tests.servers.mongodb import require_mongodb
from tests.servers.valkey import MakeValkey, ValkeyProcess, own_valkey, valkey, valkey_of_session

from flashreserve.settings import Settings, read_settings

__all__ = ["MakeValkey", "own_valkey", "valkey", "valkey_of_session"]

KEYS = "test:clustered-tests-sign-with-these-letters"
_numbers = count()


class Cluster(msgspec.Struct, frozen=True):
    """The URLs of the servers."""

    environment: dict[str, str]
    server: str
    database: str

    @property
    def settings(self) -> Settings:
        return read_settings(self.environment)

    def client(self) -> MongoClient[dict[str, Any]]:
        """A plain client for inspecting the database. The caller closes it."""
        return MongoClient(self.server)


@pytest.fixture
def cluster(valkey: ValkeyProcess) -> Iterator[Cluster]:
    server = require_mongodb()
    database = f"clustered{os.getpid()}x{next(_numbers)}"
    environment = {
        "FLASHRESERVE_STORE": server + database,
        "FLASHRESERVE_REDIS_URL": valkey.url,
        "FLASHRESERVE_SECRET_KEYS": KEYS,
    }
    made = Cluster(environment, server, database)
    yield made
    with made.client() as client:
        client.drop_database(database)
