"""The errors of decoders, for answers of other programs and files of other versions."""

from typing import Final

import msgspec

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All errors of msgspec's decoders: for bytes of another form, not in UTF-8, or nested too deeply."""
