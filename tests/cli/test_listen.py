"""`flashreserve listen`: live events on the terminal, and forwarded to a program on the developer's machine."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import apsw
import msgspec
import pytest
from msgspec.structs import replace
from tests.cli.conftest import KEYS, CommandShop
from tests.core.examples import CUP, HAT, NOON, a_product
from tests.webhooks.conftest import MakeReceiver, make_receiver
from tests.webhooks.receiver import ReceiverPlan
from typing_extensions import override

from flashreserve.cli.listen import _Listening
from flashreserve.http.event_schemas import EventView
from flashreserve.service.live_events import LiveEvents
from flashreserve.settings import Settings
from flashreserve.stores.memory import MemoryStore
from flashreserve.stores.port import StoreUnavailableError

__all__ = ["make_receiver"]

WAIT_S = 30.0
SHOWN_S_MAX = 1.0
SIGNING = {"FLASHRESERVE_SECRET_KEYS": KEYS}


class ListenProcess:
    """A running `flashreserve listen`."""

    def __init__(self, shop: CommandShop, *options: str) -> None:
        self.out, self.err = shop.directory / "listen.out", shop.directory / "listen.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flashreserve", "listen", *options],
                cwd=shop.directory,
                env={**shop.environment, **SIGNING},
                stdout=out,
                stderr=err,
            )
        self.until(lambda: "Ctrl-C ends it" in self.said())

    def said(self) -> str:
        return self.err.read_text()

    def lines(self) -> list[str]:
        return self.out.read_text().splitlines()

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait for the condition."""
        end = time.monotonic() + WAIT_S
        while not reached():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < end, self.said()
            time.sleep(0.01)

    def shown(self, count: int) -> list[str]:
        """The lines, once there are so many."""
        self.until(lambda: len(self.lines()) >= count)
        return self.lines()

    def secret(self) -> str:
        """The secret of the receiver, once it is printed."""
        self.until(lambda: "whsec_" in self.said())
        return str(re.findall(r"whsec_\S+", self.said())[0])

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


Listen = Callable[..., ListenProcess]


@pytest.fixture
def listen(shop: CommandShop) -> Iterator[Listen]:
    started: list[ListenProcess] = []

    def start(*options: str) -> ListenProcess:
        started.append(ListenProcess(shop, *options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def product(shop: CommandShop) -> str:
    """A product that was made before anybody listens."""
    return shop.stock(external_id="IP15")


def pause(shop: CommandShop, product: str) -> None:
    assert shop.run("pause", product, "--reason", "a fault").code == 0


def resume(shop: CommandShop, product: str) -> None:
    assert shop.run("resume", product).code == 0


@pytest.mark.alone
def test_each_event_from_now_on_is_shown_within_a_second(shop: CommandShop, product: str, listen: Listen) -> None:
    listening = listen()
    took_s = []
    for number in range(1, 6):
        pause(shop, product) if number % 2 else resume(shop, product)
        done_s = time.monotonic()
        listening.shown(number)
        took_s.append(time.monotonic() - done_s)

    assert max(took_s) < SHOWN_S_MAX
    first = listening.lines()[0].split()
    assert first[1:] == ["product.paused", f"{product}-2", "admin", "a", "fault", "(IP15)"]


def test_it_writes_nothing_to_the_database(shop: CommandShop, product: str, listen: Listen) -> None:
    connection = apsw.Connection(str(shop.settings.sqlite_path))
    listening = listen()
    pause(shop, product)
    before = connection.pragma("data_version")
    listening.shown(1)
    assert listening.end() == 0

    assert connection.pragma("data_version") == before
    connection.close()


def test_json_lines_are_events_of_the_wanted_types(shop: CommandShop, product: str, listen: Listen) -> None:
    listening = listen("--json", "--type", "product.resumed", "--type", "product.stocked")
    for _ in range(2):
        pause(shop, product)
        resume(shop, product)

    events: list[Any] = [msgspec.json.decode(line) for line in listening.shown(2)]
    for event in events:
        msgspec.convert(event, EventView)
    assert [(event["type"], event["sequence"]) for event in events] == [("product.resumed", 3), ("product.resumed", 5)]


def test_events_are_forwarded_signed_in_order_and_with_those_before(
    shop: CommandShop, product: str, listen: Listen, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver()
    listening = listen("--forward", receiver.url, "--type", "product.paused", "--type", "product.created")
    receiver.take(ReceiverPlan(secrets=(listening.secret(),)))
    pause(shop, product)
    resume(shop, product)
    other = shop.stock()
    pause(shop, product)

    receipts = receiver.wait_for(lambda found: len(found) == 3)
    assert [(each.verified, each.fresh, each.path) for each in receipts] == [(0, True, "/hook")] * 3
    assert [(each.subject, each.sequence, each.previous) for each in receipts] == [
        (product, 2, None),
        (other, 1, None),
        (product, 4, 2),
    ]
    assert [each.id for each in receipts] == [f"{product}-2", f"{other}-1", f"{product}-4"]
    listening.until(lambda: listening.said().count("204 in ") == 3)


def test_the_secret_is_the_same_each_time(product: str, listen: Listen, make_receiver: MakeReceiver) -> None:
    receiver = make_receiver()
    secrets = set()
    for _ in range(2):
        listening = listen("--forward", receiver.url)
        secrets.add(listening.secret())
        listening.end()
    assert len(secrets) == 1


def test_a_receiver_that_is_down_stops_nothing_and_gets_the_event_when_it_is_back(
    shop: CommandShop, product: str, listen: Listen, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver()
    receiver.stop()
    listening = listen("--forward", receiver.url)
    pause(shop, product)
    listening.until(lambda: "no connection" in listening.said())
    resume(shop, product)
    assert len(listening.shown(2)) == 2
    receiver.start()

    receipts = receiver.wait_for(lambda found: len(found) == 2)
    assert [each.sequence for each in receipts] == [2, 3]
    assert "try 1 of 4, again in 1 s" in listening.said()


def test_a_slow_receiver_delays_no_line_and_the_backlog_is_told(
    shop: CommandShop, product: str, listen: Listen, make_receiver: MakeReceiver
) -> None:
    receiver = make_receiver(ReceiverPlan(hang_s=10.0))
    listening = listen("--forward", receiver.url)
    shop.settings = replace(shop.settings, events_grants=True)
    shop.reserve_many(shop.stock(units=150), 150)

    listening.shown(151)
    listening.until(lambda: re.search(r"Behind: 1\d\d events wait", listening.said()) is not None)
    assert listening.end() == 0
    assert "Not forwarded: 151 events." in listening.said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("forwarding", [False, True])
def test_a_signal_ends_it_cleanly(
    product: str, listen: Listen, make_receiver: MakeReceiver, number: signal.Signals, *, forwarding: bool
) -> None:
    listening = listen(*(["--forward", make_receiver().url] if forwarding else []))
    assert listening.end(number) == 0
    assert len(listening.said().splitlines()) == 2 + forwarding


class VanishingStore(MemoryStore):
    """A store that is away whenever it is asked for the last place, but for the first time."""

    asked = 0

    @override
    async def last_place(self) -> int:
        self.asked += 1
        if self.asked > 1:
            raise StoreUnavailableError("away")
        return await super().last_place()


async def test_what_was_read_is_shown_though_the_database_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flashreserve.service.live_events.PAGE_MAX", 1)
    store = VanishingStore()
    live = LiveEvents(store, ())
    await live.begin(NOON)
    await store.add_products([a_product(), a_product(HAT)])
    listening = _Listening(Settings(), [], lambda event: event.id)
    for _ in range(2):
        await listening._look(live, None)
    assert capsys.readouterr().out.split() == [f"{CUP}-1", f"{HAT}-1"]


def test_a_replaced_database_ends_it(shop: CommandShop, product: str, listen: Listen) -> None:
    listening = listen()
    shop.settings.sqlite_path.rename(shop.directory / "elsewhere.db")
    assert listening.process.wait(WAIT_S) == 1
    assert "the database file was removed or replaced" in listening.said()


@pytest.mark.parametrize(
    ("options", "environment", "said"),
    [
        (("--type", "product.sold"), {}, "'product.sold' is not one of"),
        (("--forward", "localhost:4000/hook"), {}, "--forward: expected a URL such as http://localhost:4000/hook"),
        (("--forward", "http://169.254.169.254/"), {}, "--forward: expected a public address"),
        (
            ("--forward", "http://localhost:4000/hook"),
            {"FLASHRESERVE_ENV": "production", **SIGNING},
            "FLASHRESERVE_ENV: expected development with --forward",
        ),
    ],
)
def test_invalid_options_of_listen_are_refused(
    shop: CommandShop, product: str, options: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    shop.settings.data_dir.chmod(0o700)
    ended = shop.run("listen", *options, **environment)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())
