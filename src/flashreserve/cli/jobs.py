"""A command for each background job, such as `flashreserve sweep`, and one for deliveries: one pass, now."""

import rich_click as click

from flashreserve.bootstrap import key_ring, open_books, open_store, open_webhooks, steady_clock
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.core.words import counted
from flashreserve.jobs.job_list import Job
from flashreserve.settings import Settings


def job_command(job: Job) -> click.Command:
    """The command that makes one pass of `job`, and prints how much was done."""

    @click.command(job.name, help=f"{job.purpose} A running server does so by itself.")
    @with_settings
    def command(settings: Settings) -> None:
        before, what = job.result
        click.echo(f"{before} {counted(interrupts.run(_run_once(settings, job)), what)}.")

    return command


async def _run_once(settings: Settings, job: Job) -> int:
    async with open_books(await open_store(settings, create=False), clock=steady_clock(settings)) as books:
        return await job.pass_by(settings)(books.store, books.clock.now_ms())


@click.command(
    help="Deliver the events that are due to the webhook endpoints, once. A running server does so by itself."
)
@with_settings
def deliver(settings: Settings) -> None:
    """Deliver what is due, wait for it, and print how much was delivered."""
    click.echo(f"Delivered {counted(interrupts.run(_deliver_once(settings)), 'event')}.")


async def _deliver_once(settings: Settings) -> int:
    store = await open_store(settings, create=False)
    async with (
        open_books(store, clock=steady_clock(settings)) as books,
        open_webhooks(settings, store, key_ring(settings, create=True), books.clock) as webhooks,
    ):
        return await webhooks.deliver_all(books.clock.now_ms())
