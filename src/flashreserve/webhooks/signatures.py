"""Signatures of deliveries, by the Standard Webhooks specification.

A delivery has the headers `webhook-id` (the event's id), `webhook-timestamp` (seconds) and `webhook-signature`: one
signature per secret, separated by spaces. The receiver accepts the delivery if one of them fits.

Secrets are derived from the key ring instead of stored. An endpoint keeps only the id of the ring's key and the number
of its secret's generation; rotating raises the generation. The secret of the generation before signs too for a day, so
that the receiver has time to change.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from standardwebhooks import Webhook

from flashreserve.auth.keys import KeyRing

ROTATION_MS: Final = 24 * 3600 * 1000
"""How long the old secret signs after a rotation."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the same for everybody


class SecretVersion(msgspec.Struct, frozen=True):
    """Names one secret of an endpoint: the id of the key ring's key that it is derived from, and a number from 1 on."""

    kid: str
    generation: int


class EndpointSecrets(msgspec.Struct, frozen=True):
    """The secrets of an endpoint. `previous` signs until `previous_until_ms`; it is None before the first rotation."""

    endpoint_id: str
    current: SecretVersion
    previous: SecretVersion | None = None
    previous_until_ms: int = 0


class MissingKey(msgspec.Struct, frozen=True):
    """The key ring has no key with this id any more, so the secret can't be derived."""

    kid: str


def rotated(secrets: EndpointSecrets, kid: str, now_ms: int) -> EndpointSecrets:
    """The secrets after a rotation at `now_ms`; the new one is derived from the key `kid`.

    Only one secret before the new one signs. So the secret before that stops at once if an endpoint is rotated twice
    within a day.
    """
    new = SecretVersion(kid, secrets.current.generation + 1)
    return EndpointSecrets(secrets.endpoint_id, new, secrets.current, now_ms + ROTATION_MS)


def secret_of(keys: KeyRing, endpoint_id: str, version: SecretVersion) -> str | MissingKey:
    """The secret as the endpoint's owner gets it: `whsec_` and base64."""
    if ":" in endpoint_id:
        raise ValueError("with colons in their ids, two endpoints could have the same secret")
    derived = keys.derive(version.kid, f"webhook:{endpoint_id}:{version.generation}".encode())
    return MissingKey(version.kid) if derived is None else SECRET_PREFIX + base64.b64encode(derived).decode()


def signing_secrets(keys: KeyRing, secrets: EndpointSecrets, now_ms: int) -> tuple[str, ...] | MissingKey:
    """The secrets that sign at `now_ms`, the current one first.

    A previous secret whose key is missing is left out: the current one is enough.
    """
    current = secret_of(keys, secrets.endpoint_id, secrets.current)
    if isinstance(current, MissingKey):
        return current
    if secrets.previous is None or now_ms >= secrets.previous_until_ms:
        return (current,)
    previous = secret_of(keys, secrets.endpoint_id, secrets.previous)
    return (current,) if isinstance(previous, MissingKey) else (current, previous)


def signed_headers(secrets: Sequence[str], event_id: str, body: bytes, now_ms: int) -> dict[str, str]:
    """The headers of an attempt at `now_ms`. `body` is UTF-8."""
    if "." in event_id:
        raise ValueError("the specification forbids dots in ids: they separate what is signed")
    if not secrets:
        raise ValueError("a delivery is always signed")
    # The library labels any time as UTC without converting it, so it must be UTC.
    second = datetime.fromtimestamp(now_ms // 1000, UTC)
    text = body.decode()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(now_ms // 1000),
        "webhook-signature": " ".join(Webhook(secret).sign(event_id, second, text) for secret in secrets),
    }
