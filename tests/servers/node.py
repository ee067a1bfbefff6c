"""Node, which runs the JavaScript of the docs."""

import re
import shutil
import subprocess
from typing import Final

import pytest

_MAJOR_MIN: Final = 20
"""The first version with everything that the docs use."""


def require_node() -> str:
    """The path of Node. Without it, or with an older version, the test is skipped."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no node on this machine: apt-get install nodejs")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    number = re.match(r"v(\d+)\.", version)
    if number is None or int(number[1]) < _MAJOR_MIN:
        pytest.skip(f"node is {version} on this machine, and the docs need {_MAJOR_MIN} or later")
    return found
