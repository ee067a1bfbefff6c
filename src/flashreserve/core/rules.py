"""The business rules, each written once.

`plan(facts, commands, now)` decides the outcome of each command and the effects to write. A store loads the facts,
plans, and applies the effects: in one transaction, or one by one under the guard of each effect.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from flashreserve.core.book import Book
from flashreserve.core.catalogue import edit, restock
from flashreserve.core.commands import Cancel, Command, Confirm, Edit, Expire, Extend, Label, Reserve, Restock, Return
from flashreserve.core.effects import Effect
from flashreserve.core.facts import Facts
from flashreserve.core.grant import reserve
from flashreserve.core.holds import cancel, confirm, expire, extend
from flashreserve.core.labels import label
from flashreserve.core.model import Product
from flashreserve.core.outcomes import Ruled, SoldOut
from flashreserve.core.returns import return_units


class Plan(msgspec.Struct, frozen=True):
    """The decision on a flush.

    `outcomes` are in the order of the commands, `effects` in the order of writing. `products` are those of the facts,
    as they are after the effects.
    """

    outcomes: list[Ruled]
    effects: list[Effect]
    products: dict[str, Product]


def plan(facts: Facts, commands: Sequence[Command], now: int) -> Plan:
    """Decide `commands` as of `now`.

    Within one flush, reserves come first, then extends, confirms, cancels, and the rest, each kind by arrival. If the
    flush returned units, reserves refused as sold out are tried once more, by arrival.
    """
    book = Book(facts, now)
    outcomes: dict[int, Ruled] = {}
    for index in sorted(range(len(commands)), key=lambda index: _turn(commands[index])):
        outcomes[index] = _decide(book, commands[index])
    if book.units_returned:
        for index, command in enumerate(commands):
            if type(command) is Reserve and type(outcomes[index]) is SoldOut:
                outcomes[index] = reserve(book, command)
    return Plan([outcomes[index] for index in range(len(commands))], book.effects, book.products)


def _turn(command: Command) -> int:
    """The turn of a command's kind within a flush. The lowest turn is decided first."""
    match command:
        case Reserve():
            return 0
        case Extend():
            return 1
        case Confirm():
            return 2
        case Cancel():
            return 3
        case Return():
            return 4
        case Expire():
            return 5
        case Restock():
            return 6
        case Edit():
            return 7
        case Label():
            return 8
        case _:
            assert_never(command)


def _decide(book: Book, command: Command) -> Ruled:
    match command:
        case Reserve():
            return reserve(book, command)
        case Extend():
            return extend(book, command)
        case Confirm():
            return confirm(book, command)
        case Cancel():
            return cancel(book, command)
        case Return():
            return return_units(book, command)
        case Label():
            return label(book, command)
        case Expire():
            return expire(book, command)
        case Restock():
            return restock(book, command)
        case Edit():
            return edit(book, command)
        case _:
            assert_never(command)
