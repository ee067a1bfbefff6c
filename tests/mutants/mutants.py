"""Mutants of the rules: each replaces one text in the package by a mistake."""

from pathlib import Path
from typing import Final, NamedTuple

RULES: Final = "core/rules.py"
BOOK: Final = "core/book.py"
SALE: Final = "core/sale.py"
HOLDS: Final = "core/holds.py"
GRANT: Final = "core/grant.py"
CATALOGUE: Final = "core/catalogue.py"
LOOKUP: Final = "core/lookup.py"
RETURNS: Final = "core/returns.py"

MONGODB: Final = frozenset({"mongodb"})


class Mutant(NamedTuple):
    """A mistake: `after` replaces `before`, which must be in the file exactly once.

    `spares` are the stores that don't run this code.
    """

    name: str
    before: str
    after: str
    file: str
    spares: frozenset[str] = frozenset()

    def apply(self, package: Path) -> None:
        """Make the mistake in a copy of the package.

        Raises:
            LookupError: the rule's code has changed, so the mutant must be changed too.
        """
        path = package / self.file
        source = path.read_text(encoding="utf-8")
        found = source.count(self.before)
        if found != 1:
            raise LookupError(f"{self.name}: {self.file} has {found} times {self.before!r}, expected once")
        mutated = source.replace(self.before, self.after)
        compile(mutated, str(path), "exec")
        path.write_text(mutated, encoding="utf-8")


MUTANTS: Final = [
    Mutant("a hold lasts one millisecond longer", "return expires_at <= now", "return expires_at < now", HOLDS),
    Mutant(
        "the last unit is kept back",
        "if product.available < wanted.quantity",
        "if product.available <= wanted.quantity",
        SALE,
    ),
    Mutant("a sale begins one millisecond late", "starts <= now", "starts < now", SALE),
    Mutant("a sale ends one millisecond late", "ends <= now", "ends < now", SALE),
    Mutant(
        "a basket forgets earlier lines of a product",
        "sums[line.product_id] = sums.get(line.product_id, 0) + line.quantity",
        "sums[line.product_id] = line.quantity",
        SALE,
    ),
    Mutant(
        "purchases don't count towards the limit",
        "elif status_at(book.reservations[holder], book.now) is Status.EXPIRED:",
        "elif status_at(book.reservations[holder], book.now) is not Status.PENDING:",
        GRANT,
    ),
    Mutant(
        "the limit is exceeded by one", "if len(free) < wanted.quantity:", "if len(free) + 1 < wanted.quantity:", GRANT
    ),
    Mutant("one's own lapsed hold blocks the limit", "return free + reclaimed", "return free", GRANT),
    Mutant(
        "a key stands for any request", "if _asked_for(earlier) == command.lines:", "if earlier is not None:", GRANT
    ),
    Mutant("a replay shows what became of the hold", "Replayed(earlier.as_granted())", "Replayed(earlier)", GRANT),
    Mutant("a key isn't bound", "claims.append(idempotency_claim(command.key))", "pass", GRANT),
    Mutant(
        "what is cancelled isn't given back",
        "        self._move(before, +1)\n",
        "        if status is not Status.CANCELLED:\n            self._move(before, +1)\n",
        BOOK,
    ),
    Mutant("who was sold out isn't tried again", "if book.units_returned:", "if not book.effects:", RULES),
    Mutant(
        "another customer's reservation is found",
        "if reservation is None or user_id not in {None, reservation.user_id}:",
        "if reservation is None:",
        BOOK,
    ),
    Mutant(
        "a purchase can be cancelled",
        "        return AlreadyConfirmed(reservation.id)\n    if reservation.status is not Status.PENDING:",
        "        pass\n    if reservation.status not in LIVE:",
        HOLDS,
    ),
    Mutant(
        "one extension more than allowed",
        "if reservation.extensions >= reservation.extensions_max:",
        "if reservation.extensions > reservation.extensions_max:",
        HOLDS,
    ),
    Mutant(
        "an extension moves the end back",
        "max(book.now + reservation.hold_s * 1000, reservation.expires_at + 1)",
        "book.now + reservation.hold_s * 1000",
        HOLDS,
    ),
    Mutant(
        "confirming has its turn after cancelling",
        "        case Confirm():\n            return 2\n",
        "        case Confirm():\n            return 4\n",
        RULES,
    ),
    Mutant(
        "stock can be lowered below what is taken",
        "if product.available + command.change < 0:",
        "if product.stocked + command.change < 0:",
        CATALOGUE,
    ),
    Mutant(
        "the limit can be lowered after a reservation", "new is not None and new > old", "new is not None", CATALOGUE
    ),
    Mutant(
        "one open hold more than the quota",
        "for place in range(book.facts.quotas.open_holds_max):",
        "for place in range(book.facts.quotas.open_holds_max + 1):",
        GRANT,
    ),
    Mutant(
        "one hold an hour more than the quota",
        "    claims = [quotas.hour_claim(hour, place) for place in range(most)]\n",
        "    most += 1\n    claims = [quotas.hour_claim(hour, place) for place in range(most)]\n",
        GRANT,
    ),
    Mutant(
        "what is bought stays open",
        "claims = self._give_up(before, quotas.is_open_claim)",
        "claims = ()",
        BOOK,
        # Recovery finishes movements of other processes, and has only the documents: there, an open claim is a field
        # that ends with the hold.
        spares=MONGODB,
    ),
    Mutant(
        "one lapse more than the quota",
        "and became.count(Status.EXPIRED) >= lapses_max and not bought",
        "and became.count(Status.EXPIRED) > lapses_max and not bought",
        GRANT,
    ),
    Mutant(
        "lapses count against those who bought",
        "and became.count(Status.EXPIRED) >= lapses_max and not bought",
        "and became.count(Status.EXPIRED) >= lapses_max",
        GRANT,
    ),
    Mutant(
        "an hour is counted from the wrong one",
        "hour_at(held.created_at) == hour:",
        "hour_at(held.created_at) == hour - 1:",
        LOOKUP,
        spares=MONGODB,  # It has a claim for each hold of an hour, and counts nothing.
    ),
    Mutant(
        "quotas come before a repeated key's answer",
        "if _asked_for(earlier) == command.lines:",
        "if _asked_for(earlier) == command.lines and not book.facts.quotas.some:",
        GRANT,
    ),
    Mutant(
        "nobody looks up who has units of a limited product",
        "    limits = _limit_claims(facts.products, buyers)\n",
        "    limits: set[Claim] = set()\n",
        LOOKUP,
    ),
    Mutant(
        "the products of what is held aren't looked up",
        "    missing = {product_id for _, product_id in lines} - facts.products.keys()\n",
        "    missing: set[str] = set()\n",
        LOOKUP,
    ),
    Mutant(
        "nobody looks up what counts for a quota",
        "    first, buyers = _named(commands)\n    if not quotas.some:\n",
        "    first, buyers = _named(commands)\n    if quotas.some:\n",
        LOOKUP,
    ),
    Mutant(
        "more units go back than are left",
        "if line.quantity > left[line.product_id]:",
        "if line.quantity < 0:",
        RETURNS,
    ),
    Mutant(
        "a repeated key of a return gives back again",
        "earlier = next((entry for entry in reservation.returns if entry.key == command.key), None)",
        "earlier = None",
        RETURNS,
    ),
    Mutant(
        "a hold is returned like a purchase",
        "        case Status.CONFIRMED:\n            return None\n        case Status.PENDING:\n",
        "        case Status.CONFIRMED | Status.PENDING:\n            return None\n        case None:\n",
        RETURNS,
    ),
    Mutant(
        "returned units count towards the limit",
        "claims = self._give_up(before, surplus.__contains__)",
        "claims = ()",
        BOOK,
    ),
    Mutant(
        "a return frees all places of the limit",
        "limit_claims_of(line.product_id, own)[line.left :]",
        "limit_claims_of(line.product_id, own)",
        BOOK,
    ),
    Mutant(
        "a confirmation of fewer units gives back those that are bought",
        "line.left - final.get(line.product_id, 0)",
        "final.get(line.product_id, 0)",
        RETURNS,
    ),
    Mutant(
        "a confirmation of fewer units buys all",
        "    if rest:\n        used_up",
        "    if not rest:\n        used_up",
        HOLDS,
    ),
]
