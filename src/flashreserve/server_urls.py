"""URLs of database and queue servers, as far as it must be known whether a shop that sells may use them.

The drivers read the rest, and say what is wrong with it.
"""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote_plus

import msgspec

_PORT: Final = re.compile(r"[0-9]{1,5}")
_PORT_MAX: Final = 65_535
_WITHOUT_PASSWORD: Final = frozenset({"mongodb-x509", "mongodb-aws", "mongodb-oidc", "gssapi"})
"""MongoDB's mechanisms that prove who a client is by other means."""

_REPEATABLE: Final = frozenset({"readpreferencetags"})
"""Options that may stand several times. Of any other, one driver takes the first and another the last."""

_OPTION: Final = re.compile(r"([A-Za-z0-9_]+)=([^\s;]*)")

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
        """Whether nobody on the way can read or change anything: TLS, with the server's certificate checked."""
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
        """Whether all servers are Unix sockets, which the owner of the file opens to whom they like."""
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
    if "#" in rest:
        raise ValueError("# escaped as %23")
    user, _, password = credentials.partition(":")
    return ServerUrl(scheme, user, password, tuple(hosts), _options(query, any_case=_is_mongodb(scheme)))


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
    """The host's name, and whether what follows it is a port or nothing."""
    if text.startswith("["):
        name, bracket, port = text.partition("]")
        return name + bracket, bool(bracket) and (not port or (port[0] == ":" and _is_port(port[1:])))
    name, colon, port = text.partition(":")
    return name, not colon or _is_port(port)


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) <= _PORT_MAX


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
