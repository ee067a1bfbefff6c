"""The shop's issuers, from the settings."""

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from flashreserve.auth.foreign_tokens import ForeignTokens
from flashreserve.auth.issuers import TEXT_BYTES_MAX, Issuer, read_issuers
from flashreserve.auth.key_sources import KeySources
from flashreserve.auth.keys import KeyRing
from flashreserve.settings import Settings, SettingsError

_VARIABLE = "FLASHRESERVE_ISSUERS"


def issuers_of(settings: Settings, own: KeyRing | None = None) -> list[Issuer]:
    """The issuers of the settings. A relative `jwks_file` is beside the file that names it.

    `own` are the keys that sign this service's tokens, if they are known.

    Raises:
        SettingsError: an issuer is invalid or has a secret of `own`, or the file can't be read.
    """
    text = settings.issuers
    if not text:
        return []
    inline = text.startswith("{")
    try:
        issuers = read_issuers(text if inline else _read(Path(text)))
        if own is not None:
            _check_secrets(issuers, own)
    except ValueError as error:
        raise SettingsError(f"{_VARIABLE}: {error}" if inline else f"{_VARIABLE}, {text}: {error}") from None
    except OSError as error:
        raise SettingsError(f"{_VARIABLE}: {text} can't be read: {error.strerror}") from None
    folder = Path() if inline else Path(text).parent
    return [
        replace(issuer, jwks_file=str(folder / issuer.jwks_file)) if issuer.jwks_file else issuer for issuer in issuers
    ]


def key_sources(issuers: list[Issuer], tokens: ForeignTokens, monotonic: Callable[[], float]) -> KeySources:
    """The places where these issuers publish their keys."""

    async def read(issuer: Issuer) -> bytes:
        # Imported where used: the HTTP client takes a fifth of a second, and most commands need none.
        from flashreserve.auth.jwks_reader import read_jwks  # noqa: PLC0415

        return await read_jwks(issuer)

    return KeySources(issuers, tokens, read, monotonic)


def file_with_secrets(settings: Settings) -> Path | None:
    """The issuers' file, if it has shared secrets.

    Raises:
        SettingsError: as `issuers_of`.
    """
    issuers = issuers_of(settings)
    inline = settings.issuers.startswith("{")
    return Path(settings.issuers) if not inline and any(issuer.secret for issuer in issuers) else None


def _check_secrets(issuers: list[Issuer], own: KeyRing) -> None:
    for number, issuer in enumerate(issuers):
        if issuer.secret and own.has(issuer.secret.encode()):
            expected = "secret: expected another one than those that sign this service's own tokens"
            raise ValueError(f"issuers[{number}] ({issuer.name}): {expected}: its owner could sign in as an admin")


def _read(path: Path) -> str:
    with path.open("rb") as file:
        read = file.read(TEXT_BYTES_MAX + 1)
    try:
        return read.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8 text") from None
