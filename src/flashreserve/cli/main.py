"""The `flashreserve` command: its group, and how it ends."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import rich_click as click

from flashreserve import __version__
from flashreserve.cli.accounts import admin, token
from flashreserve.cli.audit import audit
from flashreserve.cli.doctor import doctor
from flashreserve.cli.failures import FAILED, INTERRUPTED, sentence, told
from flashreserve.cli.invocation import environment_here
from flashreserve.cli.products import products
from flashreserve.cli.rehearse import rehearse
from flashreserve.cli.reservations import reservations
from flashreserve.cli.serving import serve, serve_share, worker
from flashreserve.cli.upkeep import recover, sweep
from flashreserve.redaction import redact

_REHEARSAL_VARIABLES: Final = {"admin_token": "REHEARSAL_ADMIN_TOKEN", "secret_keys": "FLASHRESERVE_SECRET_KEYS"}


class _Commands(click.RichGroup):
    """A group whose failures are one sentence on standard error, and an exit code."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run a command; whatever it returns as a number is the exit code."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        return _end(lambda: super(_Commands, self).main(args, standalone_mode=False, **extra))


def _end(run: Callable[[], Any]) -> NoReturn:
    code = FAILED
    try:
        result = run()
        code = result if isinstance(result, int) else 0
    except click.ClickException as error:
        click.echo(sentence(error.format_message()), err=True)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"`{error.ctx.command_path} --help` says more.", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, the operator gets a sentence
        code = _tell(error)
    sys.exit(code)


def _tell(error: Exception) -> int:
    if logging.getLogger("flashreserve").isEnabledFor(logging.DEBUG):
        click.echo(redact("".join(traceback.format_exception(error))), err=True)
    text, code = told(error)
    click.echo(sentence(text), err=True)
    return code


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flashreserve")
@click.pass_context
def flashreserve(context: click.Context) -> None:
    """Sell scarce stock to a crowd: never oversold, never leaked.

    Settings are environment variables, or lines of a file .env in the working directory.
    """
    context.obj = found = environment_here(os.environ, Path.cwd())
    context.default_map = {
        "rehearse": {option: found[name] for option, name in _REHEARSAL_VARIABLES.items() if name in found}
    }


for _command in (
    serve,
    serve_share,
    worker,
    admin,
    token,
    products,
    reservations,
    audit,
    sweep,
    recover,
    rehearse,
    doctor,
):
    flashreserve.add_command(_command)


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        # A product's name may have letters that the terminal's encoding lacks.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    flashreserve.main(prog_name="flashreserve")
