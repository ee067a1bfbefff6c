"""Secrets with too little in them."""

import zlib
from typing import Final

SECRET_DIFFERENT_BYTES_MIN: Final = 6
SECRET_COMPRESSED_BYTES_MIN: Final = 24
"""Bytes that zlib makes of a secret, at the least: repetitions make fewer, and 16 random bytes in hex 34 or more."""


def is_repetitive(secret: bytes) -> bool:
    """Whether the secret repeats the same few characters, so that somebody may guess it."""
    few = len(set(secret)) < SECRET_DIFFERENT_BYTES_MIN
    return few or len(zlib.compress(secret, 9)) < SECRET_COMPRESSED_BYTES_MIN
