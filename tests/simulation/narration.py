"""The text about a play: its options and history, and the command that replays it."""

from collections.abc import Iterator

from tests.proof.records import Answered, Asked, Ended, Healed, Held, Lost, Record, Trouble
from tests.simulation.play import PlayedScript

LINES_MAX = 80


def replay_command(seed: int, store: str) -> str:
    """The command that plays exactly this seed again."""
    return f"python -m tests.simulation --seed {seed} --store {store}"


def tell(played: PlayedScript) -> str:
    """A play in a page or two."""
    script = played.script
    summary = (
        f"seed {script.options.seed} on {script.options.store}: history {played.hash}, {played.operations} operations,"
        f" {sum(played.faults.values())} faults, {played.seconds:.1f} virtual seconds"
    )
    lines = [
        summary,
        *(f"  {name} = {value}" for name, value in script.options._asdict().items()),
        *(f"  {goods}" for goods in script.goods),
        *(f"  {fault}" for fault in script.faults),
    ]
    history = list(_lines(played.history))
    left_out = max(len(history) - LINES_MAX, 0)
    if left_out:
        lines.append(f"  … {left_out} earlier lines")
    lines += history[left_out:]
    if not played.violations:
        return "\n".join([*lines, "no violations"])
    lines += [f"VIOLATION of {violation.rule}: {violation.what}" for violation in played.violations]
    lines.append(f"again: {replay_command(script.options.seed, script.options.store)}")
    return "\n".join(lines)


def _lines(history: list[Record]) -> Iterator[str]:
    for record in history:
        if isinstance(record, Ended):
            yield f"  {record.at:10.1f} ended {' '.join(str(left) for left in record.products)}"
            yield from (f"             left  {_short(held)}" for held in record.reservations)
        else:
            yield f"  {record.at:10.1f} {_line(record)}"


def _line(record: Asked | Answered | Lost | Trouble | Healed) -> str:
    match record:
        case Asked():
            wanted = " ".join(f"{quantity}x {product}" for product, quantity in record.lines)
            extra = f"{wanted} {record.of}".strip() + (f" key {record.key}" if record.key else "")
            change = f" {record.change:+d}" if record.change else ""
            change += f" as {record.label}" if record.label else ""
            return f"#{record.number} {record.process} {record.user} {record.kind} {extra}{change} {record.rules or ''}"
        case Answered():
            shown = f" {_short(record.held)}" if record.held else ""
            units = f" {record.units} units" if record.units is not None else ""
            return f"#{record.number}   → {record.answer}{shown}{units}"
        case Lost():
            return f"#{record.number}   → lost"
        case Trouble():
            return f"!! {record.kind} {record.process} until {record.until:.1f}"
        case Healed():
            return "healed"


def _short(held: Held) -> str:
    lines = " ".join(f"{quantity}x {product}" for product, quantity in held.lines)
    for entry in held.returns:
        units = " ".join(f"{quantity}x {product}" for product, quantity in entry.lines)
        lines += f" returned {units}" + (f" ({entry.key})" if entry.key else "")
    lines += f" as {held.label}" if held.label else ""
    return f"{held.id} {held.user} {held.status} {lines} expires {held.expires_at % 1_000_000} ext {held.extensions}"
