"""`flashreserve doctor`."""

import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace
from tests.cli.conftest import KEYS, CommandShop

from flashreserve.cli import checks
from flashreserve.cli.checks import CheckResult, Finding
from flashreserve.cli.doctor import summary
from flashreserve.cli.endpoint_checks import BACKLOG_OLD_MS, findings_of
from flashreserve.core.endpoints import DeliveryBacklog, DisabledWhy, Endpoint
from flashreserve.settings import Settings
from flashreserve.stores.sqlite.header import APPLICATION_ID

NOW_MS = 1_795_000_000_000


def verdicts(out: str) -> dict[str, str]:
    lines = [line.split() for line in out.splitlines()]
    return {words[1]: words[0] for words in lines if words[0] in {"ok", "warn", "fail"}}


def finding(found: Iterable[Finding], what: str) -> Finding:
    return next(each for each in found if each.what == what)


@pytest.fixture
def port(shop: CommandShop) -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


def test_an_empty_directory_is_well_and_stays_empty(shop: CommandShop, port: str) -> None:
    ended = shop.run("doctor", FLASHRESERVE_PORT=port)

    assert ended.code == 0, ended.out
    assert set(verdicts(ended.out).values()) <= {"ok", "warn"}
    assert shop.files() == []


def test_a_shop_that_is_well_is_said_to_be(shop: CommandShop, port: str) -> None:
    shop.reserve(shop.stock())
    assert shop.run("admin", "create", "o@example.com", "--password-stdin", stdin="a good password\n").code == 0
    before = shop.settings.sqlite_path.read_bytes()

    ended = shop.run("doctor", FLASHRESERVE_PORT=port)

    seen = verdicts(ended.out)
    assert ended.code == 0, ended.out
    assert {seen[name] for name in ("python", "sqlite", "libraries", "clock", "data", "database", "integrity")} == {
        "ok"
    }
    assert {seen[name] for name in ("journal", "keys", "address")} == {"ok"}
    assert shop.settings.sqlite_path.read_bytes() == before


def test_settings_that_cannot_be_read_are_the_finding(shop: CommandShop) -> None:
    ended = shop.run("doctor", FLASHRESERVE_PORT="no")

    assert ended.code == 1
    assert "fail  settings     FLASHRESERVE_PORT: expected a whole number" in ended.out
    assert "→" in ended.out


@pytest.mark.parametrize(
    ("mode", "env", "secret", "expected"),
    [
        (0o600, "development", True, "ok    issuers      shop (https://shop.example)"),
        (0o644, "development", True, "warn  issuers      issuers.json may be read by others (0644)"),
        (0o644, "production", True, "fail  issuers      issuers.json may be read by others (0644)"),
        (0o644, "development", False, "ok    issuers      shop (https://shop.example)"),
    ],
)
def test_a_secret_of_an_issuer_that_others_may_read_is_found(
    shop: CommandShop,
    port: str,
    mode: int,
    env: str,
    secret: bool,  # noqa: FBT001
    expected: str,
) -> None:
    key = f'"secret": "{"k" * 20}-0123456789-{"q" * 20}"' if secret else '"jwks_url": "https://shop.example/jwks"'
    file = shop.directory / "issuers.json"
    issuer = '{"issuers": [{"name": "shop", "issuer": "https://shop.example", "audience": "flashreserve", KEY}]}'
    file.write_text(issuer.replace("KEY", key))
    file.chmod(mode)

    ended = shop.run(
        "doctor",
        FLASHRESERVE_PORT=port,
        FLASHRESERVE_ISSUERS="issuers.json",
        FLASHRESERVE_ENV=env,
        FLASHRESERVE_SECRET_KEYS=KEYS,
    )

    assert expected in ended.out, ended.out
    assert ("→ run chmod 600 issuers.json" in ended.out) == (not expected.startswith("ok"))


def test_a_damaged_database_is_found(shop: CommandShop, port: str) -> None:
    product_id = shop.stock(units=1000)
    shop.reserve_many(product_id, 200)
    with shop.settings.sqlite_path.open("r+b") as file:
        file.seek(4096 * 8)
        file.write(b"\xff" * 4096 * 4)

    ended = shop.run("doctor", FLASHRESERVE_PORT=port)

    assert ended.code == 1
    assert "fail" in {verdicts(ended.out).get("integrity"), verdicts(ended.out).get("database")}


def test_a_file_of_another_application_is_found(shop: CommandShop, port: str) -> None:
    shop.settings.data_dir.mkdir()
    connection = apsw.Connection(str(shop.settings.sqlite_path))
    connection.execute("CREATE TABLE t (x)")
    connection.close()

    ended = shop.run("doctor", FLASHRESERVE_PORT=port)

    assert (ended.code, verdicts(ended.out)["database"]) == (1, "fail")
    assert "another application" in ended.out


def test_a_database_from_the_future_means_a_wrong_clock(shop: CommandShop) -> None:
    reservation = shop.reserve(shop.stock())

    ahead = list(checks.database(shop.settings, reservation.created_at - 1_001))
    close = list(checks.database(shop.settings, reservation.created_at - 1_000))

    assert finding(ahead, "clock").verdict is CheckResult.FAIL
    assert not [each for each in close if each.what == "clock"]


@pytest.mark.parametrize(
    ("now_ms", "verdict"), [(0, CheckResult.FAIL), (NOW_MS, CheckResult.OK), (5_000_000_000_000, CheckResult.FAIL)]
)
def test_a_clock_that_shows_no_year_of_this_century_is_found(now_ms: int, verdict: CheckResult) -> None:
    assert checks.clock(now_ms).verdict is verdict


@pytest.mark.parametrize(
    ("ahead_ms", "verdicts_of_clock"),
    [([], []), ([-3, 1_000], [CheckResult.OK]), ([4, -3_600_000], [CheckResult.FAIL]), ([1_001], [CheckResult.FAIL])],
)
def test_running_processes_that_go_by_another_time_are_found(
    ahead_ms: list[int], verdicts_of_clock: list[CheckResult]
) -> None:
    assert [each.verdict for each in checks.running_clocks(ahead_ms)] == verdicts_of_clock


def test_a_key_that_others_may_read_is_warned_of(shop: CommandShop, port: str) -> None:
    shop.settings.data_dir.mkdir()
    key = shop.settings.data_dir / "secret.key"
    key.write_text(f"{KEYS}\n")
    key.chmod(0o644)
    (shop.directory / ".env").write_text("\n")
    (shop.directory / ".env").chmod(0o600)

    ended = shop.run("doctor", FLASHRESERVE_PORT=port)

    assert (ended.code, verdicts(ended.out)["keys"]) == (0, "warn")
    assert f"chmod 600 {key}" in ended.out
    assert "kkkk" not in ended.out


def test_a_database_that_others_may_read_is_warned_of(shop: CommandShop) -> None:
    shop.stock()
    assert shop.settings.data_dir.stat().st_mode & 0o077 == 0
    closed = list(checks.database(shop.settings, NOW_MS))
    shop.settings.data_dir.chmod(0o755)

    assert not [each for each in closed if each.what == "privacy"]
    assert finding(checks.database(shop.settings, NOW_MS), "privacy").verdict is CheckResult.WARN


def test_a_broken_key_is_found(shop: CommandShop) -> None:
    found = checks.keys(Settings(secret_keys="k:short"))

    assert found.verdict is CheckResult.FAIL
    assert "32" in found.seen


def test_production_without_keys_is_found(shop: CommandShop) -> None:
    assert checks.keys(Settings(env="production")).verdict is CheckResult.FAIL


def test_an_open_shop_that_others_can_reach_is_warned_of() -> None:
    assert checks.production(Settings(host="192.0.2.1")).verdict is CheckResult.WARN
    assert checks.production(Settings(host="192.0.2.1", env="production")).verdict is CheckResult.OK


def test_a_data_directory_that_is_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")

    assert checks.data_dir(tmp_path / "data").verdict is CheckResult.FAIL
    assert checks.data_dir(tmp_path / "data" / "deeper").verdict is CheckResult.FAIL
    assert checks.data_dir(tmp_path / "new" / "deeper").verdict is CheckResult.OK


def test_a_data_directory_that_is_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("nowhere")

    assert checks.data_dir(tmp_path / "data").verdict is CheckResult.FAIL
    assert checks.data_dir(tmp_path / "data" / "deeper").verdict is CheckResult.FAIL


def test_a_directory_that_can_not_be_made_where_modes_allow_it_is_found() -> None:
    found = checks.data_dir(Path("/proc/shop"))

    assert found.verdict is CheckResult.FAIL
    assert "/proc/shop can't be made" in found.seen


@pytest.mark.parametrize("place", ["/proc/shop.db", "/proc/shop/shop.db", "file/shop.db", "link/shop.db", "shop.db"])
def test_a_database_that_can_not_be_made_is_found_as_serve_finds_it(shop: CommandShop, port: str, place: str) -> None:
    (shop.directory / "file").write_text("")
    (shop.directory / "link").symlink_to("nowhere")
    (shop.directory / "shop.db").symlink_to("nowhere/shop.db")
    setting = {"FLASHRESERVE_STORE": f"sqlite:///{place}"}

    ended = shop.run("doctor", FLASHRESERVE_PORT=port, **setting)

    assert (ended.code, verdicts(ended.out)["database"]) == (1, "fail"), ended.out
    assert shop.run("serve", "--port", "0", **setting).code in {1, 2}


def test_a_database_behind_a_link_is_made_where_the_link_leads(shop: CommandShop, port: str) -> None:
    (shop.directory / "disk").mkdir()
    (shop.directory / "shop.db").symlink_to("disk/shop.db")
    setting = {"FLASHRESERVE_STORE": "sqlite:///shop.db"}

    ended = shop.run("doctor", FLASHRESERVE_PORT=port, **setting)

    assert (ended.code, verdicts(ended.out)["database"]) == (0, "ok"), ended.out
    assert shop.run("products", "import", "-", stdin="name,price,stockQuantity\nA,1,1\n", **setting).code == 0
    assert (shop.directory / "disk" / "shop.db").exists()


@pytest.mark.parametrize(
    ("hard", "verdict"), [(1024, CheckResult.WARN), (20_000, CheckResult.OK), (resource.RLIM_INFINITY, CheckResult.OK)]
)
def test_too_few_open_files_are_warned_of(hard: int, verdict: CheckResult) -> None:
    assert checks.open_files((256, hard), 10_000).verdict is verdict


def test_an_address_that_a_server_has_is_well_and_one_that_nobody_can_have_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "in use" in checks.address("127.0.0.1", server.getsockname()[1]).seen
    assert checks.address("192.0.2.1", 0).verdict is CheckResult.FAIL


def test_what_is_wrong_counts_in_the_last_line() -> None:
    assert summary({CheckResult.FAIL: 2, CheckResult.WARN: 1}).startswith("2 ")
    assert "warnings" in summary({CheckResult.WARN: 1})
    assert summary({CheckResult.OK: 9}) == "All is well."


@pytest.mark.parametrize(
    "store", ["mongodb://127.0.0.1:1/shop", "mongodb://127.0.0.1:1,127.0.0.1:2/shop?replicaSet=rs0"]
)
def test_a_database_server_that_is_away_is_told_in_a_sentence(shop: CommandShop, port: str, store: str) -> None:
    ended = shop.run("doctor", FLASHRESERVE_STORE=store, FLASHRESERVE_SECRET_KEYS=KEYS, FLASHRESERVE_PORT=port)

    (line,) = [line for line in ended.out.splitlines() if line.startswith("fail  database")]
    assert "127.0.0.1:1" in line
    assert len(line) < 200
    assert "Topology" not in line


def test_a_file_that_the_url_of_a_database_server_names_and_that_is_not_there_is_found(
    shop: CommandShop, port: str
) -> None:
    store = "mongodb://127.0.0.1:1/shop?tls=true&tlsCAFile=/nowhere"

    ended = shop.run("doctor", FLASHRESERVE_STORE=store, FLASHRESERVE_SECRET_KEYS=KEYS, FLASHRESERVE_PORT=port)

    assert ended.code == 1, ended.out + ended.err
    assert "a file that it names can't be read: No such file or directory" in ended.out


def test_secrets_that_others_may_read_or_write_fail_in_production(shop: CommandShop, port: str) -> None:
    env = shop.directory / ".env"
    env.write_text(f"FLASHRESERVE_ENV=production\nFLASHRESERVE_SECRET_KEYS={KEYS}\n")
    for mode, verdict in ((0o600, "ok"), (0o640, "fail"), (0o602, "fail")):
        env.chmod(mode)
        ended = shop.run("doctor", FLASHRESERVE_PORT=port)
        assert verdicts(ended.out)["env"] == verdict, ended.out
    shop.settings.data_dir.mkdir()
    key = shop.settings.data_dir / "secret.key"
    key.write_text(KEYS)
    key.chmod(0o644)
    ended = shop.run("doctor", FLASHRESERVE_PORT=port)
    assert (ended.code, verdicts(ended.out)["keys"]) == (1, "fail")
    assert "kkkk" not in ended.out


def test_a_log_without_its_database_is_found(shop: CommandShop) -> None:
    log = lose_database(shop)
    found = finding(checks.database(shop.settings, NOW_MS), "database")
    assert found.verdict is CheckResult.FAIL
    assert "there is a log" in found.seen
    assert log.exists()


def test_a_backup_beside_the_log_of_another_file_is_found(shop: CommandShop) -> None:
    lose_database(shop)
    backup = shop.directory / "backup"
    other = apsw.Connection(str(backup))
    other.pragma("application_id", APPLICATION_ID)
    other.execute("CREATE TABLE products (x)")
    other.close()
    backup.rename(shop.settings.sqlite_path)

    found = finding(checks.database(shop.settings, NOW_MS), "database")

    assert found.verdict is CheckResult.FAIL
    assert "is the log of another file" in found.seen


def lose_database(shop: CommandShop) -> Path:
    """Remove the database of a killed server, but not its log, whose path is returned."""
    path = shop.settings.sqlite_path
    shop.stock()
    writer = apsw.Connection(str(path))
    writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    writer.execute("UPDATE products SET name = name || '!'")
    writer.close()
    path.rename(path.with_name("lost"))
    return Path(f"{path}-wal")


# Run as a user other than root, because directory modes don't limit root.
LOOK = """
import os, sys
from pathlib import Path
from flashreserve.cli import checks
from flashreserve.settings import Settings
from flashreserve.stores.sqlite.header import APPLICATION_ID
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
settings = Settings(data_dir=Path(sys.argv[1]))
for each in [checks.data_dir(settings.data_dir), *checks.database(settings, 0)]:
    print(each.verdict.value, each.what, each.seen)
"""


@pytest.mark.parametrize(("spoilt", "mode"), [("flashreserve.db", 0o444), (".", 0o555)])
def test_a_database_that_can_not_be_written_fails(shop: CommandShop, spoilt: str, mode: int) -> None:
    shop.stock()
    with tempfile.TemporaryDirectory() as public:  # pytest's own directories are closed to other users
        Path(public).chmod(0o777)
        copy = Path(public) / "flashreserve.db"
        shutil.copy(shop.settings.sqlite_path, copy)
        copy.chmod(0o666)
        (Path(public) / spoilt).chmod(mode)
        said = subprocess.run([sys.executable, "-c", LOOK, public], capture_output=True, text=True, check=False)
        Path(public).chmod(0o777)

    unwritable = (Path(public) / spoilt).resolve()
    assert f"fail database {unwritable} can't be written" in said.stdout, said


def test_a_disk_that_takes_no_more_fails(shop: CommandShop) -> None:
    shop.settings.data_dir.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_024, before[1]))
    try:
        found = checks.data_dir(shop.settings.data_dir)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert found.verdict is CheckResult.FAIL
    assert "File too large" in found.seen


OTHER_KEYS = "other:another-key-of-the-command-tests-of-32-letters"


def added(shop: CommandShop, url: str = "https://shop.example/hooks?token=1", **environment: str) -> str:
    """The id of a new endpoint."""
    ended = shop.run("webhooks", "add", url, FLASHRESERVE_WEBHOOK_NETWORKS="127.0.0.1", **environment)
    assert ended.code == 0, ended.err
    return ended.out.split()[1].rstrip(".")


def on_webhooks(out: str) -> list[str]:
    """The lines on webhooks, each with the line of its advice."""
    lines = out.splitlines()
    return [" ".join(lines[place : place + 2]) for place, line in enumerate(lines) if line[6:].startswith("webhooks ")]


def test_endpoints_without_trouble_are_well_and_stay_unchanged(shop: CommandShop, port: str) -> None:
    shop.stock()
    added(shop)
    before = shop.settings.sqlite_path.read_bytes()
    ended = shop.run("doctor", FLASHRESERVE_PORT=port)
    assert (ended.code, verdicts(ended.out)["webhooks"]) == (0, "ok"), ended.out
    assert "1 endpoint, no trouble" in ended.out
    assert shop.settings.sqlite_path.read_bytes() == before


def test_a_disabled_endpoint_is_told_with_why_and_since_when(shop: CommandShop, port: str) -> None:
    shop.stock()
    id_ = added(shop)
    shop.run("webhooks", "disable", id_)
    ended = shop.run("doctor", FLASHRESERVE_PORT=port)
    (line,) = on_webhooks(ended.out)
    assert ended.code == 0, "a server works all the same"
    assert line.startswith(f"warn  webhooks     https://shop.example ({id_}) is disabled since 20")
    assert ", by an admin" in line
    assert f"flashreserve webhooks enable {id_} --replay-from 20" in line
    assert "token" not in line, "an address may contain a secret of the receiver's"


def test_an_endpoint_that_fails_is_told_with_since_when(shop: CommandShop, port: str) -> None:
    shop.stock()
    id_ = added(shop, "http://127.0.0.1:9/hook")
    shop.run("pause", "--all", "--reason", "a fault")
    assert shop.run("deliver").code == 0
    (line,) = on_webhooks(shop.run("doctor", FLASHRESERVE_PORT=port).out)
    assert re.search(rf"^warn .*\({id_}\) only fails since 20\S+, \d times?", line), line
    assert f"`flashreserve webhooks test {id_}` says why" in line


def test_a_key_that_an_endpoint_needs_may_not_be_dropped(shop: CommandShop, port: str) -> None:
    shop.stock()
    both = {"FLASHRESERVE_SECRET_KEYS": f"{KEYS},{OTHER_KEYS}"}
    turned = {"FLASHRESERVE_SECRET_KEYS": f"{OTHER_KEYS},{KEYS}"}
    without = {"FLASHRESERVE_SECRET_KEYS": OTHER_KEYS}
    id_ = added(shop, **both)

    assert shop.run("doctor", FLASHRESERVE_PORT=port, **turned).code == 0
    dropped = shop.run("doctor", FLASHRESERVE_PORT=port, **without)
    (line,) = on_webhooks(dropped.out)
    assert dropped.code == 1
    assert line.startswith("fail  webhooks     the key test is gone, which signs for https://shop.example")
    assert f"`flashreserve webhooks rotate {id_}`" in line

    assert shop.run("webhooks", "rotate", id_, **turned).code == 0
    too_early = shop.run("doctor", FLASHRESERVE_PORT=port, **without)
    (line,) = on_webhooks(too_early.out)
    assert too_early.code == 1
    assert "the key test is gone, by which the old secret of" in line
    assert "put the key back until 20" in line


ENDPOINT = Endpoint(
    "id", "https://shop.example/", (), "new", 2, NOW_MS, "command line", old_kid="old", old_until=NOW_MS
)


@pytest.mark.parametrize(
    ("changes", "due_ms", "expected"),
    [
        ({}, None, []),
        ({}, BACKLOG_OLD_MS, []),
        ({}, BACKLOG_OLD_MS + 1, ["warn"]),
        ({}, -1, []),
        ({"old_until": NOW_MS + 1}, None, ["fail"]),
        ({"kid": "old"}, None, ["fail"]),
        ({"disabled_at": 1, "disabled_why": DisabledWhy.GONE}, BACKLOG_OLD_MS + 1, ["warn"]),
        ({"disabled_at": 1, "disabled_why": DisabledWhy.FAILING, "failing_since": 1}, None, ["warn"]),
        ({"failing_since": 1, "failures": 3}, BACKLOG_OLD_MS + 1, ["warn", "warn"]),
    ],
)
def test_each_trouble_of_an_endpoint_has_its_finding(
    changes: dict[str, Any], due_ms: int | None, expected: list[str]
) -> None:
    backlog = DeliveryBacklog(0 if due_ms is None else 1, None if due_ms is None else NOW_MS - due_ms)
    found = list(findings_of([(replace(ENDPOINT, **changes), backlog)], ["new"], NOW_MS))
    assert [each.verdict.value for each in found] == expected
    assert all(each.advice for each in found)
