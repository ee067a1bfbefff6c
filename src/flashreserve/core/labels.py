"""Labels: the shop's own id and metadata of a reservation. No rule depends on them."""

from msgspec import UNSET
from msgspec.structs import replace

from flashreserve.core.book import Book
from flashreserve.core.commands import Label
from flashreserve.core.outcomes import Labelled, LabelOutcome, NotFound


def label(book: Book, command: Label) -> LabelOutcome:
    """Change the labels that the command sets. A command that changes nothing writes nothing."""
    before = book.owned(command.reservation_id, command.user_id)
    if isinstance(before, NotFound):
        return before
    after = replace(
        before,
        external_id=before.external_id if command.external_id is UNSET else command.external_id,
        metadata=before.metadata if command.metadata is UNSET else command.metadata,
    )
    # `after` even if nothing changes: a store takes `before` for the result of the effect that made it.
    return Labelled(after if after == before else book.label(before, after))
