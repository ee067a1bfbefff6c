"""`flashreserve sweep` and `flashreserve recover`: one pass of a job, now."""

import asyncio

import rich_click as click

from flashreserve.bootstrap import open_books, open_store, steady_clock
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.words import counted
from flashreserve.jobs.sweep import recover_once, sweep_once
from flashreserve.settings import Settings


@click.command()
@with_settings
def sweep(settings: Settings) -> None:
    """Release the holds that have lapsed, once. A running server does so by itself."""
    released = asyncio.run(_sweep(settings))
    click.echo(f"Released {counted(released, 'lapsed hold')}.")


async def _sweep(settings: Settings) -> int:
    async with open_books(await open_store(settings, create=False), clock=steady_clock(settings)) as books:
        return await sweep_once(books.store, books.clock.now_ms())


@click.command()
@with_settings
def recover(settings: Settings) -> None:
    """Finish what a crashed process began, once. A running server does so by itself."""
    settled = asyncio.run(_recover(settings))
    click.echo(f"Settled {counted(settled, 'unfinished stock movement')}.")


async def _recover(settings: Settings) -> int:
    async with open_books(await open_store(settings, create=False), clock=steady_clock(settings)) as books:
        return await recover_once(books.store, books.clock.now_ms())
