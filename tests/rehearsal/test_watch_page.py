"""Opening a page in the browser."""

import asyncio
import stat
from pathlib import Path

import pytest

from flashreserve.rehearsal.watch import open_page


async def test_a_browser_that_is_opened_does_not_write_to_the_output_that_has_the_verdict(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    opened, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\necho Opening in existing browser session.\necho $1 > {opened}\n")
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("BROWSER", f"{browser} %s &")
    monkeypatch.setenv("DISPLAY", ":0")
    open_page("http://localhost/demo")
    async with asyncio.timeout(10):
        while not opened.exists():  # noqa: ASYNC110 - the browser sets no event
            await asyncio.sleep(0.05)
    assert capfd.readouterr().out == ""
