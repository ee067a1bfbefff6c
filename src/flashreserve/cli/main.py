"""The `flashreserve` command: its group, and the table of its commands.

A command's module is imported when the command is run: what all of them import together takes over a second.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import rich_click as click

from flashreserve import __version__, logs
from flashreserve.cli.failures import ended
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import environment_here

_REHEARSAL_VARIABLES: Final = {"admin_token": "REHEARSAL_ADMIN_TOKEN", "secret_keys": "FLASHRESERVE_SECRET_KEYS"}


class CommandEntry(click.RichCommand):
    """A command that was not imported yet: its name and its line in the help."""

    def __init__(self, name: str, module: str, line: str, *, hidden: bool = False) -> None:
        super().__init__(name=name, help=line, hidden=hidden)
        self._module = module

    def command(self) -> click.Command:
        """The command itself."""
        found = getattr(import_module(f"flashreserve.cli.{self._module}"), (self.name or "").replace("-", "_"))
        return cast("click.Command", found)


class _CommandGroup(click.RichGroup):
    """A group whose commands are imported when they run, and end as `failures` says."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run a command line; exits with its code."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        sys.exit(ended(lambda: super(_CommandGroup, self).main(args, standalone_mode=False, **extra), lambda: None))

    def invoke(self, ctx: click.Context) -> int:
        """Run a command; its exit code. Exceptions end here, before click has its own way with some of them."""
        return ended(lambda: super(_CommandGroup, self).invoke(ctx), lambda: ctx.invoked_subcommand)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, import the command, and hear signals from then on."""
        name, entry, rest = super().resolve_command(ctx, args)
        command = entry.command() if isinstance(entry, CommandEntry) else entry
        ctx.invoked_subcommand = name  # Click sets it later. How a signal ends the command goes by its name.
        interrupts.hear()
        return name, command, rest


@click.group(cls=_CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flashreserve")
@click.pass_context
def flashreserve(context: click.Context) -> None:
    """Sell scarce stock to a crowd: never oversold, never leaked.

    Settings are environment variables, or lines of a file .env in the working directory.
    """
    # Until a command knows its level. Structlog's own default is standard output, which is for what was asked for.
    logs.configure("warning", sys.stderr, colors=not os.environ.get("NO_COLOR"))
    context.obj = found = environment_here(os.environ, Path.cwd())
    context.default_map = {
        "rehearse": {option: found[name] for option, name in _REHEARSAL_VARIABLES.items() if name in found}
    }


for _entry in (
    CommandEntry("serve", "serve", "Serve the shop's API, and release the holds that lapse."),
    CommandEntry("serve-share", "serve", "One of the processes of `serve --workers`, which starts it.", hidden=True),
    CommandEntry("worker", "serve", "Only release the holds that lapse, beside servers with --role api."),
    CommandEntry("admin", "accounts", "Accounts that may manage products."),
    CommandEntry("token", "accounts", "Print signed tokens for load tests, one a line."),
    CommandEntry("products", "products", "What is on sale."),
    CommandEntry("reservations", "reservations", "What customers hold and have bought."),
    CommandEntry("audit", "audit", "Check every product's stock against its reservations, on the live database."),
    CommandEntry("sweep", "upkeep", "Release the holds that have lapsed, once."),
    CommandEntry("recover", "upkeep", "Finish what a crashed process began, once."),
    CommandEntry("rehearse", "rehearse", "Send a crowd of customers to a shop over real HTTP, and judge how it did."),
    CommandEntry(
        "doctor", "doctor", "Check configuration, database, keys, disk, clock and versions, and say what to do."
    ),
):
    flashreserve.add_command(_entry)
