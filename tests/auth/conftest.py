from collections.abc import Iterator

import pytest
from tests.moving_clock import MovingClock

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.passwords import Argon2Cost, Passwords


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing.parse("new:" + "n" * 32 + ",old:" + "o" * 32)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """The cheapest hashes that argon2 makes, with room for all that a test sends at once."""
    made = Passwords(threads=2, waiting_max=2_000, cost=Argon2Cost(memory_kib=8, passes=1))
    yield made
    made.close()
