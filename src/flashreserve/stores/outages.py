"""An outage after a change was made: the outcome is told as unknown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError


@contextmanager
def after_a_change(made: Callable[[], bool] | None = None) -> Iterator[None]:
    """Within this context, an outage doesn't mean that nothing was changed, because a change was made already.

    With `made`, that holds only if it returns true at the time of the outage.

    Raises:
        StoreOutcomeUnknownError: the database is away, full or locked.
    """
    try:
        yield
    except StoreUnavailableError as error:
        if made is not None and not made():
            raise
        raise StoreOutcomeUnknownError(f"a change was made, and the rest of the request failed: {error}") from error
