"""Failures that seeds have found, as scripts of their own: seeds change with the simulation, and these stay."""

from tests.proof.records import Goods
from tests.simulation.faults import SimulatedFault
from tests.simulation.narration import tell
from tests.simulation.play import play, quietly
from tests.simulation.script import ADMIN, ScriptedOperation, SeedScript, draw

WORLDS = 40


def test_a_restock_that_was_refused_is_not_carried_out_later() -> None:
    """The first copy of the restock is late. The second is refused, since the unit is held; then stock comes back."""
    operations = (
        ScriptedOperation(0, 0.0, 0, "restock", ADMIN, product="cup", change=-1, key="out"),
        ScriptedOperation(1, 0.0, 1, "reserve", "ann", lines=(("cup", 1),)),
        ScriptedOperation(2, 4.0, 2, "restock", ADMIN, product="cup", change=1, key="in"),
    )
    faults = (SimulatedFault(0.0, "late", 0, 6.0),)
    with quietly():
        for world in range(WORLDS):
            played = play(a_script(world, Goods("cup", 1, None, 40_000, 0, None, None), operations, faults))
            assert not played.violations, tell(played)


def test_a_slow_reply_spares_no_current_read_the_end_of_an_election() -> None:
    """The new primary doesn't know the hold yet. Only a current read may be the reason to answer that there is none."""
    operations = (
        ScriptedOperation(0, 0.35, 0, "reserve", "ann", lines=(("cup", 1),)),
        ScriptedOperation(1, 0.6, 1, "cancel", "ann"),
    )
    faults = (
        SimulatedFault(0.2, "election", 0, 3.0),
        SimulatedFault(0.55, "read-delayed", 1, 0.3),
        SimulatedFault(0.55, "read-delayed", 1, 0.3),
    )
    with quietly():
        for world in range(WORLDS):
            script = a_script(world, Goods("cup", 1, None, 40_000, 0, None, None), operations, faults)
            played = play(script._replace(options=script.options._replace(elections=True)))
            assert not played.violations, tell(played)


def test_a_current_read_of_two_shards_waits_for_the_end_of_an_election_at_both() -> None:
    """The extensions wait for the flush before them, and share theirs with a keyed reserve, which needs current reads.

    One half of the read arrives before the new primary is there, the other after. The new primary misses both holds.
    """
    operations = (
        ScriptedOperation(0, 0.21, 0, "reserve", "ann", lines=(("product-0", 1),)),
        ScriptedOperation(1, 0.21, 2, "reserve", "dot", lines=(("product-0", 1),)),
        ScriptedOperation(2, 0.39, 1, "reserve", "ben", lines=(("product-0", 1),)),
        ScriptedOperation(3, 0.391, 1, "extend", "ann"),
        ScriptedOperation(4, 0.391, 1, "extend", "dot"),
        ScriptedOperation(5, 0.391, 1, "reserve", "cid", lines=(("product-0", 1),), key="k"),
    )
    faults = (SimulatedFault(0.2, "election", 0, 3.0),)
    with quietly():
        for world in range(WORLDS):
            script = a_script(world, Goods("product-0", 9, None, 40_000, 1, None, None), operations, faults)
            options = script.options._replace(elections=True, torn=1.0, latency_s=0.01)
            played = play(script._replace(options=options))
            assert not played.violations, tell(played)


def a_script(
    world: int, goods: Goods, operations: tuple[ScriptedOperation, ...], faults: tuple[SimulatedFault, ...]
) -> SeedScript:
    """A script without other faults; `world` is the seed of its messages' delays."""
    options = draw(0, "mongo").options._replace(
        seed=world,
        apis=3,
        workers=1,
        latency_s=0.001,
        scattered=0.0,
        torn=0.0,
        refreshing=False,
        eager_recovery_s=None,
        shared_clock=False,
        siblings=False,
        offsets_ms=(0, 0, 0, 0),
        skew_ms=0,
        stock_only=False,
        elections=False,
        flush_max=512,
        queue_max=10_000,
        healed_at=5.0,
    )
    return SeedScript(options, (goods,), operations, faults, faults_min=0)
