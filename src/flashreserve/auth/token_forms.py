"""The forms of bearer tokens, by which they are told apart before anything is checked.

Apart from the modules that check them, because the settings need these forms and not the libraries for signatures.
"""

import re
from typing import Final

API_KEY_PREFIX: Final = "frk_"
_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")


def may_be_metrics_token(text: str) -> bool:
    """Whether the text hasn't the form of a JWT or an API key. Those identify users, and no metrics token is like them.

    So a user's token that is refused isn't counted as a guess.
    """
    return not text.startswith(API_KEY_PREFIX) and _JWT.fullmatch(text) is None
