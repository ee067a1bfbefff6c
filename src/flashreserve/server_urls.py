"""URLs of database and queue servers: whether a shop that sells may use them, and whether the drivers can.

Both drivers would find an invalid option only later: PyMongo when the database is opened, redis-py by a TypeError when
a connection is first used.
"""

import re
import warnings
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, unquote_plus, urlsplit

import msgspec

from flashreserve.host_names import check_resolvable

_PORT: Final = re.compile(r"[0-9]{1,5}")
PORT_MAX: Final = 65_535
_WITHOUT_PASSWORD: Final = frozenset({"mongodb-x509", "mongodb-aws", "mongodb-oidc", "gssapi"})
"""MongoDB's mechanisms that prove who a client is by other means."""

_REPEATABLE: Final = frozenset({"readpreferencetags"})
"""Options that may be repeated. Of any other, one driver takes the first and another the last."""

_OPTION: Final = re.compile(r"([A-Za-z0-9_]+)=([^\s;]*)")

_WHOLE: Final = (re.compile(r"[0-9]{1,9}"), "a whole number")
_SECONDS: Final = (re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?"), "seconds")
_SWITCH: Final = (re.compile(r"(?i:true|false|yes|no|1|0)"), "true or false")
_TEXT: Final = (re.compile(r"[^\0]*"), "text")
_SOCKET_OPTIONS: Final = {
    "client_name": _TEXT,
    "db": _WHOLE,
    "health_check_interval": _WHOLE,
    "password": _TEXT,
    "protocol": (re.compile("[23]"), "2 or 3"),
    "socket_connect_timeout": _SECONDS,
    "socket_timeout": _SECONDS,
    "username": _TEXT,
}
_TCP_OPTIONS: Final = {**_SOCKET_OPTIONS, "socket_keepalive": _SWITCH}
_TLS_OPTIONS: Final = {
    **_TCP_OPTIONS,
    "ssl_ca_certs": _TEXT,
    "ssl_ca_data": _TEXT,
    "ssl_ca_path": _TEXT,
    "ssl_cert_reqs": (re.compile("none|optional|required"), "none, optional or required"),
    "ssl_certfile": _TEXT,
    "ssl_check_hostname": _SWITCH,
    "ssl_ciphers": _TEXT,
    "ssl_keyfile": _TEXT,
    "ssl_min_version": (re.compile("77[12]"), "771 (TLS 1.2) or 772 (TLS 1.3)"),
    "ssl_password": _TEXT,
}
_REDIS_OPTIONS: Final = {"unix": _SOCKET_OPTIONS, "redis": _TCP_OPTIONS, "rediss": _TLS_OPTIONS}
"""Options for redis-py by scheme: credentials, database and connection, with the check of each value.

All others are Python objects, or would override the limits that `redis_server.connect` sets.
"""

_REDIS_PATH: Final = re.compile(r"/?([0-9]{1,9}/?)?")

_UNCHECKED_TLS: Final = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")
_YES: Final = frozenset({"true", "True", "TRUE", "1", "yes", "on"})


class ServerUrl(msgspec.Struct, frozen=True):
    """A URL's parts. `options` are those of its query, by lower-case name."""

    scheme: str
    user: str
    password: str
    hosts: tuple[str, ...]
    options: dict[str, str]

    @property
    def authenticated(self) -> bool:
        """Whether the server learns who connects, by a password or another proof."""
        if _is_mongodb(self.scheme):
            mechanism = self.options.get("authmechanism", "").lower()
            return bool(self.user and self.password) or mechanism in _WITHOUT_PASSWORD
        certificate = self.scheme == "rediss" and bool(self.options.get("ssl_certfile"))
        return bool(self.password or self.options.get("password")) or certificate

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS and checks the server's certificate."""
        if _is_mongodb(self.scheme):
            default = "true" if self.scheme == "mongodb+srv" else "false"
            wanted = self.options.get("tls", self.options.get("ssl", default))
            return wanted == "true" and not any(self.options.get(name) == "true" for name in _UNCHECKED_TLS)
        certified = self.options.get("ssl_cert_reqs", "required") == "required"
        return self.scheme == "rediss" and certified and self.options.get("ssl_check_hostname", "true") in _YES

    @property
    def local(self) -> bool:
        """Whether all servers are on this machine."""
        return all(map(_is_local, self.hosts))

    @property
    def on_sockets(self) -> bool:
        """Whether all servers are Unix sockets. The socket file's owner decides who may connect."""
        return all(map(_is_socket, self.hosts))


def read_server_url(url: str) -> ServerUrl:
    """The parts of a URL whose hosts may be several, separated by commas.

    Raises:
        ValueError: the hosts can't be told from the credentials, or aren't there; or a driver may read it differently.
    """
    scheme, _, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    path, _, query = rest[len(authority) :].partition("?")
    credentials, _, places = authority.rpartition("@")
    hosts = places.split(",") if places else []
    escaped = "@" not in credentials and ("@" not in path or (scheme == "unix" and not hosts))
    if not escaped or not all(map(_is_host, hosts)):
        raise ValueError("hosts and ports only after user and password, where : / ? # [ ] @ % are escaped")
    if not _is_mongodb(scheme) and any(map(_is_socket, hosts)):
        raise ValueError("a Unix socket as unix://PATH")
    if not hosts and scheme != "unix":
        raise ValueError("at least one host")
    for host in hosts:
        if not _is_socket(host):
            check_resolvable(unquote(_split_port(host)[0]))
    if "#" in rest:
        raise ValueError("# escaped as %23")
    user, _, password = credentials.partition(":")
    return ServerUrl(scheme, user, password, tuple(hosts), _options(query, any_case=_is_mongodb(scheme)))


def check_mongodb_url(url: str) -> None:
    """Refuse URLs that PyMongo can't use. Its options' values may be secret, so they aren't shown.

    Neither a server nor, for mongodb+srv, the DNS is asked. Files that options name aren't opened.

    Raises:
        ValueError: what was expected instead.
    """
    server = read_server_url(url)
    # Imported where used: it takes a third of a second, and most commands on a database file need no driver.
    from pymongo.errors import PyMongoError  # noqa: PLC0415
    from pymongo.uri_parser import parse_uri, split_options, validate_options  # noqa: PLC0415

    query = url.partition("?")[2]
    with warnings.catch_warnings(), suppress(OSError):
        warnings.simplefilter("ignore")  # The driver warns again when it connects.
        for name, value in server.options.items():
            try:
                validate_options({name: value})
            except (ValueError, TypeError, PyMongoError):
                raise ValueError(f"the option {name} as PyMongo documents it") from None
        try:
            if server.scheme == "mongodb":
                parse_uri(url)
            elif query:
                split_options(query)
        except (ValueError, TypeError, PyMongoError) as error:
            raise ValueError(f"nothing that PyMongo refuses: {error}") from None


def check_redis_url(url: str) -> None:
    """Refuse URLs that redis-py can't use. Its option names may be parts of a secret, so they aren't shown.

    Raises:
        ValueError: what was expected instead.
    """
    server = read_server_url(url)
    if len(server.hosts) > 1:
        raise ValueError("one host")
    try:
        path = urlsplit(url).path
    except ValueError:
        raise ValueError("an IPv6 address in [ ], and no signs like / ? # [ ] @ in a host's name") from None
    if server.scheme != "unix" and _REDIS_PATH.fullmatch(path) is None:
        raise ValueError("the database's number as path")
    if server.scheme != "rediss" and any(name.startswith(("ssl", "tls")) for name in server.options):
        raise ValueError("TLS as rediss://, not as options")
    known = _REDIS_OPTIONS[server.scheme]
    for name, value in server.options.items():
        if name not in known:
            raise ValueError(f"no options but {', '.join(sorted(known))}")
        pattern, expected = known[name]
        if value and pattern.fullmatch(value) is None:
            raise ValueError(f"{name} as {expected}")
    if server.options.get("ssl_keyfile") and not server.options.get("ssl_certfile"):
        raise ValueError("ssl_certfile beside ssl_keyfile")


def _options(query: str, *, any_case: bool) -> dict[str, str]:
    """The options by lower-case name. Where one driver would read another option than this, the query is invalid.

    PyMongo takes names as they are, in any case, and separates options at `;` and spaces too. redis-py unescapes names,
    minds their case, and passes over a `&` with nothing behind it.
    """
    options: dict[str, str] = {}
    for option in query.split("&") if query else ():
        if not option and not any_case:
            continue
        found = _OPTION.fullmatch(option)
        if found is None or not (any_case or found[1].islower()):
            names = "names unescaped" if any_case else "names unescaped and in lower case"
            raise ValueError(f"options NAME=VALUE joined by &, {names}, ; and spaces in values escaped")
        name = found[1].lower()
        if name in options and name not in _REPEATABLE:
            raise ValueError(f"the option {name} once")
        options[name] = unquote_plus(found[2])
    return options


def _is_mongodb(scheme: str) -> bool:
    return scheme in {"mongodb", "mongodb+srv"}


def _is_host(text: str) -> bool:
    name, ported = _split_port(text)
    return bool(name.strip("[]")) and ported


def _split_port(text: str) -> tuple[str, bool]:
    """The host's name, and whether the rest is a port or empty."""
    if text.startswith("["):
        name, bracket, port = text.partition("]")
        return name + bracket, bool(bracket) and (not port or (port[0] == ":" and _is_port(port[1:])))
    name, colon, port = text.partition(":")
    return name, not colon or _is_port(port)


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) <= PORT_MAX


def _is_local(host: str) -> bool:
    name, _ = _split_port(host)
    if name.lower() == "localhost" or _is_socket(host):
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_socket(host: str) -> bool:
    return host.lower().startswith("%2f")
