"""What went wrong, in a sentence for whoever runs the shop, and the exit code that says so to scripts."""

from typing import Final

import rich_click as click

from flashreserve.http.server import ServerError
from flashreserve.logs import printable
from flashreserve.redaction import redact
from flashreserve.settings import SettingsError
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

FAILED: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
_FAULT_LENGTH_MAX: Final = 300


class FailedError(click.ClickException):
    """The command was understood, and couldn't be done."""

    exit_code = FAILED


class InputError(click.ClickException):
    """The command was given something that can't be meant. Nothing was changed."""

    exit_code = BAD_INPUT


def told(error: BaseException) -> tuple[str, int]:
    """The sentence, and the exit code."""
    match error:
        case SettingsError() | ServerError():
            return str(error), BAD_INPUT if isinstance(error, SettingsError) else FAILED
        case StoreUnavailableError():
            return f"the database can't be used: {error}", FAILED
        case StoreOutcomeUnknownError():
            return f"whether the database was changed is not known; look before you try again: {error}", FAILED
        case OSError(strerror=str(reason), filename=str(name)):
            return f"{name}: {reason}", FAILED
        case _:
            what = redact(f"{type(error).__name__}: {error}")[:_FAULT_LENGTH_MAX]
            return f"a fault of FlashReserve, {what}; with FLASHRESERVE_LOG_LEVEL=debug it says where", FAILED


def sentence(text: str) -> str:
    """One line that a terminal shows as it is, without secrets."""
    return f"Error: {printable(' '.join(redact(text).split()))}"
