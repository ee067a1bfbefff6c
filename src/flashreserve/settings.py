"""Every setting, read once. Each is an environment variable, or a line in `.env`."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import asdict

from flashreserve.auth.address import TrustedProxies
from flashreserve.auth.secret_strength import is_repetitive
from flashreserve.auth.token_forms import may_be_metrics_token
from flashreserve.core import limits
from flashreserve.core.quotas import Quotas
from flashreserve.host_names import check_host_names, check_resolvable, split_host_names
from flashreserve.redaction import HIDDEN, redact_url, url_secrets
from flashreserve.server_urls import PORT_MAX, check_mongodb_url, check_redis_url, read_server_url
from flashreserve.suggestions import nearest
from flashreserve.web_origins import read_origins
from flashreserve.webhooks.addresses import Destinations, read_networks, read_ports

_KEY_FILE: Final = "secret.key"

EVENTS_DAYS_DEFAULT: Final = 400
STREAMS_DEFAULT: Final = 5_000
"""Half of the connections that one process serves; the other half is left for requests."""

_STREAMS_MAX: Final = 8_000
_EVENTS_DAYS_MIN: Final = 7
"""Deliveries of an event are tried for some days, and a program that follows the log may stand still for some."""
_EVENTS_DAYS_MAX: Final = 3_650


class SettingsError(Exception):
    """A setting is invalid; the message names the variable and what was expected, never the value."""


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
    open_holds_max: int = limits.OPEN_HOLDS_DEFAULT
    holds_per_hour_max: int = limits.HOLDS_PER_HOUR_DEFAULT
    lapses_per_hour_max: int = limits.LAPSES_PER_HOUR_DEFAULT
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    hosts: str = ""
    issuers: str = ""
    path_prefix: str = ""
    origins: str = ""
    cookie_name: str = "token"
    cookie_domain: str = ""
    cookie_samesite: Literal["lax", "strict", "none"] = "lax"
    trusted_proxies: str = ""
    express_lane: bool = True
    streams_max: int = STREAMS_DEFAULT
    events_days: int = EVENTS_DAYS_DEFAULT
    events_grants: bool = False
    env: Literal["development", "production"] = "development"
    demo: bool | None = None
    metrics_token: str = ""
    private_network: bool = False
    webhook_networks: str = ""
    webhook_ports: str = ""

    def __repr__(self) -> str:
        shown = {name: HIDDEN if name in _SECRET and value else value for name, value in asdict(self).items()}
        shown |= {"store": self._shown_store, "redis_url": redact_url(self.redis_url)}
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def quotas(self) -> Quotas:
        """How much one customer may hold."""
        return Quotas(self.open_holds_max, self.holds_per_hour_max, self.lapses_per_hour_max)

    @property
    def destinations(self) -> Destinations:
        """The addresses and ports that webhooks may be sent to."""
        networks, ports = read_networks(self.webhook_networks), read_ports(self.webhook_ports)
        return Destinations(networks, ports, production=self.production)

    @property
    def production(self) -> bool:
        """Whether this is production: docs and metrics closed to the public, cookies Secure, no defaults."""
        return self.env == "production"

    @property
    def serves_demo(self) -> bool:
        """Whether the storefront at `/demo` is served: outside production, unless the setting says otherwise."""
        return not self.production if self.demo is None else self.demo

    @property
    def clustered(self) -> bool:
        """Whether the database is a MongoDB server rather than a file."""
        return bool(self.store) and not self.store.startswith(_SQLITE_SCHEME)

    @property
    def sqlite_path(self) -> Path:
        """The database file of the embedded engine."""
        return Path(self.store.removeprefix(_SQLITE_SCHEME)) if self.store else self.data_dir / "flashreserve.db"

    @property
    def key_path(self) -> Path:
        """The file of the key that signs tokens, where the settings have none."""
        return self.data_dir / _KEY_FILE

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
        inline = self.issuers if self.issuers.startswith("{") else ""
        return [each for each in (*keys, self.secret_keys, self.metrics_token, inline, *urls) if each]

    @property
    def _shown_store(self) -> str:
        return redact_url(self.store) if self.clustered else self.store


_SQLITE_SCHEME: Final = "sqlite:///"
_SECRET: Final = frozenset({"secret_keys", "issuers", "metrics_token"})


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(" or ".join(words) + _suggestion(text.lower(), words))
        return text.lower()

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
        if not (digits and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _switch(text: str) -> bool:
    word = text.lower()
    if word not in {"on", "off"}:
        raise ValueError("on or off" + (f"; did you mean {_SWITCHES[word]}?" if word in _SWITCHES else ""))
    return word == "on"


def _directory(text: str) -> Path:
    if text.startswith("~"):
        raise ValueError("a path; ~ isn't replaced here")
    return Path(text)


def read_host(text: str) -> str:
    """The address or name to listen at.

    Raises:
        ValueError: what was expected.
    """
    if not text or "/" in text or text.startswith("[") or text.count(":") == 1:
        raise ValueError("an address or a name, without scheme, brackets and port")
    check_resolvable(text)
    return text


def _hosts(text: str) -> str:
    check_host_names(split_host_names(text))
    return text


def _trusted_proxies(text: str) -> str:
    TrustedProxies.parse(text)
    return text


def _webhook_networks(text: str) -> str:
    read_networks(text)
    return text


def _webhook_ports(text: str) -> str:
    read_ports(text)
    return text


def _store(text: str) -> str:
    path = text.removeprefix(_SQLITE_SCHEME)
    if path != text and path:
        if path.startswith("~"):
            raise ValueError("a path after sqlite:///; ~ isn't replaced here")
        return text
    form = "sqlite:///FILE or mongodb://HOST/DATABASE"
    if text.partition("://")[0] not in {"mongodb", "mongodb+srv"}:
        raise ValueError(form)
    return _checked(check_mongodb_url, text, form)


def _redis_url(text: str) -> str:
    form = "redis://HOST:PORT/NUMBER, rediss://… or unix://PATH"
    scheme, _, place = text.partition("://")
    if scheme not in {"redis", "rediss", "unix"} or (scheme == "unix" and "/" not in place):
        raise ValueError(form)
    return _checked(check_redis_url, text, form)


def _checked(check: Callable[[str], object], url: str, form: str) -> str:
    try:
        check(url)
    except ValueError as error:
        raise ValueError(f"{form}, with {error}") from None
    return url


def _metrics_token(text: str) -> str:
    visible = all("!" <= letter <= "~" for letter in text)
    if not visible or len(text) < TOKEN_BYTES_MIN or is_repetitive(text.encode()):
        raise ValueError(
            f"{TOKEN_BYTES_MIN} or more visible ASCII characters that nobody guesses, as `openssl rand -hex 32` prints"
        )
    if not may_be_metrics_token(text):
        raise ValueError("one without the form of a JWT or an API key, such as `openssl rand -hex 32` prints")
    return text


TOKEN_BYTES_MIN: Final = 32
"""Bytes of a metrics token at least. Anyone who has the token can read metrics and docs."""

_DIGITS_MAX: Final = 12
_SWITCHES: Final = {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}


def _domain(text: str) -> str:
    domain = text.lower().removeprefix(".")
    if _DOMAIN.fullmatch(domain) is None:
        raise ValueError("a domain such as shop.example")
    return domain


_DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


def _origins(text: str) -> str:
    read_origins(text)
    return text


ROUTES: Final = frozenset(
    {
        "accounts",
        "admin",
        "api-docs",
        "api-keys",
        "assets",
        "audits",
        "auth",
        "checkout",
        "customers",
        "demo",
        "events",
        "health",
        "holds",
        "livez",
        "metrics",
        "openapi.json",
        "overview",
        "pause",
        "problems",
        "products",
        "readyz",
        "reservations",
        "reservations.csv",
        "resume",
        "stream-tickets",
        "time",
        "trail",
        "webhooks",
    }
)
"""The first segments of the service's own paths."""


def _path_prefix(text: str) -> str:
    prefix = text.removesuffix("/")
    if _PREFIX_PATH.fullmatch(prefix) is None:
        raise ValueError("a path such as /flash, of letters, digits and - . _ ~, at most 200 characters")
    first = prefix[1:].partition("/")[0]
    if first in ROUTES:
        raise ValueError(f"a path such as /flash; /{first} is a route of this service, which would be hidden")
    return prefix


def _cookie_name(text: str) -> str:
    if _COOKIE_NAME.fullmatch(text) is None or text.lower().startswith(("__host-", "__secure-")):
        raise ValueError(
            "1 to 64 letters, digits, - and _; __Host- or __Secure- is put before it in production by itself"
        )
    return text


_PREFIX_PATH: Final = re.compile(r"(?=.{0,200}$)(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")
_COOKIE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

VARIABLES: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "FLASHRESERVE_STORE": ("store", _store),
    "FLASHRESERVE_REDIS_URL": ("redis_url", _redis_url),
    "FLASHRESERVE_DATA_DIR": ("data_dir", _directory),
    "FLASHRESERVE_SECRET_KEYS": ("secret_keys", str),
    "FLASHRESERVE_TOKEN_SECONDS": ("token_s", _whole(60, 30 * 24 * 3600)),
    "FLASHRESERVE_HOST": ("host", read_host),
    "FLASHRESERVE_PORT": ("port", _whole(0, PORT_MAX)),
    "FLASHRESERVE_HOLD_SECONDS": ("hold_s", _whole(1, limits.HOLD_S_MAX)),
    "FLASHRESERVE_OPEN_HOLDS_MAX": ("open_holds_max", _whole(0, limits.OPEN_HOLDS_MAX)),
    "FLASHRESERVE_HOLDS_PER_HOUR_MAX": ("holds_per_hour_max", _whole(0, limits.HOLDS_PER_HOUR_MAX)),
    "FLASHRESERVE_LAPSES_PER_HOUR_MAX": ("lapses_per_hour_max", _whole(0, limits.HOLDS_PER_HOUR_MAX)),
    "FLASHRESERVE_LOG_LEVEL": ("log_level", _choice("debug", "info", "warning", "error")),
    "FLASHRESERVE_HOSTS": ("hosts", _hosts),
    "FLASHRESERVE_ISSUERS": ("issuers", str),
    "FLASHRESERVE_PATH_PREFIX": ("path_prefix", _path_prefix),
    "FLASHRESERVE_ORIGINS": ("origins", _origins),
    "FLASHRESERVE_COOKIE_NAME": ("cookie_name", _cookie_name),
    "FLASHRESERVE_COOKIE_DOMAIN": ("cookie_domain", _domain),
    "FLASHRESERVE_COOKIE_SAMESITE": ("cookie_samesite", _choice("lax", "strict", "none")),
    "FLASHRESERVE_TRUSTED_PROXIES": ("trusted_proxies", _trusted_proxies),
    "FLASHRESERVE_EXPRESS_LANE": ("express_lane", _switch),
    "FLASHRESERVE_STREAMS_MAX": ("streams_max", _whole(0, _STREAMS_MAX)),
    "FLASHRESERVE_EVENTS_DAYS": ("events_days", _whole(_EVENTS_DAYS_MIN, _EVENTS_DAYS_MAX)),
    "FLASHRESERVE_EVENTS_GRANTS": ("events_grants", _switch),
    "FLASHRESERVE_ENV": ("env", _choice("development", "production")),
    "FLASHRESERVE_DEMO": ("demo", _switch),
    "FLASHRESERVE_METRICS_TOKEN": ("metrics_token", _metrics_token),
    "FLASHRESERVE_PRIVATE_NETWORK": ("private_network", _switch),
    "FLASHRESERVE_WEBHOOK_NETWORKS": ("webhook_networks", _webhook_networks),
    "FLASHRESERVE_WEBHOOK_PORTS": ("webhook_ports", _webhook_ports),
}
"""By variable, the field of `Settings`, and the function that reads the value or raises what was expected."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`; empty values count as absent.

    Raises:
        SettingsError: a value is invalid, a FLASHRESERVE_ variable isn't a setting, or production doesn't allow it.
    """
    for variable in sorted(environment):
        _check_name(variable)
    values: dict[str, Any] = {}
    for variable, (field, parse) in VARIABLES.items():
        text = environment.get(variable, "").strip()
        if text:
            values[field] = _parsed(variable, text, parse)
    settings = Settings(**values)
    if settings.redis_url and not settings.clustered:
        raise SettingsError(
            "FLASHRESERVE_REDIS_URL: expected only with FLASHRESERVE_STORE=mongodb://…; a file needs no Redis"
        )
    if settings.production and not settings.private_network:
        if settings.clustered:
            _check_server("FLASHRESERVE_STORE", settings.store, tls="tls=true in its query")
        if settings.redis_url:
            _check_server("FLASHRESERVE_REDIS_URL", settings.redis_url, tls="rediss://")
    return settings


def shown_settings(settings: Settings) -> dict[str, str]:
    """Every setting as text, by its variable's name, for people. Secrets are hidden; what isn't set is empty."""
    shown: dict[str, str] = {}
    for variable, (field, _) in VARIABLES.items():
        value = getattr(settings, field)
        shown[variable] = HIDDEN if field in _SECRET and value else redact_url(_shown_value(value))
    return shown


def _shown_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _check_name(variable: str) -> None:
    name = variable.upper().replace("-", "_")
    if not name.startswith(_PREFIX) or variable in VARIABLES:
        return
    known = [each.removeprefix(_PREFIX) for each in VARIABLES]
    word = name.removeprefix(_PREFIX)
    word = _OTHER_WORDS.get(word.partition("_")[0], word)
    suggestion = _suggestion(word, known, _PREFIX)
    raise SettingsError(f"{variable} is not a setting{suggestion or '; docs/settings.md lists all'}")


def _parsed(variable: str, text: str, parse: Callable[[str], Any]) -> Any:
    odd = next((letter for letter in text if not letter.isprintable()), None)
    if odd is not None and (parse is not _directory or unicodedata.category(odd) == "Cc"):
        hint = "; in .env, double quotes make \\n and \\t of a value control characters" if odd < " " else ""
        raise SettingsError(f"{variable}: expected visible characters only, found U+{ord(odd):04X}{hint}")
    try:
        return parse(text)
    except ValueError as error:
        raise SettingsError(f"{variable}: expected {error}") from None


def _check_server(variable: str, url: str, *, tls: str) -> None:
    """Refuse, for production, a server without a password, or without TLS on the way to it."""
    server = read_server_url(url)
    reason = f"since FLASHRESERVE_ENV is production; {_OPT_IN} allows to do without on a network of their own"
    if not (server.authenticated or server.on_sockets):
        raise SettingsError(f"{variable}: expected a password (//USER:PASSWORD@HOST), {reason}")
    if not (server.encrypted or server.local):
        raise SettingsError(f"{variable}: expected TLS with checked certificates ({tls}), {reason}")


def _suggestion(word: str, known: Sequence[str], prefix: str = "") -> str:
    """A question for the known word that is most like `word`; empty if none is like it."""
    near = nearest(word, known)
    return "" if near is None else f"; did you mean {prefix}{near}?"


_PREFIX: Final = "FLASHRESERVE_"
_OPT_IN: Final = "FLASHRESERVE_PRIVATE_NETWORK=on"
_OTHER_WORDS: Final = {
    **dict.fromkeys(("DATABASE", "DB", "MONGO", "MONGODB", "SQLITE", "URI", "URL"), "STORE"),
    **dict.fromkeys(("ADDRESS", "BIND", "LISTEN"), "HOST"),
}
"""Names that other software has for these settings."""
