"""Files with secrets and with customers' data are their owner's alone."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import KEYS, Running, Shop

Serve = Callable[..., Running]


def open_to_others(directory: Path) -> list[str]:
    """The files and directories in it that others may read or write."""
    return [
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if stat.S_IMODE(path.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    ]


def test_all_that_a_server_makes_is_its_owner_s_alone(shop: Shop, serve: Serve) -> None:
    shop.settings.data_dir.mkdir(mode=0o755)
    server = serve("--workers", "2")
    server.wait_for("worker ready")
    assert server.ask("GET", "/metrics").status == 200
    files = {path.name for path in shop.settings.data_dir.rglob("*")}
    assert files >= {"flashreserve.db", "flashreserve.db-wal", "flashreserve.db-shm", "metrics", "secret.key"}

    assert open_to_others(shop.settings.data_dir) == []

    assert server.stop().code == 0


def test_an_export_is_its_owner_s_alone(shop: Shop) -> None:
    shop.reserve(shop.stock())
    (shop.directory / "out").mkdir()
    assert shop.finish("reservations", "export", "--output", "out/sold.csv").code == 0
    assert open_to_others(shop.directory / "out") == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o602, 0o666])
def test_in_production_an_env_file_that_others_may_read_or_write_is_refused(shop: Shop, mode: int) -> None:
    env = shop.directory / ".env"
    env.write_text(f"FLASHRESERVE_ENV=production\nFLASHRESERVE_SECRET_KEYS={KEYS}\n")
    env.chmod(mode)

    ended = shop.run("sweep")

    assert ended.code == 2
    assert f"{env} may be" in ended.err
    assert f"chmod 600 {env}" in ended.err
    env.chmod(0o600)
    assert shop.run("sweep").code == 1  # There is no database yet.


def test_in_production_a_key_file_that_others_may_read_is_refused(shop: Shop) -> None:
    shop.settings.data_dir.mkdir()
    key = shop.settings.key_path
    key.write_text(KEYS)
    key.chmod(0o644)

    ended = shop.run("sweep", FLASHRESERVE_ENV="production", FLASHRESERVE_SECRET_KEYS=KEYS)

    assert ended.code == 2
    assert f"chmod 600 {key}" in ended.err


def test_in_development_a_server_warns_of_them(shop: Shop, serve: Serve) -> None:
    (shop.directory / ".env").write_text("FLASHRESERVE_LOG_LEVEL=info\n")
    (shop.directory / ".env").chmod(0o644)
    shop.settings.data_dir.mkdir()
    shop.settings.key_path.write_text(KEYS)
    shop.settings.key_path.chmod(0o640)

    lines = serve().stop_and_read()

    reasons = [line["reason"] for line in lines if line["event"] == "secret is exposed"]
    assert len(reasons) == 2
    assert ".env may be read by others (0644)" in reasons[0]
    assert "secret.key may be read by others (0640)" in reasons[1]
