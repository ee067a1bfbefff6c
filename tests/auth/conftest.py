from collections.abc import Iterator

import pytest
from tests.moving_clock import MovingClock

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.passwords import Argon2Cost, Passwords

NEW_SECRET = "the-newer-secret-of-the-tests-of-auth"
OLD_SECRET = "the-older-secret-of-the-tests-of-auth"


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing.parse(f"new:{NEW_SECRET},old:{OLD_SECRET}")


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """The cheapest hashes of argon2, with enough room for the most parallel calls of a test."""
    made = Passwords(threads=2, waiting_max=2_000, cost=Argon2Cost(memory_kib=8, passes=1))
    yield made
    made.close()
