"""The shrinker makes a failing script short: it leaves out requests and faults while the same rule is broken."""

from collections.abc import Sequence
from typing import Final, TypeVar

from tests.simulation.play import PlayedScript, play
from tests.simulation.script import SeedScript

T = TypeVar("T")

PLAYS_MAX: Final = 2_000


class _Shrinker:
    def __init__(self, rules: set[str]) -> None:
        self._rules = rules
        self.plays = 0

    def fails(self, script: SeedScript) -> bool:
        self.plays += 1
        if self.plays > PLAYS_MAX:
            return False
        return any(violation.rule in self._rules for violation in play(script).violations)

    def without_most(self, script: SeedScript, field: str) -> SeedScript:
        """Leave out as much of the field as possible: a half, a quarter, and in the end single entries."""
        size = max(len(getattr(script, field)) // 2, 1)
        while True:
            start = 0
            while start < len(getattr(script, field)):
                fewer = _without(getattr(script, field), start, size)
                shorter = script._replace(**{field: fewer})  # type: ignore[arg-type]  # the field is one of the two
                if self.fails(shorter):
                    script = shorter
                else:
                    start += size
            if size == 1:
                return script
            size //= 2


def _without(things: Sequence[T], start: int, size: int) -> tuple[T, ...]:
    return (*things[:start], *things[start + size :])


def shrink(script: SeedScript) -> PlayedScript:
    """The play of the shortest script that still fails.

    Raises:
        ValueError: the script breaks no rule.
    """
    violations = play(script).violations
    if not violations:
        raise ValueError("nothing to shrink: no rule is broken")
    shrinker = _Shrinker({violation.rule for violation in violations})
    bare = script._replace(faults_min=0)
    script = bare if shrinker.fails(bare) else script
    before = None
    while before != script:
        before = script
        script = shrinker.without_most(script, "operations")
        script = shrinker.without_most(script, "faults")
    return play(script)
