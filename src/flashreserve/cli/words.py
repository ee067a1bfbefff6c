"""Numbers in sentences."""

from flashreserve.core.words import counted

__all__ = ["counted"]
