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
    except KeyboardInterrupt:  # After the command's end; until then, `failures.ended` says how it ends.
        sys.exit(interrupts.exit_code)
    finally:
        interrupts.ignore_for_good()


def _run() -> None:
    # All imported while signals are held; the command line, which takes half a second, once the streams are ready.
    from flashreserve.cli.streams import prepare_streams  # noqa: PLC0415
    from flashreserve.files import OWNER_ALONE_MASK  # noqa: PLC0415

    os.umask(OWNER_ALONE_MASK)
    prepare_streams()

    from flashreserve.cli.main import flashreserve  # noqa: PLC0415

    flashreserve.main(prog_name="flashreserve")


if __name__ == "__main__":
    main()
