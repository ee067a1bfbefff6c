"""The strength of secrets: repetitive ones are too weak."""

import zlib
from typing import Final

SECRET_DIFFERENT_BYTES_MIN: Final = 6
SECRET_COMPRESSED_BYTES_MIN: Final = 24
"""Bytes of a secret compressed by zlib. 16 random bytes in hex have 34 or more; repetitions have fewer."""


def is_repetitive(secret: bytes) -> bool:
    """Whether the secret repeats a few characters, and so may be guessed."""
    few = len(set(secret)) < SECRET_DIFFERENT_BYTES_MIN
    return few or len(zlib.compress(secret, 9)) < SECRET_COMPRESSED_BYTES_MIN
