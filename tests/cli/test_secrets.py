"""Files with secrets or customers' data are accessible only to their owner."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import KEYS, CommandShop, Running

Serve = Callable[..., Running]


def open_to_others(directory: Path) -> list[str]:
    """The files and directories in it that other users may read or write."""
    return [
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    ]


def test_all_that_a_server_makes_is_its_owner_s_alone(shop: CommandShop, serve: Serve) -> None:
    shop.settings.data_dir.mkdir(mode=0o755)
    server = serve("--workers", "2")
    server.wait_for("worker ready")
    assert server.ask("GET", "/metrics").status == 200
    files = {path.name for path in shop.settings.data_dir.rglob("*")}
    assert files >= {"flashreserve.db", "flashreserve.db-wal", "flashreserve.db-shm", "metrics", "secret.key"}

    assert open_to_others(shop.settings.data_dir) == []

    assert server.stop().code == 0


def test_an_export_is_its_owner_s_alone(shop: CommandShop) -> None:
    shop.reserve(shop.stock())
    (shop.directory / "out").mkdir()
    assert shop.finish("reservations", "export", "--output", "out/sold.csv").code == 0
    assert open_to_others(shop.directory / "out") == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602, 0o666])
def test_in_production_an_env_file_that_others_may_read_or_write_is_refused(shop: CommandShop, mode: int) -> None:
    env = shop.directory / ".env"
    env.write_text(f"FLASHRESERVE_ENV=production\nFLASHRESERVE_SECRET_KEYS={KEYS}\n")
    env.chmod(mode)

    ended = shop.run("sweep")

    assert ended.code == 2
    assert f"{env} may be" in ended.err
    assert f"chmod 600 {env}" in ended.err
    env.chmod(0o600)
    assert shop.run("sweep").code == 1  # There is no database yet.


def test_in_production_a_key_file_that_others_may_read_is_refused(shop: CommandShop) -> None:
    shop.settings.data_dir.mkdir()
    key = shop.settings.key_path
    key.write_text(KEYS)
    key.chmod(0o644)

    ended = shop.run("sweep", FLASHRESERVE_ENV="production", FLASHRESERVE_SECRET_KEYS=KEYS)

    assert ended.code == 2
    assert f"chmod 600 {key}" in ended.err


@pytest.mark.parametrize(
    ("folder", "file", "ending", "told"),
    [
        (0o755, 0o644, "", "may be read by others (0644): run chmod 600"),
        (0o755, 0o666, "", "may be written by others (0666): run chmod 600"),
        (0o755, 0o604, "-wal", "may be read by others (0604): run chmod 600"),
        (0o755, 0o602, "-shm", "may be written by others (0602): run chmod 600"),
        (0o777, 0o600, None, "may be written by others (0777): run chmod 700"),
        (0o700, 0o666, "", ""),
        (0o755, 0o600, "", ""),
        (0o1777, 0o600, "", ""),
    ],
)
def test_in_production_a_database_that_others_may_read_or_write_is_refused(
    shop: CommandShop, folder: int, file: int, ending: str | None, told: str
) -> None:
    shop.stock()
    database = shop.settings.sqlite_path.absolute()
    exposed = database.parent if ending is None else database.with_name(database.name + ending)
    for part in database.parent.glob(f"{database.name}*"):
        part.chmod(0o600)
    if ending is not None:
        exposed.touch()
        exposed.chmod(file)
    database.parent.chmod(folder)

    ended = shop.run("audit", FLASHRESERVE_ENV="production", FLASHRESERVE_SECRET_KEYS=KEYS)

    assert ended.code == (2 if told else 0), ended.err
    assert not told or f"{exposed} {told} {exposed}" in ended.err


def test_a_database_is_its_group_s_where_the_process_is_in_it(shop: CommandShop) -> None:
    """Volumes that are shared by group have such modes."""
    shop.stock()
    shop.settings.sqlite_path.chmod(0o660)
    shop.settings.data_dir.chmod(0o770)
    assert shop.run("audit", FLASHRESERVE_ENV="production", FLASHRESERVE_SECRET_KEYS=KEYS).code == 0


def test_in_development_a_server_warns_of_them(shop: CommandShop, serve: Serve) -> None:
    (shop.directory / ".env").write_text("FLASHRESERVE_LOG_LEVEL=info\n")
    (shop.directory / ".env").chmod(0o644)
    shop.settings.data_dir.mkdir()
    shop.settings.key_path.write_text(KEYS)
    shop.settings.key_path.chmod(0o640)

    lines = serve().stop_and_read()

    reasons = [line["reason"] for line in lines if line["event"] == "exposed to others"]
    assert len(reasons) == 2
    assert ".env may be read by others (0644)" in reasons[0]
    assert "secret.key may be read by others (0640)" in reasons[1]
