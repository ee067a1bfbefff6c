"""The shop's cookies and hosts, and the check for requests from pages of other sites (CSRF)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, Literal, Self
from urllib.parse import urlsplit

import msgspec

from flashreserve.auth.address import HOPS_MAX, TrustedProxies
from flashreserve.host_names import check_host_names, is_host_name, split_host_names
from flashreserve.http.origins import Origins
from flashreserve.http.places import NO_PREFIX

SameSite = Literal["lax", "strict", "none"]

COOKIES_TRIED_MAX: Final = 5
"""How many different cookies of one name are tried. Other applications of the site, or an old path, may set some.

With more, nobody is signed in. If only some were tried, an attacker who can plant cookies would choose which.
"""

_BLANKS: Final = b" \t"
"""The characters that may stand around a cookie's name.

Browsers take any other character as part of the name, which then lacks the protection of the prefix `__Host-`.
"""

_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:/@?#\s]+))(?::[0-9]{0,5})?")
_HOSTS_REMEMBERED: Final = 1_024
_OWN_SITE: Final = frozenset({b"same-origin", b"none"})
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}


class Cookies(msgspec.Struct, frozen=True):
    """The names and attributes of the cookies that signing in sets.

    `secure` cookies travel over TLS only. `domain` is empty for cookies of the one host that set them.
    """

    token: str
    device: str
    path: str
    device_path: str
    domain: str
    secure: bool
    same_site: SameSite = "lax"

    @classmethod
    def named(
        cls,
        *,
        production: bool,
        domain: str = "",
        name: str = "token",
        prefix: str = NO_PREFIX,
        same_site: SameSite = "lax",
    ) -> Self:
        """Host-only cookies have the prefix `__Host-` in production (RFC 6265bis, 4.1.3.2).

        Browsers then refuse one that another host of the domain, or an unencrypted page, tries to plant. The prefix
        requires the path `/`, so the cookies of a service under a path have `__Secure-`. Browsers take `none` from
        secure cookies only.
        """
        secure = production or same_site == "none"
        device = f"{name}-device" if name != "token" else "device"
        path = prefix or "/"
        if production and not domain:
            mark, device_path = ("__Secure-", path) if prefix else ("__Host-", "/")
            return cls(mark + name, mark + device, path, device_path, domain, secure=True, same_site=same_site)
        return cls(name, device, path, f"{prefix}/auth/login", domain, secure=secure, same_site=same_site)


def cookie_values(header: bytes | None, name: str) -> Sequence[str]:
    """The different values of the cookies of that name; empty ones are left out."""
    if header is None:
        return ()
    named = [value.decode("latin-1") for its_name, value in _cookies(header) if its_name == name.encode()]
    return list(dict.fromkeys(filter(None, named)))


def _cookies(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The names and values of a Cookie header, read as browsers do."""
    for pair in header.split(b";"):
        name, _, value = pair.partition(b"=")
        yield name.strip(_BLANKS), value.strip(_BLANKS).strip(b'"')


class Hosts:
    """The hosts that the service answers for. Requests for others are answered 400.

    This stops DNS rebinding: a page of another site, whose name is made to resolve to this machine, has the same origin
    as this service for a browser, and could read everything that needs no sign-in. It can't choose the Host header,
    which contains the page's own name.
    """

    def __init__(self, names: Sequence[str], *, all_names: bool = False) -> None:
        """Takes host names; `*.` before a name stands for all names below it. `all_names` serves every host.

        Addresses, `localhost` and names below it are always served: no name server can point them elsewhere.

        Raises:
            ValueError: naming the entry that is no host name.
        """
        check_host_names(names)
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._endings = (".localhost", *(name.removeprefix("*") for name in names if name.startswith("*.")))
        self.all_names = all_names
        self.serves = lru_cache(maxsize=_HOSTS_REMEMBERED)(self._serves)
        """Whether requests with this Host header are served."""

    @classmethod
    def parse(cls, text: str, *, listening: str, all_names: bool) -> Self:
        """Reads names separated by commas. Without any, `all_names` decides whether every host is served.

        `listening` is the host that the server listens on. If it is a name, it is served as well.
        """
        names = split_host_names(text)
        own = [name] if is_host_name(name := listening.lower()) else []
        return cls([*names, *own], all_names=all_names and not names)

    def _serves(self, host: bytes) -> bool:
        if self.all_names:
            return True
        found = _HOST.fullmatch(host.strip(_BLANKS).decode("latin-1").lower())
        if found is None:
            return False
        name = (found[1] or found[2]).removesuffix(".")
        return name == "localhost" or name in self._names or name.endswith(self._endings) or _is_address(name)


class Site:
    """The shop's hosts, cookies and allowed origins, and the check where a request comes from."""

    def __init__(
        self,
        cookies: Cookies,
        hosts: Hosts,
        proxies: TrustedProxies,
        origins: Origins | None = None,
        prefix: str = NO_PREFIX,
    ) -> None:
        self.hosts = hosts
        self.prefix = prefix
        self.origins = origins or Origins()
        self._token_cookie = cookies.token.encode("ascii")
        self._proxies = proxies

    def is_foreign(self, headers: Mapping[bytes, bytes], peer: tuple[str, int] | None) -> bool:
        """Whether a browser sent the sign-in cookie for a page of another site.

        Current browsers name a request's source in Sec-Fetch-Site (not over plain HTTP), and all browsers in Origin. A
        client that sends neither is no browser, and no page can make it send its cookies. Pages of an allowed origin
        are not foreign.
        """
        if not self._has_token(headers[b"cookie"]) or b"authorization" in headers:
            return False
        if self.origins.allow(headers.get(b"origin")):
            return False
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return site not in _OWN_SITE
        origin = headers.get(b"origin")
        return origin is not None and not self._is_own(origin, headers, peer)

    def _is_own(self, origin: bytes, headers: Mapping[bytes, bytes], peer: tuple[str, int] | None) -> bool:
        """Whether the origin is the host that the request was sent to.

        A proxy may rewrite Host and keep the browser's in X-Forwarded-Host, which counts from trusted proxies only. No
        page can make a browser send that header to another site.
        """
        own = _hosts_of(origin)
        if own & _spellings(headers.get(b"host", b"")):
            return True
        forwarded = headers.get(b"x-forwarded-host")
        if forwarded is None or not self._proxies.trusts(peer[0] if peer else None):
            return False
        return any(own & _spellings(entry) for entry in forwarded.rsplit(b",", HOPS_MAX)[-HOPS_MAX:])

    def _has_token(self, cookie: bytes) -> bool:
        name = self._token_cookie
        return name in cookie and any(its_name == name for its_name, _ in _cookies(cookie))


def _hosts_of(origin: bytes) -> set[bytes]:
    """Host and port of an origin, both as sent and without the default port of its scheme; empty if it is invalid."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return set()
    return {parts.netloc, parts.netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, b":"))} - {b""}


def _spellings(host: bytes) -> set[bytes]:
    """A Host header as sent, and without a default port: behind a proxy the scheme, which implies one, is unknown."""
    whole = host.strip().lower().removesuffix(b":")
    return {whole, whole.removesuffix(b":443").removesuffix(b":80")}


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
