"""An outage after a change was made: the outcome is told as unknown."""

from collections.abc import Iterator
from contextlib import contextmanager

from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError


@contextmanager
def after_a_change() -> Iterator[None]:
    """Within this context, a change has been made already, so an outage doesn't mean that nothing was changed.

    Raises:
        StoreOutcomeUnknownError: the database is away, full or locked.
    """
    try:
        yield
    except StoreUnavailableError as error:
        raise StoreOutcomeUnknownError(f"a change was made, and the rest of the request failed: {error}") from error
