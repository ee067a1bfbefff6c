"""The list of background jobs. A new job is a module with its pass, and one entry in `JOBS`.

The in-process loop, the BullMQ worker, the metrics, the command line (a command for each job, which makes one pass)
and the simulation all take the jobs from the list.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from flashreserve.jobs.event_retention import forget_events_once
from flashreserve.jobs.recovery import recover_once
from flashreserve.jobs.relay import relay_once
from flashreserve.jobs.sweep import sweep_once
from flashreserve.settings import Settings
from flashreserve.stores.port import Store

RunOnce = Callable[[Store, int], Awaitable[int]]
"""A pass as of a time (UTC milliseconds); returns how many things it did."""


class JobCounter(msgspec.Struct, frozen=True):
    """A counter among the metrics that sums what all passes of a job did."""

    name: str
    documentation: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A background job: the same bounded pass over the store, again and again.

    Several processes run every job at the same time, and a pass may end in the middle. So a pass must be safe beside
    others and when it is repeated, and no answer may depend on whether a pass has run (rule 2 in ARCHITECTURE.md).
    """

    name: str
    """A verb: the name of the command that makes one pass, and of the job in the log."""

    run_once: RunOnce
    """Makes one pass, with the settings' defaults if it depends on settings."""

    by_settings: Callable[[Settings], RunOnce] | None = None
    """For a pass that depends on settings: returns `run_once` by these settings."""

    every_s: float
    """Seconds from the end of one pass to the next."""

    on_wakeup: bool = False
    """Whether a wake-up by BullMQ makes a pass too. Wake-ups come when holds lapse."""

    purpose: str
    """The effect of one pass, as a line in the command's help."""

    result: tuple[str, str]
    """The words that the command prints before and after the count: `("Released", "lapsed hold")`."""

    counter: JobCounter | None = None

    often: bool = False
    """Whether nearly every pass does something during a sale, so that the log needn't say so."""

    def pass_by(self, settings: Settings) -> RunOnce:
        """The pass by these settings."""
        return self.run_once if self.by_settings is None else self.by_settings(settings)


JOBS: Final[list[Job]] = [
    Job(
        name="sweep",
        run_once=sweep_once,
        every_s=1.0,  # Even with the time that a pass takes, stock is back well within 2.5 s of expiry.
        on_wakeup=True,
        purpose="Release the holds that have lapsed, once.",
        result=("Released", "lapsed hold"),
        counter=JobCounter("flashreserve_released", "Lapsed holds released by the sweep"),
    ),
    Job(
        name="recover",
        run_once=recover_once,
        every_s=1.0,
        purpose="Finish what a crashed process began, once.",
        result=("Settled", "unfinished stock movement"),
    ),
    Job(
        name="relay",
        run_once=relay_once,
        every_s=0.5,
        purpose="Add the events that aren't in the log yet, once.",
        result=("Logged the events of", "subject"),
        often=True,
        counter=JobCounter("flashreserve_relayed", "Subjects whose events the relay added to the log"),
    ),
    Job(
        name="forget-events",
        run_once=forget_events_once,
        by_settings=lambda settings: partial(forget_events_once, days=settings.events_days),
        every_s=60.0,
        purpose="Delete the events that are older than FLASHRESERVE_EVENTS_DAYS, once.",
        result=("Deleted", "event"),
        counter=JobCounter("flashreserve_events_deleted", "Events deleted because of their age"),
    ),
]
