"""Deliveries: every fence in its place, and each left out."""

from typing import Any, Final

from msgspec.structs import replace

from model.configuration import Configuration
from model.deliveries.documents import DeliveryDocuments, EventName, GroupDoc, NextTry
from model.deliveries.fences import ALL_DELIVERY_FENCES, DeliveryFences
from model.deliveries.processes import deliver, fan_out, publish, replay
from model.deliveries.rules import DeliveryRules
from model.processes import Program
from model.scene_space import SceneSetting

R1: Final = ("r", 1)
R2: Final = ("r", 2)
R3: Final = ("r", 3)
S1: Final = ("s", 1)

DELIVERED: Final = DeliveryDocuments(
    log=(R1, R2),
    seen=2,
    groups=(GroupDoc("r", 2, 2, 2, next=NextTry.NEVER),),
    received=frozenset({R1, R2}),
)
"""Two events of a subject were delivered long ago."""


def scene(
    documents: DeliveryDocuments, *processes: Program, losses: int = 0, fences: DeliveryFences = ALL_DELIVERY_FENCES
) -> SceneSetting[DeliveryDocuments]:
    """A scene of deliveries."""
    return SceneSetting(documents=documents, processes=processes, rules=DeliveryRules(), losses=losses, fences=fences)


def logged(*events: EventName, **more: Any) -> DeliveryDocuments:
    """A log with these events, of which the endpoint has seen none."""
    return DeliveryDocuments(log=events, **more)


def happen(*events: EventName) -> Program:
    """A process that lets these events come into the log."""
    return Program("T", publish, (events,))


def fans(name: str, passes: int = 1, most: int = 9, fences: DeliveryFences = ALL_DELIVERY_FENCES) -> Program:
    """A process that fans out."""
    return Program(name, fan_out, (fences, passes, most))


def delivers(name: str, passes: int = 1, fences: DeliveryFences = ALL_DELIVERY_FENCES) -> Program:
    """A process that delivers."""
    return Program(name, deliver, (fences, passes))


def replays(after: int) -> Program:
    """An admin who asks for the events after this place once more."""
    return Program("R", replay, (after,))


_NOTHING: Final = DeliveryDocuments()

DELIVERED_IN_ORDER: Final = (
    Configuration(
        "deliver",
        "an event; two processes fan out, two deliver",
        scene(_NOTHING, happen(R1), fans("F"), fans("G"), delivers("D"), delivers("E")),
    ),
    Configuration(
        "deliver-two",
        "two events come one after the other; two processes fan out, one delivers",
        scene(_NOTHING, happen(R1, R2), fans("F", 2), fans("G"), delivers("D", 2)),
    ),
    Configuration(
        "deliver-failing",
        "two events, and two failed requests; two processes deliver",
        scene(logged(R1, R2, failures=2), fans("F"), delivers("D", 2), delivers("E")),
    ),
    Configuration(
        "deliver-lost",
        "two events; any reply of fan-out or delivery is lost",
        scene(logged(R1, R2), fans("F", 2), fans("G"), delivers("D", 2), losses=1),
    ),
    Configuration(
        "deliver-unwanted",
        "three events, the second of which isn't wanted; a failed request",
        scene(
            DeliveryDocuments(unwanted=(R2,), failures=1),
            happen(R1, R2, R3),
            fans("F", 2),
            delivers("D"),
            delivers("E"),
        ),
        size="full",
    ),
    Configuration(
        "deliver-two-subjects",
        "events of two subjects; two processes deliver",
        scene(_NOTHING, happen(R1, S1), fans("F"), delivers("D"), delivers("E")),
    ),
    Configuration(
        "deliver-two-subjects-failing",
        "events of two subjects, and a failed request; two processes deliver",
        scene(logged(R1, S1, R2, failures=1), fans("F"), delivers("D", 2), delivers("E")),
        size="full",
    ),
    Configuration(
        "deliver-two-by-two",
        "two events, and a failed request; two processes fan out, two deliver",
        scene(DeliveryDocuments(failures=1), happen(R1, R2), fans("F", 2), fans("G"), delivers("D", 2), delivers("E")),
        size="full",
    ),
    Configuration(
        "deliver-failing-lost",
        "two events, a failed request and a lost reply; two processes deliver",
        scene(logged(R1, R2, failures=1), fans("F"), delivers("D", 2), delivers("E"), losses=1),
        size="full",
    ),
    Configuration(
        "replay",
        "all is asked for once more while it is delivered; two processes fan out, one delivers",
        scene(logged(R1, R2), replays(0), fans("F"), fans("G"), delivers("D")),
    ),
    Configuration(
        "replay-delivered",
        "all is asked for once more, page by page of one event, after it was delivered; a failed request",
        scene(replace(DELIVERED, failures=1), replays(0), fans("F", 3, 1), fans("G", 1, 1), delivers("D", 2)),
        size="full",
    ),
    Configuration(
        "replay-some",
        "the second of two delivered events is asked for once more; two processes fan out, two deliver",
        scene(DELIVERED, replays(1), happen(R3), fans("F", 2), fans("G"), delivers("D"), delivers("E")),
        size="full",
    ),
    Configuration(
        "replay-failing",
        "all is asked for once more while it is delivered; a failed request",
        scene(logged(R1, R2, failures=1), replays(0), fans("F", 2), fans("G"), delivers("D", 2)),
        size="full",
    ),
    Configuration(
        "replay-lost",
        "all is asked for once more while it is delivered; any reply is lost",
        scene(logged(R1, R2), replays(0), fans("F", 2), fans("G"), delivers("D"), losses=1),
        size="full",
    ),
    Configuration(
        "replay-by-two",
        "all is asked for once more while it is delivered; two processes fan out, two deliver",
        scene(logged(R1, R2), replays(0), fans("F"), fans("G"), delivers("D"), delivers("E")),
        size="full",
    ),
)

_ANY_END: Final = DeliveryFences(ended_by_lease=False)
_ANY_CLAIM: Final = DeliveryFences(claimed_if_free=False)
_SEEN_FIRST: Final = DeliveryFences(raised_before_seen=False)
_HURRIED: Final = DeliveryFences(waiting_keeps_its_time=False)
_IDLE: Final = DeliveryFences(busy_stays_due=False)
_ANY_REPLAY: Final = DeliveryFences(seen_of_one_replay=False)
_TURN_GOES_ON: Final = DeliveryFences(again_ends_turns=False)

DELIVERY_FENCES_LEFT_OUT: Final = (
    Configuration(
        "deliver-without-own-lease",
        "a process that slept through its lease ends the turn of another",
        scene(
            logged(R1, failures=1),
            fans("F"),
            delivers("D", fences=_ANY_END),
            delivers("E", 2, fences=_ANY_END),
            fences=_ANY_END,
        ),
        "TWO LEASES",
    ),
    Configuration(
        "deliver-without-free-group",
        "a group is claimed that another process has claimed",
        scene(
            logged(R1),
            fans("F"),
            delivers("D", fences=_ANY_CLAIM),
            delivers("E", fences=_ANY_CLAIM),
            fences=_ANY_CLAIM,
        ),
        "TWO LEASES",
    ),
    Configuration(
        "deliver-without-raising-first",
        "a process moves the endpoint's place, and dies before it raises the groups",
        scene(logged(R1), fans("F", fences=_SEEN_FIRST), fences=_SEEN_FIRST),
        "LOST",
    ),
    Configuration(
        "deliver-without-back-off",
        "an event comes while its subject's group waits for its next try",
        scene(
            DeliveryDocuments(failures=1),
            happen(R1, R2),
            fans("F", 2, fences=_HURRIED),
            delivers("D"),
            fences=_HURRIED,
        ),
        "BACK-OFF",
    ),
    Configuration(
        "deliver-without-what-came",
        "an event comes while its subject's group has its turn",
        scene(_NOTHING, happen(R1, R2), fans("F", 2), delivers("D", fences=_IDLE), fences=_IDLE),
        "LOST",
    ),
    Configuration(
        "replay-without-one-replay",
        "a process read the endpoint before the replay, and moves its place in the log afterwards",
        scene(logged(R1), replays(0), fans("F", fences=_ANY_REPLAY), delivers("D"), fences=_ANY_REPLAY),
        "NOT REPLAYED",
    ),
    Configuration(
        "replay-without-ending-turns",
        "an event was sent before the replay, in a turn that ends after it",
        scene(logged(R1), replays(0), fans("F", 2, fences=_TURN_GOES_ON), delivers("D"), fences=_TURN_GOES_ON),
        "NOT REPLAYED",
    ),
)
