"""The keys that sign tokens."""

import os
import secrets
from pathlib import Path
from typing import Final

from flashreserve.auth.keys import KeyRing
from flashreserve.bootstrap.stores import OWNER_ALONE
from flashreserve.settings import Settings, SettingsError

KEY_FILE: Final = "secret.key"


def key_ring(settings: Settings, *, create: bool) -> KeyRing:
    """The keys of the settings, else the one in the data directory, made on first use.

    Raises:
        SettingsError: a key that can't be used, or none where one is required.
    """
    try:
        if settings.secret_keys:
            return KeyRing.parse(settings.secret_keys)
        if settings.production:
            raise SettingsError("FLASHRESERVE_SECRET_KEYS: expected kid:secret, since FLASHRESERVE_ENV is production")
        if settings.clustered:
            raise SettingsError("FLASHRESERVE_SECRET_KEYS: expected kid:secret, the same for every process")
        return KeyRing.parse(_generated_key(settings.data_dir / KEY_FILE, create=create))
    except ValueError as error:
        raise SettingsError(f"FLASHRESERVE_SECRET_KEYS: {error}") from error


def _generated_key(path: Path, *, create: bool) -> str:
    """The key in the file. Several processes may start at once: a finished file appears, or another's is there."""
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=OWNER_ALONE)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - opened with its mode, above
            file.write(f"{secrets.token_hex(4)}:{secrets.token_urlsafe(48)}\n")
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise SettingsError(f"there is no key file at {path.absolute()}; `flashreserve serve` makes one") from None
    except OSError as error:
        raise SettingsError(f"the key file {path.absolute()} can't be read: {error.strerror}") from error
