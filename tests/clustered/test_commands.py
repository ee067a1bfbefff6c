"""The commands on a cluster's database."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from tests.clustered.conftest import Cluster
from tests.core.examples import ANN, CUP, NOON, a_product
from tests.rehearsal.test_rehearse_command import run
from tests.servers.mongodb import free_port
from tests.servers.valkey import MakeValkey

from flashreserve.bootstrap import open_books, open_store
from flashreserve.cli.main import flashreserve
from flashreserve.core.model import Units
from flashreserve.core.outcomes import Reserved
from flashreserve.jobs.relay import relay_once
from flashreserve.service.events import EventService
from flashreserve.stores.filters import EventFilter

pytestmark = pytest.mark.mongodb

PHONES = "name,price,stockQuantity\nPhone,999.99,10\nCase,9.99,20\n"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(cluster: Cluster, *args: str, stdin: str = "", **changes: str) -> Any:
    return CliRunner().invoke(flashreserve, args, input=stdin, env={**cluster.environment, **changes})


def verdicts(out: str) -> list[tuple[str, str]]:
    lines = [line.split() for line in out.splitlines()]
    return [(words[1], words[0]) for words in lines if words[0] in {"ok", "warn", "fail"}]


def test_products_go_in_and_everything_comes_out_and_the_books_balance(cluster: Cluster) -> None:
    assert (
        "Made 2 products, changed 0, left 0 unchanged.\n"
        in command(cluster, "products", "import", "-", stdin=PHONES).output
    )
    listed = command(cluster, "products", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in listed] == ["Phone", "Case"]
    audit = command(cluster, "audit", "--json")
    assert (audit.exit_code, json.loads(audit.stdout)["products"]) == (0, 2)
    assert command(cluster, "reservations", "export").exit_code == 0
    assert command(cluster, "sweep").stdout == "Released 0 lapsed holds.\n"
    assert command(cluster, "recover").stdout == "Settled 0 unfinished stock movements.\n"
    assert command(cluster, "forget-events").stdout == "Deleted 0 events.\n"


def test_sales_are_paused_and_the_trail_tells_of_it(cluster: Cluster) -> None:
    command(cluster, "products", "import", "-", stdin=PHONES)
    assert command(cluster, "pause", "--all", "--reason", "a fault").stdout == (
        "Paused all sales. No reservation is under way any more.\n"
    )
    listed = [json.loads(line) for line in command(cluster, "products", "list", "--json").stdout.splitlines()]
    assert [product["pauseReason"] for product in listed] == ["a fault"] * 2
    assert command(cluster, "resume", "--all").stdout == "Resumed all sales.\n"

    assert command(cluster, "relay").stdout == "Logged the events of 2 subjects.\n"
    for product in listed:
        told = command(cluster, "trail", "--json", "--subject", product["id"]).stdout.splitlines()
        assert [json.loads(line)["type"] for line in told] == ["product.created", "product.paused", "product.resumed"]
    assert command(cluster, "relay").stdout == "Logged the events of 0 subjects.\n"


@pytest.mark.parametrize("grants", [True, False])
async def test_grants_are_logged_if_the_setting_is_on(cluster: Cluster, *, grants: bool) -> None:
    store = await open_store(replace(cluster.settings, events_grants=grants), create=True)
    async with open_books(store) as books:
        await store.add_products([a_product()])
        granted = await books.reservations.reserve(ANN, [Units(CUP, 1)], None)
        assert isinstance(granted, Reserved)
        await relay_once(store, NOON)
        logged = await store.events(EventFilter(subject_id=granted.reservation.id), 0, 10)
        assert [each.event.type.value for each in logged.events] == (["reservation.created"] if grants else [])
        shown = await EventService(store).trail(EventFilter(subject_id=granted.reservation.id), None, 10)
        assert [event.type.value for event in shown.events] == ["reservation.created"]


def test_an_admin_is_made_and_gets_tokens(cluster: Cluster) -> None:
    made = command(cluster, "admin", "create", "a@example.com", "--password-stdin", stdin="a good password\n")
    assert made.exit_code == 0, made.output
    assert command(cluster, "token", "--role", "admin", "--email", "a@example.com").exit_code == 0


def test_a_leak_is_found(cluster: Cluster) -> None:
    command(cluster, "products", "import", "-", stdin=PHONES)
    with cluster.client() as client:
        client[cluster.database].products.update_one({"name": "Phone"}, {"$inc": {"available": -3}})
    audit = command(cluster, "audit")
    assert audit.exit_code == 1
    assert "leaked" in audit.stdout


@pytest.mark.parametrize("read", [("audit",), ("products", "list"), ("reservations", "export")])
def test_reading_never_makes_a_database(cluster: Cluster, read: tuple[str, ...]) -> None:
    ended = command(cluster, *read)
    assert ended.exit_code != 0
    assert "index" in ended.stderr
    with cluster.client() as client:
        assert cluster.database not in client.list_database_names()


def test_doctor_looks_at_both_servers(cluster: Cluster) -> None:
    command(cluster, "products", "import", "-", stdin=PHONES)
    ended = command(cluster, "doctor", FLASHRESERVE_PORT=str(free_port()))
    assert ended.exit_code == 0, ended.output
    assert ("database", "ok") in verdicts(ended.stdout)
    assert ("redis", "ok") in verdicts(ended.stdout)
    assert ("indexes", "fail") not in verdicts(ended.stdout)


def test_a_redis_that_is_away_or_evicts_is_a_warning(cluster: Cluster, own_valkey: MakeValkey) -> None:
    command(cluster, "products", "import", "-", stdin=PHONES)
    evicting = command(cluster, "doctor", FLASHRESERVE_REDIS_URL=own_valkey(policy="allkeys-lru").url)
    away = command(cluster, "doctor", FLASHRESERVE_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    none = command(cluster, "doctor", FLASHRESERVE_REDIS_URL="")
    for ended, seen in ((evicting, "allkeys-lru"), (away, "doesn't answer"), (none, "each process counts")):
        assert ended.exit_code == 0, ended.output
        assert ("redis", "warn") in verdicts(ended.stdout)
        assert seen in ended.stdout


def test_a_database_that_is_away_or_lacks_an_index_is_a_failure(cluster: Cluster) -> None:
    command(cluster, "products", "import", "-", stdin=PHONES)
    with cluster.client() as client:
        client[cluster.database].reservations.drop_index("claims")
    lacking = command(cluster, "doctor")
    away = command(cluster, "doctor", FLASHRESERVE_STORE=f"mongodb://127.0.0.1:{free_port()}/db")
    assert (lacking.exit_code, away.exit_code) == (1, 1)
    assert ("indexes", "fail") in verdicts(lacking.stdout)
    assert ("database", "fail") in verdicts(away.stdout)


@pytest.mark.parametrize("words", [("serve", "--port", "0"), ("worker",), ("serve", "--port", "0", "--workers", "2")])
def test_a_database_that_is_away_at_the_start_is_told(cluster: Cluster, words: tuple[str, ...]) -> None:
    ended = command(cluster, *words, FLASHRESERVE_STORE=f"mongodb://127.0.0.1:{free_port()}/db")
    assert ended.exit_code != 0
    assert "database" in ended.stderr


@pytest.mark.slow
async def test_a_rehearsal_starts_all_of_a_cluster_and_clears_it_away(tmp_path: Path) -> None:
    crowd = ("--customers", "300", "--units", "60", "--seconds", "2", "--hold-seconds", "2", "--wait-expiry", "--json")
    code, out, err = await run("--engine", "clustered", *crowd, TMPDIR=str(tmp_path))
    verdict = json.loads(out)
    assert (code, verdict["passed"]) == (0, True), err
    assert verdict["audit"]["clean"] is True
    assert verdict["lapsed"] > 0
    assert await asyncio.to_thread(os.listdir, tmp_path) == []


def test_doctor_tells_what_cannot_be_read_and_what_nobody_releases(cluster: Cluster) -> None:
    command(cluster, "products", "import", "-", stdin=PHONES)
    bad = {"_id": "bad", "status": "REFUNDED", "user_id": "u", "claims": []}
    due = {"_id": "due", "status": "PENDING", "user_id": "u", "claims": [], "lines": [{}], "expires_at": 1}
    with cluster.client() as client:
        client[cluster.database].reservations.insert_many([bad, due])
    ended = command(cluster, "doctor", FLASHRESERVE_PORT=str(free_port()))
    assert ended.exit_code == 1, ended.output
    assert {("documents", "fail"), ("sweep", "warn")} <= set(verdicts(ended.stdout))
    assert "such as bad" in ended.stdout
    assert "1970-01-01T00:00:00.001Z isn't released" in ended.stdout


def test_endpoints_are_managed_delivered_to_and_checked(cluster: Cluster) -> None:
    command(cluster, "products", "import", "-", stdin=PHONES)
    free = {"FLASHRESERVE_PORT": str(free_port())}
    assert command(cluster, "webhooks", "add", "https://127.0.0.1/hooks").exit_code == 2
    added = command(cluster, "webhooks", "add", "http://127.0.0.1:9/hooks", FLASHRESERVE_WEBHOOK_NETWORKS="127.0.0.1")
    id_ = added.stdout.split()[1].rstrip(".")
    assert command(cluster, "deliver").stdout == "Delivered 0 events.\n"
    failing = command(cluster, "doctor", **free)
    command(cluster, "webhooks", "disable", id_)
    disabled = command(cluster, "doctor", **free)
    without = command(
        cluster, "doctor", **free, FLASHRESERVE_SECRET_KEYS="other:another-key-of-32-letters-or-more-it-is"
    )

    assert f"http://127.0.0.1:9 ({id_}) only fails since" in failing.stdout
    assert f"({id_}) is disabled since" in disabled.stdout
    assert (disabled.exit_code, without.exit_code) == (0, 1)
    assert "the key test is gone" in without.stdout


def test_the_audit_names_what_cannot_be_read_and_gives_no_verdict(cluster: Cluster) -> None:
    command(cluster, "products", "import", "-", stdin=PHONES)
    bad = {"_id": "bad", "status": "REFUNDED", "user_id": "u", "claims": []}
    with cluster.client() as client:
        client[cluster.database].reservations.insert_one(bad)
    said, as_json = command(cluster, "audit"), command(cluster, "audit", "--json")
    assert (said.exit_code, as_json.exit_code) == (3, 3), said.output
    assert "1 can't be read" in said.stderr
    assert "reservation bad: " in said.stderr
    found = json.loads(as_json.stdout)
    assert (found["clean"], found["unreadable"], found["differences"]) == (False, 1, [])
    assert found["setAside"][0]["id"] == "bad"


def test_events_are_shown_as_they_happen_also_without_a_server(cluster: Cluster, tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    command(cluster, "products", "import", "-", stdin=PHONES)
    with out.open("wb") as lines, err.open("wb") as said:
        listening = subprocess.Popen(
            [sys.executable, "-m", "flashreserve", "listen", "--json"],
            env={**os.environ, **cluster.environment},
            stdout=lines,
            stderr=said,
        )
    try:
        until(lambda: b"Listening" in err.read_bytes())
        assert command(cluster, "pause", "--all", "--reason", "a fault").exit_code == 0
        until(lambda: out.read_bytes().count(b"\n") == 2)
        listening.send_signal(signal.SIGINT)
        assert listening.wait(30) == 0
    finally:
        listening.kill()
        listening.wait()
    assert [json.loads(line)["type"] for line in out.read_text().splitlines()] == ["product.paused"] * 2


def until(reached: Callable[[], bool]) -> None:
    """Wait for the condition."""
    end = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)
