"""Writes the list of common passwords, which new accounts may not use.

    pip install --target /tmp/lists --no-deps zxcvbn==4.5.0 django==5.2.19
    PYTHONPATH=/tmp/lists python tools/common_passwords.py

Run it by hand, once in years. It joins both packages' lists in one file, with only the entries that are long enough to
be allowed. The service itself needs neither package.
"""

import gzip
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from flashreserve.auth.passwords import PASSWORD_LENGTH_MIN
from flashreserve.auth.weak_passwords import HEAD_END, LIST_FILE

_HEAD = """\
Common passwords, in lower case, of {length} characters or more. Written by tools/common_passwords.py from:
- zxcvbn 4.5.0 (https://github.com/dwolfhub/zxcvbn-python), frequency_lists.py; MIT licence,
  Copyright (c) 2012-2016 Dan Wheeler and Dropbox, Inc.
- Django 5.2.19 (https://github.com/django/django), contrib/auth/common-passwords.txt.gz, a list by Royce Williams;
  BSD 3-clause licence, Copyright (c) Django Software Foundation and individual contributors.
"""


def _listed() -> set[str]:
    spec = find_spec("zxcvbn.frequency_lists")
    if spec is None or spec.loader is None:
        raise SystemExit("zxcvbn is missing; the top of this file says how to install it")
    lists = __import__("zxcvbn.frequency_lists", fromlist=["FREQUENCY_LISTS"])
    packed = files("django.contrib.auth").joinpath("common-passwords.txt.gz").read_bytes()
    return {*lists.FREQUENCY_LISTS["passwords"], *gzip.decompress(packed).decode().split("\n")}


def main() -> None:
    """Write the file."""
    chosen = sorted(word for word in _listed() if len(word) >= PASSWORD_LENGTH_MIN and word == word.strip().casefold())
    text = _HEAD.format(length=PASSWORD_LENGTH_MIN).rstrip() + HEAD_END + "".join(f"{word}\n" for word in chosen)
    Path(str(LIST_FILE)).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
