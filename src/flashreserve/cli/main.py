"""The `flashreserve` command: its group, and the table of its commands.

A command's module is imported when the command is run, because importing all of them takes over a second.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

import rich_click as click
from typing_extensions import override

from flashreserve import __version__, logs
from flashreserve.cli.failures import ended
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import environment_here
from flashreserve.jobs.job_list import JOBS, Job

_REHEARSAL_VARIABLE: Final = "REHEARSAL_ADMIN_TOKEN"


class CommandEntry(click.RichCommand):
    """A command that was not imported yet: its name and its line in the help."""

    def __init__(self, name: str, module: str, line: str, *, hidden: bool = False) -> None:
        super().__init__(name=name, help=line, hidden=hidden)
        self._module = module

    def command(self) -> click.Command:
        """The command itself."""
        found = getattr(import_module(f"flashreserve.cli.{self._module}"), (self.name or "").replace("-", "_"))
        return cast("click.Command", found)


class _JobEntry(CommandEntry):
    """A background job's command, which makes one pass."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.name, "jobs", job.purpose)
        self._job = job

    @override
    def command(self) -> click.Command:
        from flashreserve.cli.jobs import job_command  # noqa: PLC0415 - imported when it is run

        return job_command(self._job)


class _CommandGroup(click.RichGroup):
    """A group whose commands are imported when they run, and end as `failures` says."""

    @override
    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run a command line; exits with its code."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        sys.exit(ended(lambda: super(_CommandGroup, self).main(args, standalone_mode=False, **extra), lambda: None))

    @override
    def invoke(self, ctx: click.Context) -> int:
        """Run a command, and return its exit code. Exceptions end here, because click treats some in its own way."""
        return ended(lambda: super(_CommandGroup, self).invoke(ctx), lambda: ctx.invoked_subcommand)

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command as click does, import it, and let signals interrupt from then on."""
        name, entry, rest = super().resolve_command(ctx, args)
        command = entry.command() if isinstance(entry, CommandEntry) else entry
        ctx.invoked_subcommand = name  # Click sets it later. A signal's exit code depends on the name.
        interrupts.hear()
        return name, command, rest


@click.group(cls=_CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flashreserve")
@click.pass_context
def flashreserve(context: click.Context) -> None:
    """Sell scarce stock to a crowd: never oversold, never leaked.

    Settings are environment variables, or lines of a file .env in the working directory.
    """
    # Used until the command reads its log level. Structlog writes to standard output by default, which is for results.
    logs.configure("warning", sys.stderr, colors=not os.environ.get("NO_COLOR"))
    context.obj = found = environment_here(os.environ, Path.cwd())
    if _REHEARSAL_VARIABLE in found:  # It may be a line of .env, which click doesn't read.
        context.default_map = {"rehearse": {"admin_token": found[_REHEARSAL_VARIABLE]}}


for _entry in (
    CommandEntry("serve", "serve", "Serve the shop's API, and release the holds that lapse."),
    CommandEntry("serve-share", "serve", "One of the processes of `serve --workers`, which starts it.", hidden=True),
    CommandEntry("worker", "serve", "Only release the holds that lapse, beside servers with --role api."),
    CommandEntry("admin", "accounts", "Accounts that may manage products."),
    CommandEntry("accounts", "account_changes", "List accounts, and change their rights."),
    CommandEntry("customers", "customers", "Export or erase what is stored about a person."),
    CommandEntry("keys", "keys", "API keys for programs of the shop's."),
    CommandEntry("webhooks", "webhooks", "Endpoints that events are delivered to."),
    CommandEntry("token", "accounts", "Print signed tokens for load tests, one a line."),
    CommandEntry("products", "products", "Import and list products."),
    CommandEntry("pause", "pauses", "Pause the sale of a product, or of all."),
    CommandEntry("resume", "pauses", "Resume the sale of a product, or of all."),
    CommandEntry("reservations", "reservations", "Export reservations."),
    CommandEntry("trail", "trail", "Print who changed what, and when, oldest first."),
    CommandEntry("listen", "listen", "Show events as they happen, from now on, until Ctrl-C."),
    CommandEntry("audit", "audit", "Check every product's stock against its reservations, on the live database."),
    *map(_JobEntry, JOBS),
    CommandEntry("deliver", "jobs", "Deliver the events that are due to the webhook endpoints, once."),
    CommandEntry("rehearse", "rehearse", "Send a crowd of customers to a shop over real HTTP, and judge how it did."),
    CommandEntry(
        "doctor", "doctor", "Check configuration, database, keys, disk, clock and versions, and say what to do."
    ),
):
    flashreserve.add_command(_entry)
