"""What a test hears and sees of a page besides its content: errors, requests to other hosts, and faults of access."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Dialog, Page, Request

_AXE: Final = Path(__file__).with_name("vendor") / "axe.min.js"

_REFUSED: Final = re.compile(r"Failed to load resource: (the server responded with a status of (4|503)|net::ERR_)")
"""Chromium's own line about a refusal or a lost connection, which the page then shows in words."""

_FAULTS: Final = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
}"""
_WIDER: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class WatchedPage:
    """A page of the service at `url`. `errors` and `strangers` must stay empty."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    """What the browser's console says is wrong, apart from refusals and lost connections; and alerts."""
    strangers: list[str] = field(default_factory=list)
    """Requests to other hosts."""

    def watch(self) -> None:
        """Begin to record errors and strangers."""
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._see)
        self.page.on("dialog", self._alert)

    async def check_faults(self) -> None:
        """Check that axe-core finds nothing serious or critical."""
        if not await self.page.evaluate("'axe' in window"):
            # The page's policy forbids scripts of other sources, and lets the browser's own tools evaluate.
            await self.page.evaluate(_AXE.read_text(encoding="utf-8"))
        faults = await self.page.evaluate(_FAULTS)
        assert faults == [], faults

    async def check_width(self) -> None:
        """Check that nothing is wider than the window."""
        assert await self.page.evaluate(_WIDER) <= 0

    def check_quiet(self) -> None:
        """Check that nothing has gone wrong, and that no other host was asked."""
        assert self.errors == [], self.errors
        assert self.strangers == [], self.strangers

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not _REFUSED.match(message.text):
            self.errors.append(message.text)

    def _see(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.strangers.append(request.url)

    async def _alert(self, dialog: Dialog) -> None:
        self.errors.append(f"an alert: {dialog.message}")
        await dialog.dismiss()
