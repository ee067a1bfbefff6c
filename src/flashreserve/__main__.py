"""The entry point of the `flashreserve` command, and of `python -m flashreserve`."""

import os
import sys

from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.lifeline import lifeline


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    try:
        interrupts.watch()
        interrupts.hold()
        lifeline.watch(sys.argv)
        _run()
    except KeyboardInterrupt:  # The command has ended; before that, `failures.ended` handles it.
        sys.exit(interrupts.exit_code)
    finally:
        interrupts.ignore_for_good()


def _run() -> None:
    # Imports happen while signals are held. The command line takes half a second to import: the streams come first.
    from flashreserve.cli.streams import prepare_streams  # noqa: PLC0415
    from flashreserve.files import OWNER_ALONE_MASK  # noqa: PLC0415

    os.umask(OWNER_ALONE_MASK)
    prepare_streams()

    from flashreserve.cli.main import flashreserve  # noqa: PLC0415

    flashreserve.main(prog_name="flashreserve")


if __name__ == "__main__":
    main()
