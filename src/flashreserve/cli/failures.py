"""How a command ends: one exit code for scripts, and one sentence for the person who runs the shop.

The table of exit codes in docs/commands.md is `Exit`. A command returns a number only to give a verdict; every failure
is an exception, and `ended` is the one place that turns exceptions into exit codes.
"""

import errno
import logging
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import rich_click as click
from click.exceptions import Exit as ClickExit

from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.streams import OutputError
from flashreserve.logs import printable
from flashreserve.redaction import redact
from flashreserve.settings import SettingsError
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError


class Exit(IntEnum):
    """Exit codes. Above 128 they are those of shells: 128 and the number of the signal that ended the command."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    NO_VERDICT = 3


JUDGES: Final = frozenset({"audit", "doctor", "rehearse"})
"""Commands whose exit code 1 is a verdict. Their failures are `NO_VERDICT`, so that scripts can tell them apart."""

SERVERS: Final = frozenset({"serve", "worker", "serve-share", "listen"})
"""Commands that run until a signal ends them, which is how they succeed."""

_FAULT_LENGTH_MAX: Final = 300


class FailedError(click.ClickException):
    """The command was understood, and could not be done."""

    exit_code = Exit.FAILED


class InputError(click.ClickException):
    """The command was given an invalid input. Nothing was changed."""

    exit_code = Exit.BAD_INPUT


def ended(run: Callable[[], object], name: Callable[[], str | None]) -> int:
    """Run a command to its end, and return its exit code.

    Args:
        run: the command; a number that it returns is its verdict.
        name: returns the command's name once it has ended; None if the command line named no command.
    """
    try:
        verdict = _printed(run)
    except ClickExit:  # --help and --version; click's own way out
        raise
    except (KeyboardInterrupt, click.Abort):
        return _interrupted(name())
    except Exception as error:  # noqa: BLE001 - the operator gets a sentence for every error
        code = _tell(error)
        return Exit.NO_VERDICT if code == Exit.FAILED and name() in JUDGES else code
    return verdict if isinstance(verdict, int) else Exit.DONE


def _printed(run: Callable[[], object]) -> object:
    """Run the command, and flush its output: only that raises the error of an output that is full."""
    try:
        verdict = run()
    except ClickExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return verdict


def _interrupted(name: str | None) -> int:
    interrupts.ignore()
    if name in SERVERS:
        return Exit.DONE
    click.echo("Interrupted.", err=True)
    return interrupts.exit_code


def _tell(error: Exception) -> int:
    """Print what went wrong, and return the exit code."""
    if logging.getLogger("flashreserve").isEnabledFor(logging.DEBUG):
        click.echo(redact("".join(traceback.format_exception(error))), err=True)
    text, code = told(error)
    if text:
        click.echo(sentence(text), err=True)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"`{error.ctx.command_path} --help` says more.", err=True)
    return code


def told(error: BaseException) -> tuple[str, int]:
    """The sentence and the exit code of an error. The sentence is empty if there is nothing to say."""
    match error:
        case click.ClickException():
            return error.format_message(), error.exit_code
        case SettingsError():
            return str(error), Exit.BAD_INPUT
        case _:
            return _failure(error), Exit.FAILED


def _failure(error: BaseException) -> str:
    text = f"a fault of FlashReserve, {type(error).__name__}: {error}"
    match error:
        case StoreUnavailableError():
            text = f"the database can't be used: {error}"
        case StoreOutcomeUnknownError():
            text = f"whether the database was changed is not known; look before you try again: {error}"
        case OutputError(errno=errno.EPIPE) | BrokenPipeError():  # The reader, such as `head`, has read enough.
            text = ""
        case OutputError():
            text = f"standard output can't be written: {error}"
        case OSError(strerror=str(reason), filename=str(name)):
            text = f"{name}: {reason}"
        case OSError(strerror=str(reason)):
            text = f"the operating system refused something: {reason}"
        case MemoryError():
            text = "there is not enough memory"
        case _:
            return f"{redact(text)[:_FAULT_LENGTH_MAX]}; with FLASHRESERVE_LOG_LEVEL=debug it says where"
    return text


def sentence(text: str) -> str:
    """One line that a terminal can show unchanged, without secrets."""
    return f"Error: {printable(' '.join(redact(text).split()))}"
