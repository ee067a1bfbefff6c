"""What comes from elsewhere: other programs' answers, and files that other versions have written."""

from typing import Final

import msgspec

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec's decoders raise for bytes that can't be read: of another form, not UTF-8, or nested too deep."""
