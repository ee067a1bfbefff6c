"""A rehearsal that is watched in the browser: the pages are right at the end, and cost the server little."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from playwright.async_api import Browser, Page, expect
from tests.browser.conftest import fresh_context

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(300)]

LOAD_MAX: Final = 0.02
"""The share of a processor that the console may take in the server."""

_MEASURED_S: Final = 5.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class WatchedRehearsal(NamedTuple):
    """A rehearsal that runs: where to look, and the process of its server."""

    process: asyncio.subprocess.Process
    storefront: str
    console: str
    email: str
    password: str
    server_pid: int

    async def line_with(self, text: str) -> str:
        """The next line of its progress that has this text."""
        assert self.process.stderr is not None
        return await _line_with(self.process.stderr, text)

    async def verdict(self) -> Any:
        """Press Enter. Returns the verdict."""
        out, said = await self.process.communicate(b"\n")
        assert self.process.returncode == 0, said.decode()
        return json.loads(out)

    async def load(self) -> float:
        """The share of a processor that the server takes, over some seconds."""
        before = self._processor_s()
        await asyncio.sleep(_MEASURED_S)
        return (self._processor_s() - before) / _MEASURED_S

    def _processor_s(self) -> float:
        """Seconds of processor time that the server has used."""
        fields = Path(f"/proc/{self.server_pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


async def _line_with(reader: asyncio.StreamReader, text: str) -> str:
    async with asyncio.timeout(120):
        while line := (await reader.readline()).decode():
            if text in line:
                return line.strip()
    raise AssertionError(f"it ended before it printed {text!r}")


@asynccontextmanager
async def watched(*options: str) -> AsyncIterator[WatchedRehearsal]:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "flashreserve", "rehearse", "--watch", "--json", *options)
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stderr is not None
    try:
        storefront = (await _line_with(process.stderr, "Storefront")).split()[1]
        console = (await _line_with(process.stderr, "Console")).split()[1]
        sign_in = re.search(r"as (\S+) with the password (\S+)", await _line_with(process.stderr, "sign in"))
        assert sign_in is not None
        yield WatchedRehearsal(process, storefront, console, sign_in[1], sign_in[2], _server_of(process.pid))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _server_of(pid: int) -> int:
    """The process id of the server that the rehearsal with this process id has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (server,) = [
        int(child) for child in children if b"serve" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    ]
    return server


async def units(page: Page) -> dict[str, int]:
    """The units of the first sale, as the console says them."""
    text = await page.locator("main").inner_text()
    found = re.search(r"([\d,]+) available\s+([\d,]+) held\s+([\d,]+) sold", text)
    assert found is not None, text
    return dict(
        zip(("available", "held", "sold"), (int(each.replace(",", "")) for each in found.groups()), strict=True)
    )


async def settled_units(page: Page) -> dict[str, int]:
    """The units as the console says them, once they are those of a shop in which nothing is held and nothing moves.

    The overview is up to two seconds old, and follows the books of the shop.
    """
    product_id = (await page.locator("main a[href*='/demo/']").first.get_attribute("href") or "").rpartition("/")[2]
    figures_of = f"{page.url.partition('/admin')[0]}/products/{product_id}/figures"
    async with asyncio.timeout(30):
        while True:
            answer = await page.request.get(figures_of)
            figures = {name: (await answer.json())[name] for name in ("available", "held", "sold")}
            shown = await units(page)
            if shown == figures and not shown["held"]:
                return shown
            await asyncio.sleep(0.1)


async def test_the_pages_are_right_at_the_end_of_a_crowd_of_five_thousand_and_cost_the_server_little(
    browser: Browser,
) -> None:
    async with watched("--demo") as rehearsal, fresh_context(browser) as context:
        console, storefront = await context.new_page(), await context.new_page()
        await storefront.goto(rehearsal.storefront)
        await expect(storefront.locator("main")).to_have_attribute("data-state", re.compile("before|opening|open"))
        await console.goto(rehearsal.console)
        await console.get_by_label("E-mail address").fill(rehearsal.email)
        await console.get_by_label("Password").fill(rehearsal.password)
        await console.get_by_role("button", name="Sign in").click()
        await expect(console.get_by_role("heading", level=1)).to_have_text("Today")
        await expect(storefront.locator("main")).to_have_attribute("data-state", "sold-out", timeout=60_000)

        await rehearsal.line_with("The crowd has gone")
        shown = await settled_units(console)
        await expect(storefront.locator("main")).to_have_attribute("data-available", str(shown["available"]))
        left = int(await storefront.locator("main").get_attribute("data-available") or "-1")
        await storefront.close()
        load = await rehearsal.load()
        await console.close()
        load -= await rehearsal.load()
        print(f"the console takes {load:.2%} of a processor in the server")  # noqa: T201 - shown by `pytest -rP`
        verdict = await rehearsal.verdict()

    assert verdict["passed"]
    assert shown == {"available": verdict["available"], "held": 0, "sold": verdict["confirmed"]}
    assert left == verdict["available"]
    assert verdict["audit"]["report"]["clean"]
    assert shown["available"] + shown["sold"] == verdict["units"]
    assert load < LOAD_MAX
