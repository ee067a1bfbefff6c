"""Long commands show their progress if standard error is a terminal."""

import os
import pty
import subprocess
import sys

import pytest
from tests.cli.conftest import CommandShop

from flashreserve.cli import progress as subject


def on_a_terminal(shop: CommandShop, *args: str) -> str:
    """The output of a command whose standard error is a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "flashreserve", *args],
        cwd=shop.directory,
        env={**shop.environment, "TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while more := os.read(ours, 4096):
                shown += more
        except OSError:  # raised when no process has the terminal open any more
            os.close(ours)
        assert process.wait(60) == 0, shown
    return shown.decode()


@pytest.mark.parametrize("command", [("reservations", "export"), ("audit",)])
def test_a_terminal_sees_how_many_are_done_and_the_rate(shop: CommandShop, command: tuple[str, ...]) -> None:
    shop.reserve_many(shop.stock(units=500), 450)

    shown = on_a_terminal(shop, *command)

    assert "450 reservations\x1b" in shown or "450 reservations " in shown
    assert "450 reservations in " in shown
    assert " a second." in shown


@pytest.mark.parametrize("command", [("reservations", "export"), ("audit",)])
def test_where_nobody_watches_a_short_command_is_silent(shop: CommandShop, command: tuple[str, ...]) -> None:
    shop.reserve(shop.stock())

    assert shop.run(*command).err == ""


def test_a_long_command_tells_its_rate_even_where_nobody_watches(
    shop: CommandShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.reserve(shop.stock())
    monkeypatch.setattr(subject, "LONG_S", 0.0)

    ended = shop.run("reservations", "export")

    assert ended.err.startswith("1 reservation in ")
    assert " a second.\n" in ended.err
