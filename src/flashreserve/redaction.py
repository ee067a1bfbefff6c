"""Redaction of secrets in everything that is shown: the log, the banner, `doctor` and error messages.

A secret is recognised in three ways: by its value, if it is one of this process's own settings; by its place, in a URL
or after `password=`; and by its form, as a signed token or a password's hash.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "[secret]"

_VALUE_LENGTH_MIN: Final = 6
"""Shorter values are like words: they would be redacted everywhere. In URLs, their place still hides them."""

_SHOWN_OPTIONS: Final = frozenset(
    {
        "authmechanism",
        "authsource",
        "connecttimeoutms",
        "db",
        "directconnection",
        "loadbalanced",
        "maxpoolsize",
        "minpoolsize",
        "protocol",
        "readpreference",
        "replicaset",
        "retryreads",
        "retrywrites",
        "serverselectiontimeoutms",
        "sockettimeoutms",
        "srvservicename",
        "ssl",
        "ssl_cert_reqs",
        "ssl_check_hostname",
        "tls",
        "tlsallowinvalidcertificates",
        "tlsallowinvalidhostnames",
        "tlsinsecure",
        "w",
    }
)
"""Options in a URL's query whose values are no secrets. All others are hidden, new secret options included."""

# Every alternative begins with a fixed word, and is bounded where it may fail: text from clients is logged.
_TEXT: Final = re.compile(
    r"(?P<url>://\S+)"
    r"|(?P<name>(?:password|passwd|passphrase|secret|token|credential)[\w.-]{0,40}=)[^\s&;,]+"
    r"|eyJ[A-Za-z0-9_-]{8,512}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # a signed token
    r"|\$argon2[a-z]{0,2}\$[A-Za-z0-9+/=,$-]*",  # a password's hash
    re.IGNORECASE,
)


_MARKS: Final = ("://", "=", "eyJ", "$argon2")
"""Everything that the pattern finds has one of these. Most texts have none and need no search."""


class _Values:
    """The secrets of this process's settings, to recognise them in libraries' messages."""

    pattern: re.Pattern[str] | None = None


def remember(values: Iterable[str]) -> None:
    """Redact these values from now on, in place of those remembered before."""
    # The longest first: a shorter secret inside a longer one would leave the rest visible.
    known = sorted({each for each in values if len(each) >= _VALUE_LENGTH_MIN}, key=len, reverse=True)
    _Values.pattern = re.compile("|".join(map(re.escape, known))) if known else None


def redact(text: str) -> str:
    """The text without secrets."""
    if _Values.pattern is not None:
        text = _Values.pattern.sub(HIDDEN, text)
    if any(mark in text for mark in _MARKS):
        return _TEXT.sub(_redacted, text)
    return text


def redact_url(url: str) -> str:
    """The URL of a database or a queue without user, password and unknown options.

    Credentials reach up to the last @, since a password with unescaped special characters may contain any of them. If
    an option seems to stand before that @, the @ may be a part of the option's value: then everything is hidden.
    """
    scheme, colon, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    if _holds_options(credentials):
        return f"{scheme}{colon}{HIDDEN}"
    address, mark, query = place.partition("?")
    hidden = f"{HIDDEN}@" if credentials else at
    return f"{scheme}{colon}{hidden}{address.partition('#')[0]}{mark}{_redacted_options(query)}"


def url_secrets(url: str) -> list[str]:
    """The password and the hidden options' values of a URL, both as written and with escapes decoded."""
    rest = url.partition("://")[2]
    credentials, _, place = rest.rpartition("@")
    found = [credentials.partition(":")[2]]
    query = (rest if _holds_options(credentials) else place).partition("?")[2]
    for option in re.split("[&;]", query):
        name, _, value = option.partition("=")
        if name.lower() not in _SHOWN_OPTIONS:
            found += [value, *(pair.partition(":")[2] for pair in value.split(","))]
    return [form for each in found if each for form in (each, unquote(each))]


def _holds_options(credentials: str) -> bool:
    return "=" in credentials.partition("?")[2]


def _redacted(match: re.Match[str]) -> str:
    if match["url"]:
        return redact_url(match["url"])
    return f"{match['name'] or ''}{HIDDEN}"


def _redacted_options(query: str) -> str:
    return "".join(map(_redacted_option, re.split("([&;])", query)))


def _redacted_option(option: str) -> str:
    name, equals, _ = option.partition("=")
    if option in {"", "&", ";"} or name.lower() in _SHOWN_OPTIONS:
        return option
    return f"{name}{equals}{HIDDEN}" if equals else HIDDEN
