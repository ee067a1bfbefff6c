"""Watching a rehearsal in the browser: where to look, and the time to do so before and after the crowd."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

OPENS_IN_S: Final = 15.0
"""From printing the addresses to the opening of the sale: time enough to open the pages, and to see the countdown."""


_OPEN_S: Final = 10.0
"""The longest time that a browser gets to open a page."""


class SignIn(msgspec.Struct, frozen=True):
    """The e-mail address and the password of an account of a fresh shop."""

    email: str
    password: str


class Watch(msgspec.Struct, frozen=True):
    """Lets somebody watch.

    `tell` shows a line of text, `open_page` opens an address in the browser if there is one, and `go_on` waits until
    the person has seen enough.
    """

    tell: Callable[[str], None]
    go_on: Callable[[], Awaitable[None]]
    open_page: Callable[[str], None]
    opens_in_s: float = OPENS_IN_S

    def begin(self, url: str, product_ids: Sequence[str], sign_in: SignIn) -> None:
        """Tell where to look."""
        storefront = f"{url}/demo/{product_ids[0]}" if len(product_ids) == 1 else f"{url}/demo"
        self.tell(f"Storefront  {storefront}")
        self.tell(f"Console     {url}/admin")
        self.tell(f"            sign in as {sign_in.email} with the password {sign_in.password}")
        self.tell(f"The sale opens in {self.opens_in_s:.0f} s.")
        self.open_page(storefront)
        self.open_page(f"{url}/admin")

    async def end(self) -> None:
        """Wait until the person has seen enough."""
        self.tell("The crowd has gone. Look around; press Enter to end the shop, to audit it, and to read the verdict.")
        await self.go_on()


async def enter_pressed() -> None:
    """Return once a line, or the end of the input, can be read from standard input.

    A file or `/dev/null` counts as read at once.
    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(sys.stdin.fileno(), ready.set)
    except (OSError, ValueError):
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())


def open_page(url: str) -> None:
    """Open the address in a graphical browser, if there is one: a browser in the terminal would hide the progress.

    By a process of its own, because browsers write lines of their own to the standard output, which is for the verdict.
    """
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        command, nowhere = [sys.executable, "-P", "-m", "webbrowser", url], subprocess.DEVNULL
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, timeout=_OPEN_S, check=False)  # noqa: S603
