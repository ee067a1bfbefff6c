"""The result of an attempt in words, for the person who tests an endpoint: what went wrong, and what to do."""

from http import HTTPStatus
from typing import Final, assert_never

from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt

_LOOK: Final = "look at the receiver's log"
_VERIFY: Final = "see whether the receiver verifies with this endpoint's secret; `rotate` makes a new one"
_BY_STATUS: Final[dict[int | None, str]] = {
    HTTPStatus.BAD_REQUEST: _VERIFY,
    HTTPStatus.UNAUTHORIZED: _VERIFY,
    HTTPStatus.FORBIDDEN: _VERIFY,
    HTTPStatus.NOT_FOUND: "see whether the path of the URL is that of the receiver",
    HTTPStatus.METHOD_NOT_ALLOWED: "the receiver has to take POST there",
    HTTPStatus.GONE: "a delivery that is answered so disables the endpoint at once",
    HTTPStatus.TOO_MANY_REQUESTS: "deliveries wait for its Retry-After, and then come one at a time",
}


def said_of(attempt: DeliveryAttempt) -> str:
    """One sentence on the attempt; for a failed one, with advice."""
    if attempt.error is None:
        return f"Delivered: the endpoint answered {attempt.status} after {attempt.duration_ms} ms."
    return f"not delivered: {_fault(attempt.error, attempt.status)}"


def _fault(error: AttemptError, status: int | None) -> str:  # noqa: C901 - one match over all errors
    match error:
        case AttemptError.URL:
            return "the URL can't be called any more; remove the endpoint, and add it again"
        case AttemptError.ADDRESS_REFUSED:
            return (
                "the host has an address that isn't public, or http isn't allowed to it; if it is your own, set"
                " FLASHRESERVE_WEBHOOK_NETWORKS to its network, such as 10.1.0.0/16"
            )
        case AttemptError.DNS:
            return "the host's name has no address; correct the name, or the DNS of this machine"
        case AttemptError.CONNECT:
            return "there is no connection; start the receiver, and open the port in firewalls between"
        case AttemptError.TLS:
            return (
                "there is no encrypted connection; the receiver needs a certificate for this host by an authority that"
                " this machine trusts"
            )
        case AttemptError.TIMEOUT:
            return "the answer took too long; the receiver has to answer within 15 s, and do its work afterwards"
        case AttemptError.DISCONNECTED:
            return "the endpoint closed the connection before its answer was complete; look at the receiver's log"
        case AttemptError.PROTOCOL:
            return "the answer isn't valid HTTP; see whether the port of the URL is that of the receiver"
        case AttemptError.REDIRECT:
            return f"the endpoint answered {status}, and redirects aren't followed; give the URL that it leads to"
        case AttemptError.STATUS:
            return f"the endpoint answered {status}, expected 2xx; {_BY_STATUS.get(status, _LOOK)}"
        case _:
            assert_never(error)
