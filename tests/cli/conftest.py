"""A shop in its own directory, and its commands."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from click.testing import CliRunner

from flashreserve.bootstrap import Books, open_books, open_store
from flashreserve.cli.main import flashreserve
from flashreserve.clock import SystemIds
from flashreserve.core.commands import Edit
from flashreserve.core.model import Reservation, Units
from flashreserve.core.outcomes import Edited, Reserved
from flashreserve.service.catalogue import NewProduct, ShownProduct
from flashreserve.settings import Settings
from flashreserve.stores.filters import ALL_PRODUCTS

PASSWORD = "correct horse battery"
T = TypeVar("T")
USER = "01a20b39-4685-7139-95e5-df707f880fb4"
KEYS = "test:command-tests-sign-with-these-letters"


class EndedCommand(msgspec.Struct, frozen=True):
    code: int
    out: str
    err: str


class CommandAnswer(msgspec.Struct, frozen=True):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class CommandShop:
    """The working directory of a shop: its database is in `data`, the default place."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = environment
        self.settings = Settings(data_dir=directory / "data")

    def run(self, *args: str, stdin: str | bytes = "", **environment: str) -> EndedCommand:
        """Run a command inside this process, which saves a second for each."""
        result = CliRunner().invoke(flashreserve, args, input=stdin, env={**environment})
        return EndedCommand(result.exit_code, result.stdout, result.stderr)

    start_words = (sys.executable, "-m", "flashreserve")
    """The first words of a command line."""

    def start(self, *args: str, **environment: str) -> "subprocess.Popen[str]":
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [*self.start_words, *args],
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *args: str, stdin: str = "", **environment: str) -> EndedCommand:
        process = self.start(*args, **environment)
        try:
            out, err = process.communicate(stdin, timeout=60)
        finally:
            process.kill()
        return EndedCommand(process.returncode, out, err)

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*"))

    def stock(self, units: int = 10, hold_s: int = 600, **rules: Any) -> str:
        """Put a product on sale, and return its id."""

        async def make(books: Books) -> str:
            made = await books.catalogue.create(_product(stocked=units, hold_s=hold_s, **rules))
            assert isinstance(made, ShownProduct), made
            return made.product.id

        return self._with_books(make)

    def reserve(self, product_id: str, quantity: int = 1, user_id: str = USER) -> Reservation:
        async def take(books: Books) -> Reservation:
            outcome = await books.reservations.reserve(user_id, [Units(product_id, quantity)], None)
            assert isinstance(outcome, Reserved), outcome
            return outcome.reservation

        return self._with_books(take)

    def archive(self, product_id: str) -> None:
        async def edit(books: Books) -> None:
            outcome = await books.catalogue.edit(Edit(product_id, archived=True))
            assert isinstance(outcome, Edited), outcome

        self._with_books(edit)

    def reserve_many(self, product_id: str, count: int) -> list[Reservation]:
        """Reserve one unit for each of this many customers. The result is in the order of the reservations' ids."""

        async def take(books: Books) -> list[Reservation]:
            wanted = [Units(product_id, 1)]
            outcomes = await asyncio.gather(
                *(books.reservations.reserve(SystemIds().new(), wanted, None) for _ in range(count))
            )
            return sorted(
                (each.reservation for each in outcomes if isinstance(each, Reserved)), key=lambda each: each.id
            )

        found = self._with_books(take)
        assert len(found) == count
        return found

    def available(self) -> dict[str, int]:
        async def read(books: Books) -> dict[str, int]:
            products = [shown.product for shown in (await books.catalogue.search(ALL_PRODUCTS, None, 200)).products]
            return {each.id: each.available for each in products}

        return self._with_books(read)

    def _with_books(self, work: Callable[[Books], Awaitable[T]]) -> T:
        async def run() -> T:
            async with open_books(await open_store(self.settings, create=True)) as books:
                return await work(books)

        return asyncio.run(run())


def _product(**changes: Any) -> NewProduct:
    fields = {
        "name": "iPhone 15",
        "price": 99999,
        "currency": "USD",
        "stocked": 10,
        "sale_starts_at": None,
        "sale_ends_at": None,
        "per_customer_limit": None,
        "hold_s": 600,
        "extensions_max": 0,
    }
    return NewProduct(**{**fields, **changes})


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandShop:
    for name in [each for each in os.environ if each.startswith("FLASHRESERVE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return CommandShop(tmp_path, dict(os.environ))


def entry_of(line: str) -> dict[str, Any]:
    """A line of the log. A child process that can't start logs plain text instead."""
    return dict(json.loads(line)) if line.startswith("{") else {"event": "plain text", "text": line}


class Running:
    """A running server."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.url = self.wait_for("ready").get("url", "")

    def wait_for(self, event: str) -> dict[str, Any]:
        """Read the log up to the line of this event."""
        while self.read_line():
            if self.log[-1]["event"] == event:
                return self.log[-1]
        raise AssertionError(f"no {event!r} in {self.log}")

    def read_line(self) -> bool:
        """Wait for the next line of the log, and read it."""
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        if line:
            self.log.append(entry_of(line))
        return bool(line)

    def connect(self) -> HTTPConnection:
        return HTTPConnection(self.url.removeprefix("http://"), timeout=30)

    def ask(
        self, method: str, path: str, body: object = None, token: str | None = None, **headers: str
    ) -> CommandAnswer:
        connection = self.connect()
        try:
            sent = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
            if token:
                sent["Authorization"] = f"Bearer {token}"
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = connection.getresponse()
            return CommandAnswer(response.status, response.read())
        finally:
            connection.close()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> EndedCommand:
        self.process.send_signal(by)
        out, err = self.process.communicate(timeout=60)
        self.log += [entry_of(line) for line in err.splitlines()]
        return EndedCommand(self.process.returncode, out, err)

    def stop_and_read(self) -> list[dict[str, Any]]:
        """All entries of the log."""
        assert self.stop().code == 0
        return self.log


@pytest.fixture
def serve(shop: CommandShop) -> Iterator[Callable[..., Running]]:
    """Starts `flashreserve serve` (or another command that runs until stopped) and waits until it is ready."""
    started: list[subprocess.Popen[str]] = []

    def begin(*args: str, command: str = "serve", **environment: str) -> Running:
        ports = ("--port", "0") if command == "serve" and "worker" not in args else ()
        process = shop.start(command, *ports, *args, **environment)
        started.append(process)
        return Running(process)

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
