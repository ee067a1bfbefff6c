"""The section `browser`: the time from a grant to the changed number in a visitor's browser.

Units are reserved one after the other, at random intervals, while Chromium shows the product in the storefront. The
time counts from the reservation's `createdAt` to the change in the page, on one machine and so by one clock.
"""

import random
import time
from contextlib import ExitStack
from typing import Any, Final

from bench.backends import Servers
from bench.figures import CaseFigures, Section
from bench.load import Result
from bench.sections import BenchPlan, begin
from bench.shops import STOCK, BenchShop
from playwright.sync_api import Page, sync_playwright
from tests.browser.conftest import FLAGS
from tests.servers.proxies import require

from bench import shops

CASE: Final = "SQLite"
_SECONDS_MIN: Final = 20.0
_PAUSES_S: Final = (0.05, 0.45)
_WATCH: Final = """() => {
    window.seen = {};
    const main = document.querySelector('main');
    new MutationObserver(() => { window.seen[main.dataset.available] ??= Date.now(); })
        .observe(main, { attributes: true, attributeFilter: ['data-available'] });
}"""


def measure_browser(plan: BenchPlan, servers: Servers) -> Section:
    """The time until a visitor sees a grant."""
    del servers
    plan = plan._replace(seconds=max(_SECONDS_MIN, plan.seconds))
    section = begin(plan)
    directory = plan.directory / "browser"
    directory.mkdir()
    with ExitStack() as stack:
        shop = stack.enter_context(shops.embedded(directory))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=list(FLAGS))
        stack.callback(browser.close)
        section.conditions["browser"] = f"Chromium {browser.version}"
        page = browser.new_page()
        page.goto(f"{shop.base}/demo/{shop.stock.split('/')[2]}")
        page.wait_for_selector("main[data-state=open]")
        page.evaluate(_WATCH)
        left, rounds = STOCK, []
        for _ in range(plan.rounds):
            result, left = _round(shop, page, plan.seconds, left)
            rounds.append(result)
        section.cases[CASE] = CaseFigures(CASE, 1, rounds=rounds)
    return section


def _round(shop: BenchShop, page: Page, seconds: float, left: int) -> tuple[Result, int]:
    """Reserve for so many seconds, and then look when the page showed each number. Returns the units left, too.

    Numbers that were left out, because the next change came within the same event, count from the first later one.
    """
    granted_ms: dict[int, float] = {}
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        answer: Any = shops.post(
            shop.base + shop.posts[0], {"quantity": 1}, shop.tokens[len(granted_ms) % len(shop.tokens)]
        )
        left -= 1
        granted_ms[left] = shops.instant_ms(answer["createdAt"])
        time.sleep(random.uniform(*_PAUSES_S))
    page.wait_for_selector(f"main[data-available='{left}']")
    seen = {int(number): float(at) for number, at in page.evaluate("window.seen").items()}
    took = [min(at for number, at in seen.items() if number <= wanted) - since for wanted, since in granted_ms.items()]
    ordered = sorted(took)
    half, most = (ordered[len(ordered) * part // 100] for part in (50, 99))
    return Result(len(took) / seconds, half, most, answers=len(took), refused=0, errors=0), left
