"""Chromium, driven by Playwright: one browser for each file, in which tests open contexts of their own."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright
from tests.servers.proxies import require

PATIENCE_MS: Final = 60_000

FLAGS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    # All names are this machine, so tests can use any host, and nothing leaves the machine.
    "--host-resolver-rules=MAP * 127.0.0.1",
)

_THIRD_PARTY_COOKIES_ALLOWED: Final = json.dumps({"profile": {"cookie_controls_mode": 0}})
"""The preferences of a user who allows cookies of other sites. In a new profile, Chromium 156 blocks them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Debian's Chromium. Playwright's own browser is neither needed nor fetched."""
    async with open_browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@asynccontextmanager
async def open_browser(profile: Path) -> AsyncIterator[Browser]:
    """Debian's Chromium with this profile, a directory that may not exist yet."""
    program = require("chromium")
    (profile / "Default").mkdir(parents=True)
    (profile / "Default" / "Preferences").write_text(_THIRD_PARTY_COOKIES_ALLOWED)
    async with async_playwright() as playwright:
        # Contexts take over the preferences of the browser's own profile, which only this way of starting it can set.
        main = await playwright.chromium.launch_persistent_context(
            profile, executable_path=program, args=FLAGS, timeout=PATIENCE_MS
        )
        assert main.browser is not None
        yield main.browser
        await main.close()


@asynccontextmanager
async def fresh_context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Somebody's browser: its pages share cookies and cache, which are empty at first. It accepts any certificate."""
    context = await browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    await context.close()
