"""Attempts: the results of single requests to an endpoint, as values that can be stored and judged."""

from enum import StrEnum
from http import HTTPStatus

import msgspec


class AttemptError(StrEnum):
    """Why an attempt failed. The words are stored and shown, so they never change."""

    URL = "url"
    """The URL can't be called: it was stored by a version that allowed more."""
    ADDRESS_REFUSED = "address-refused"
    """The host has an address that may not be called (`webhooks.addresses`)."""
    DNS = "dns"
    """The host's name has no address."""
    CONNECT = "connect"
    """No connection: nobody listens, or no route leads there."""
    TLS = "tls"
    """No encrypted connection: the certificate is invalid, or the host doesn't speak TLS."""
    TIMEOUT = "timeout"
    """The connection, or the whole answer, took too long. The endpoint may have processed the delivery."""
    DISCONNECTED = "disconnected"
    """The endpoint closed the connection before its answer was complete."""
    PROTOCOL = "protocol"
    """The answer isn't valid HTTP, or its headers are too long."""
    REDIRECT = "redirect"
    """The answer was 3xx. Redirects aren't followed."""
    STATUS = "status"
    """The answer was another status than 2xx and 3xx."""


class DeliveryAttempt(msgspec.Struct, frozen=True):
    """The result of one request.

    Attributes:
        status: The status of the answer; None without one. It is there as well if the answer's body failed.
        duration_ms: From the start of the attempt to the end of the answer's body.
        error: None if the delivery succeeded.
        retry_after_s: The answer's Retry-After, in seconds from the end of the attempt.
    """

    status: int | None
    duration_ms: int
    error: AttemptError | None
    retry_after_s: int | None = None

    @property
    def delivered(self) -> bool:
        """Whether the endpoint has the event."""
        return self.error is None


def error_of_status(status: int) -> AttemptError | None:
    """The error of a complete answer; None for 2xx."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    return AttemptError.REDIRECT if status < HTTPStatus.BAD_REQUEST else AttemptError.STATUS
