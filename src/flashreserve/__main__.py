"""The entry point of the `flashreserve` command, and of `python -m flashreserve`."""

import os
import sys

from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.streams import prepare_streams
from flashreserve.files import OWNER_ALONE_MASK


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    os.umask(OWNER_ALONE_MASK)
    prepare_streams()
    interrupts.watch()
    try:
        # What it imports takes half a second, in which signals are heard as well.
        from flashreserve.cli.main import flashreserve  # noqa: PLC0415
    except KeyboardInterrupt:
        interrupts.ignore()
        sys.stderr.write("Interrupted.\n")
        sys.exit(interrupts.exit_code)
    try:
        flashreserve.main(prog_name="flashreserve")
    finally:
        interrupts.ignore()


if __name__ == "__main__":
    main()
