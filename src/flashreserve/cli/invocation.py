"""The environment of a command: its variables, the `.env` file beside it, and the settings in both."""

import io
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import rich_click as click
import structlog
from dotenv.parser import Binding, parse_stream

from flashreserve import bootstrap, logs
from flashreserve.cli.service_links import ADVICE, service_links
from flashreserve.files import exposure_of, exposure_of_database, is_file_or_pipe
from flashreserve.redaction import remember
from flashreserve.settings import Settings, SettingsError, read_settings

ENV_FILE: Final = ".env"
_ENV_FILE_BYTES_MAX: Final = 256 * 1024

_SERVERS: Final = frozenset({"serve", "worker"})

_log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def environment_here(own: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The environment, completed by the lines of `.env` in `directory`, without the variables that Kubernetes sets.

    Raises:
        SettingsError: the file can't be read, or a line of it isn't NAME=value.
    """
    path = directory / ENV_FILE
    links = set(service_links(own))
    return {
        **_read_env_file(path),
        **{name: value for name, value in own.items() if name not in links},
    }


def _read_env_file(path: Path) -> dict[str, str]:
    """The lines of the file; none without one. It may be a pipe, which some secret managers put there, or a link."""
    try:
        path.lstat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}") from error
    try:
        with path.open("rb") as file:
            content = file.read(_ENV_FILE_BYTES_MAX + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: expected UTF-8 text") from error
    if len(content) > _ENV_FILE_BYTES_MAX:
        raise SettingsError(f"{path}: expected at most {_ENV_FILE_BYTES_MAX} bytes")
    bindings = list(parse_stream(io.StringIO(text, newline=None)))
    # No ${…} is replaced: a secret may well have a $ in it.
    return {binding.key: binding.value for binding in bindings if _is_set(path, binding)}  # type: ignore[misc]


def _is_set(path: Path, binding: Binding) -> bool:
    if binding.error or (binding.key is not None and binding.value is None):
        # The line itself may be a secret.
        raise SettingsError(f"{path}, line {binding.original.line}: expected NAME=value")
    return binding.key is not None


def environment() -> Mapping[str, str]:
    """The environment of the command that runs now."""
    context = click.get_current_context()
    found = None if context is None else context.find_object(dict)
    return found or {}


def settings_here() -> Settings:
    """The settings of the command that runs now.

    Raises:
        SettingsError: as `read_settings`; names the file if the invalid setting is a line of it.
    """
    found = environment()
    try:
        return read_settings(found)
    except SettingsError as error:
        variable = re.split("[: ]", str(error), maxsplit=1)[0]
        if variable in found and found[variable] != os.environ.get(variable):
            raise SettingsError(f"{error} (set in {Path.cwd() / ENV_FILE})") from error
        raise


def with_settings(command: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Pass the settings to a command as its first argument, and configure the log."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        settings = settings_here()
        log_to_stderr(settings)
        _warn_of_service_links()
        _check_exposure(settings)
        return command(settings, *args, **kwargs)

    return run


def _warn_of_service_links() -> None:
    """Warn once of ignored variables. The processes that a server starts are hidden commands, and don't warn again."""
    ignored, context = service_links(os.environ), click.get_current_context()
    if ignored and not (context and context.command.hidden):
        _log.warning("variables of a Kubernetes Service ignored", variables=", ".join(ignored), advice=ADVICE)


def _check_exposure(settings: Settings) -> None:
    """Check who may read and write the files with secrets, and the database. In development, only servers warn.

    Raises:
        SettingsError: others may, in production.
    """
    secret = [Path.cwd() / ENV_FILE, settings.key_path.absolute()]
    if settings.issuers and (issuers := bootstrap.file_with_secrets(settings)) is not None:
        secret.append(issuers)
    found = [exposure_of(path) for path in secret if is_file_or_pipe(path)]
    if not settings.clustered:
        found.append(exposure_of_database(settings.sqlite_path.absolute()))
    for exposure in found:
        if exposure and settings.production:
            raise SettingsError(exposure)
        context = click.get_current_context()
        if exposure and context is not None and context.info_name in _SERVERS:
            _log.warning("exposed to others", reason=exposure)


def log_to_stderr(settings: Settings) -> None:
    """Send the log, without this shop's secrets, to standard error. Standard output is for the command's result."""
    logging.raiseExceptions = False
    remember(settings.secrets)
    logs.configure(settings.log_level, sys.stderr, colors=not os.environ.get("NO_COLOR"))
