"""Every setting, read once. Each is an environment variable, or a line in `.env`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import asdict

from flashreserve.core import limits
from flashreserve.redaction import HIDDEN, redact_url, url_secrets


class SettingsError(Exception):
    """A setting that can't be meant; the message names the variable and what was expected."""


class Settings(msgspec.Struct, frozen=True):
    """All settings. `store` is a URL; without it, the embedded engine's file lies in `data_dir`."""

    data_dir: Path = Path("data")
    store: str = ""
    redis_url: str = ""
    secret_keys: str = ""
    token_s: int = 3600
    host: str = "127.0.0.1"
    port: int = 3000
    hold_s: int = limits.HOLD_S_DEFAULT
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    trusted_proxies: str = ""
    express_lane: bool = True
    env: Literal["development", "production"] = "development"
    metrics_token: str = ""

    def __repr__(self) -> str:
        shown = {name: HIDDEN if name in _SECRET and value else value for name, value in asdict(self).items()}
        shown |= {"store": self._shown_store, "redis_url": redact_url(self.redis_url)}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def production(self) -> bool:
        """Whether docs and metrics are closed to the public, cookies Secure, and nothing has a default."""
        return self.env == "production"

    @property
    def clustered(self) -> bool:
        """Whether the database is a MongoDB server rather than a file."""
        return bool(self.store) and not self.store.startswith(_SQLITE_SCHEME)

    @property
    def sqlite_path(self) -> Path:
        """The database file of the embedded engine."""
        return Path(self.store.removeprefix(_SQLITE_SCHEME)) if self.store else self.data_dir / "flashreserve.db"

    @property
    def engine(self) -> str:
        """The engine's name, for people."""
        if not self.clustered:
            return "embedded (SQLite)"
        return "clustered (MongoDB, Redis)" if self.redis_url else "clustered (MongoDB, without Redis)"

    @property
    def database(self) -> str:
        """Where the data are, for people: a path, or a URL without its secrets."""
        return self._shown_store if self.clustered else str(self.sqlite_path.absolute())

    @property
    def secrets(self) -> list[str]:
        """Every value that must never be shown."""
        keys = [entry.strip().partition(":")[2] for entry in self.secret_keys.split(",")]
        urls = url_secrets(self.redis_url) + (url_secrets(self.store) if self.clustered else [])
        return [each for each in (*keys, self.secret_keys, self.metrics_token, *urls) if each]

    @property
    def _shown_store(self) -> str:
        return redact_url(self.store) if self.clustered else self.store


_SQLITE_SCHEME: Final = "sqlite:///"
_SECRET: Final = frozenset({"secret_keys", "metrics_token"})


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(" or ".join(words))
        return text.lower()

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _switch(text: str) -> bool:
    return _choice("on", "off")(text) == "on"


def _store(text: str) -> str:
    if text.startswith(_SQLITE_SCHEME) and len(text) > len(_SQLITE_SCHEME):
        return text
    if urlsplit(text).scheme in {"mongodb", "mongodb+srv"} and urlsplit(text).netloc:
        return text
    raise ValueError("sqlite:///FILE or mongodb://HOST/DATABASE")


def _redis_url(text: str) -> str:
    parts = urlsplit(text)
    try:
        reachable = bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        reachable = False
    if (parts.scheme in {"redis", "rediss"} and reachable) or (parts.scheme == "unix" and parts.path):
        return text
    raise ValueError("redis://HOST:PORT/NUMBER, rediss://… or unix://PATH")


_VARIABLES: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "FLASHRESERVE_STORE": ("store", _store),
    "FLASHRESERVE_REDIS_URL": ("redis_url", _redis_url),
    "FLASHRESERVE_DATA_DIR": ("data_dir", Path),
    "FLASHRESERVE_SECRET_KEYS": ("secret_keys", str),
    "FLASHRESERVE_TOKEN_SECONDS": ("token_s", _whole(60, 30 * 24 * 3600)),
    "FLASHRESERVE_HOST": ("host", str),
    "FLASHRESERVE_PORT": ("port", _whole(0, 65_535)),
    "FLASHRESERVE_HOLD_SECONDS": ("hold_s", _whole(1, limits.HOLD_S_MAX)),
    "FLASHRESERVE_LOG_LEVEL": ("log_level", _choice("debug", "info", "warning", "error")),
    "FLASHRESERVE_TRUSTED_PROXIES": ("trusted_proxies", str),
    "FLASHRESERVE_EXPRESS_LANE": ("express_lane", _switch),
    "FLASHRESERVE_ENV": ("env", _choice("development", "production")),
    "FLASHRESERVE_METRICS_TOKEN": ("metrics_token", str),
}

VARIABLES: Final = tuple(_VARIABLES)
"""The names of all variables, for the docs' test."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`; empty values count as absent.

    Raises:
        SettingsError: a value that can't be meant, or a FLASHRESERVE_ variable that isn't one.
    """
    values: dict[str, Any] = {}
    for variable in sorted(environment):
        if variable.startswith("FLASHRESERVE_") and variable not in _VARIABLES and variable not in _OTHERS:
            raise SettingsError(f"{variable} is not a setting; known are {', '.join(_VARIABLES)}")
    for variable, (field, parse) in _VARIABLES.items():
        text = environment.get(variable, "").strip()
        if text:
            try:
                values[field] = parse(text)
            except ValueError as error:
                raise SettingsError(f"{variable}: expected {error}") from None
    settings = Settings(**values)
    if settings.redis_url and not settings.clustered:
        raise SettingsError(
            "FLASHRESERVE_REDIS_URL: expected only with FLASHRESERVE_STORE=mongodb://…; a file needs no Redis"
        )
    return settings


_OTHERS: Final = frozenset({"FLASHRESERVE_REQUIRE_ALL", "FLASHRESERVE_TEST_MONGODB_URL"})
"""Variables of the project's own tests, which the program passes over."""
