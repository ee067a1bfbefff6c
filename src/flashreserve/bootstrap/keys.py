"""The keys that sign tokens."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from flashreserve.auth.keys import KeyRing
from flashreserve.bootstrap.stores import OWNER_ALONE
from flashreserve.files import is_ours
from flashreserve.settings import Settings, SettingsError

_KEY_FILE_BYTES_MAX: Final = 64 * 1024


def key_ring(settings: Settings, *, create: bool) -> KeyRing:
    """The keys of the settings, else the one in the data directory, which is made on first use if `create`.

    Raises:
        SettingsError: a key is invalid, or a required one is missing.
    """
    if settings.secret_keys:
        return _parsed(settings.secret_keys, "FLASHRESERVE_SECRET_KEYS")
    if settings.production:
        raise SettingsError("FLASHRESERVE_SECRET_KEYS: expected kid:secret, since FLASHRESERVE_ENV is production")
    if settings.clustered:
        raise SettingsError("FLASHRESERVE_SECRET_KEYS: expected kid:secret, the same for every process")
    path = settings.key_path
    if create and not os.path.lexists(path):
        _make_key(path)
    return _parsed(_read_key(path), f"the key file {path.absolute()}")


def _parsed(text: str, place: str) -> KeyRing:
    try:
        return KeyRing.parse(text)
    except ValueError as error:
        raise SettingsError(f"{place}: {error}") from error


def _make_key(path: Path) -> None:
    """Make the file in one step, because several processes may start at once. The first process's file is kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=OWNER_ALONE)
        # A new random name, so that a leftover or planted file there is neither followed nor an obstacle.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        fresh = Path(name)
        try:
            with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - opened already
                file.write(f"{secrets.token_hex(4)}:{secrets.token_urlsafe(48)}\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(fresh)
        finally:
            fresh.unlink()
    except OSError as error:
        raise SettingsError(f"the key file {path.absolute()} can't be made: {error.strerror}") from error


def _read_key(path: Path) -> str:
    """The file's text. A link is followed only if it is ours, as where a cluster's secrets are mounted."""
    where = f"the key file {path.absolute()}"
    try:
        if path.is_symlink() and not is_ours(path):
            raise SettingsError(f"{where} is a link that belongs to somebody else, who may know the key")
        if not path.is_file():
            path.stat()  # Raises the reason if it doesn't exist.
            raise SettingsError(f"{where}: expected a file")
        if path.stat().st_size > _KEY_FILE_BYTES_MAX:
            raise SettingsError(f"{where}: expected at most {_KEY_FILE_BYTES_MAX} bytes")
        return path.read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        if path.is_symlink():
            raise SettingsError(f"{where} is a link to a file that isn't there") from None
        raise SettingsError(f"there is no key file at {path.absolute()}; `flashreserve serve` makes one") from None
    except OSError as error:
        raise SettingsError(f"{where} can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SettingsError(f"{where}: expected kid:secret, as UTF-8 text") from None
