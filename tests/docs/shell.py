"""Runs a page's commands as a reader would: in a folder of their own, without any FlashReserve setting in the shell."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def run_as_reader(
    script: str, *, folder: Path, port: str, timeout_s: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run the script with bash, and return its output. Its servers use `port`.

    Raises:
        AssertionError: it failed; the message has the output.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("FLASHRESERVE_")}
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607 - whichever bash the reader has
        cwd=folder,
        env={**own, "FLASHRESERVE_PORT": port, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
