"""Planted files, where a command is about to write or read: it neither writes to, empties nor believes them."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import KEYS, CommandShop, Running

from flashreserve.bootstrap import key_ring
from flashreserve.metrics import Metrics, SharedMetrics
from flashreserve.settings import SettingsError

VICTIM = "the owner's other work"
SOMEBODY = 65_534
"""The user id of `nobody`."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text(VICTIM)
    return path


def test_an_export_replaces_a_link_instead_of_what_it_leads_to(shop: CommandShop, victim: Path) -> None:
    shop.reserve(shop.stock())
    output = shop.directory / "sold.csv"
    output.symlink_to(victim)

    assert shop.run("reservations", "export", "--output", "sold.csv").code == 0

    assert victim.read_text() == VICTIM
    assert not output.is_symlink()
    assert output.stat().st_mode & 0o777 == 0o600
    assert len(output.read_text().splitlines()) == 2


def test_an_export_replaces_a_link_that_leads_nowhere_or_to_a_device(shop: CommandShop) -> None:
    shop.stock()
    for target in ("nowhere", "/dev/null"):
        output = shop.directory / "sold.csv"
        output.unlink(missing_ok=True)
        output.symlink_to(target)

        assert shop.run("reservations", "export", "--output", "sold.csv").code == 0

        assert not output.is_symlink()
        assert output.read_text().startswith("reservation")
    assert not (shop.directory / "nowhere").exists()


def test_an_export_still_goes_to_devices_and_pipes_of_one_s_own(shop: CommandShop) -> None:
    shop.stock()
    os.mkfifo(shop.directory / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((shop.directory / "pipe").read_bytes()), daemon=True)
    reader.start()

    assert shop.run("reservations", "export", "--output", "pipe").code == 0
    reader.join(30)

    assert read[0].startswith(b"reservation")
    assert shop.run("reservations", "export", "--output", "/dev/null").code == 0
    assert (
        shop.finish("reservations", "export", "--output", "/dev/stdout").out.splitlines()
        == read[0].decode().splitlines()
    )
    with (shop.directory / "redirected").open("wb") as file:
        command = [*shop.start_words, "reservations", "export", "--output", "/dev/stdout"]
        subprocess.run(command, cwd=shop.directory, env=shop.environment, stdout=file, check=True)
    assert (shop.directory / "redirected").read_bytes() == read[0]
    assert Path("/dev/stdout").is_symlink()


@as_root
def test_an_export_refuses_a_pipe_that_somebody_else_made(shop: CommandShop) -> None:
    shop.stock()
    os.mkfifo(shop.directory / "pipe")
    os.chown(shop.directory / "pipe", SOMEBODY, SOMEBODY)

    ended = shop.run("reservations", "export", "--output", "pipe")

    assert (ended.code, ended.out) == (2, "")
    assert "expected a file, or a device or pipe that is yours" in ended.err


def test_a_key_is_made_beside_what_an_interrupted_start_has_left(shop: CommandShop, victim: Path) -> None:
    shop.settings.data_dir.mkdir()
    # In a container, the first process has number 1 at each start.
    (shop.settings.data_dir / f"secret.key.{os.getpid()}").symlink_to(victim)

    ring = key_ring(shop.settings, create=True)

    assert key_ring(shop.settings, create=False).kids == ring.kids
    assert victim.read_text() == VICTIM
    assert (shop.settings.data_dir / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in shop.settings.data_dir.iterdir() if path.name.startswith(".")] == []


def test_no_key_is_made_through_a_link_that_leads_nowhere(shop: CommandShop) -> None:
    shop.settings.data_dir.mkdir()
    (shop.settings.data_dir / "secret.key").symlink_to("elsewhere")

    with pytest.raises(SettingsError, match=r"the key file .*secret\.key is a link to a file that isn't there"):
        key_ring(shop.settings, create=True)
    assert [path.name for path in shop.settings.data_dir.iterdir()] == ["secret.key"]


def test_a_key_is_read_through_a_link_of_one_s_own_as_where_a_cluster_mounts_its_secrets(shop: CommandShop) -> None:
    shop.settings.data_dir.mkdir()
    (shop.settings.data_dir / "..data").write_text(f"\ufeff{KEYS}\r\n")
    (shop.settings.data_dir / "secret.key").symlink_to("..data")

    assert key_ring(shop.settings, create=True).kids == ("test",)


@as_root
def test_a_key_is_not_read_through_somebody_else_s_link(shop: CommandShop) -> None:
    shop.settings.data_dir.mkdir()
    (shop.settings.data_dir / "known").write_text(KEYS)
    link = shop.settings.data_dir / "secret.key"
    link.symlink_to("known")
    os.lchown(link, SOMEBODY, SOMEBODY)

    with pytest.raises(SettingsError, match="a link that belongs to somebody else"):
        key_ring(shop.settings, create=True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "at least one kid:secret"),
        (b"hunter2hunter2", "kid:secret"),
        (b"k:hunter2hunter2", "32"),
        (b"k:\xff\xfe", "expected kid:secret, as UTF-8 text"),
        (b"k:" + b"h" * 100_000, "expected at most"),
    ],
)
def test_a_broken_key_file_is_told_by_its_path(shop: CommandShop, content: bytes, expected: str) -> None:
    shop.settings.data_dir.mkdir()
    path = shop.settings.data_dir / "secret.key"
    path.write_bytes(content)
    path.chmod(0o600)

    ended, looked = shop.run("token"), shop.run("doctor")

    assert ended.code == 2
    assert ended.err.startswith(f"Error: the key file {path}: ")
    assert expected in ended.err
    assert f"the key file {path}" in looked.out
    assert "hunter2" not in ended.err + looked.out
    assert "FLASHRESERVE_SECRET_KEYS" not in ended.err


def test_a_directory_in_the_key_s_place_is_told(shop: CommandShop) -> None:
    (shop.settings.data_dir / "secret.key").mkdir(parents=True)

    ended = shop.run("token")

    assert ended.code == 2
    assert "secret.key: expected a file" in ended.err


def test_figures_are_written_in_the_place_of_a_link_and_never_through_it(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "worker-0.new").symlink_to(victim)
    (tmp_path / "worker-0.metrics").symlink_to(victim)
    shared = SharedMetrics(Metrics(), tmp_path, "worker-0", lambda: 0)

    shared.write(shared.snapshot())

    assert victim.read_text() == VICTIM
    assert not (tmp_path / "worker-0.metrics").is_symlink()


def test_figures_of_others_are_read_from_files_only(tmp_path: Path) -> None:
    # Opening a pipe that has no writer would block the reader.
    os.mkfifo(tmp_path / "worker-1.metrics")
    (tmp_path / "worker-2.metrics").symlink_to("/dev/zero")
    (tmp_path / "worker-3.metrics").mkdir()
    metrics = Metrics()
    metrics.counter("sold", "Units sold").cell().count += 1

    total = SharedMetrics(metrics, tmp_path, "worker-0", lambda: 0).total()

    assert [(family.name, family.samples) for family in total] == [("sold", {(): [1]})]


@pytest.mark.parametrize("linked", ["metrics", "metrics/127.0.0.1-{port}"])
def test_a_server_empties_no_directory_through_a_link(shop: CommandShop, tmp_path: Path, linked: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    precious = tmp_path / "precious"
    (precious / f"127.0.0.1-{port}").mkdir(parents=True)
    (precious / f"127.0.0.1-{port}" / "work.metrics").write_text(VICTIM)
    (precious / "work.metrics").write_text(VICTIM)
    link = shop.settings.data_dir / linked.format(port=port)
    link.parent.mkdir(parents=True)
    link.symlink_to(precious)

    ended = shop.finish("serve", "--workers", "2", "--port", port)

    assert ended.code == 2
    assert f"{link}: expected a directory, found a link" in ended.err
    assert sorted(path.name for path in precious.rglob("*.metrics")) == ["work.metrics", "work.metrics"]


def test_a_server_leaves_alone_what_isn_t_its_own_in_its_directory(
    shop: CommandShop, serve: Callable[..., Running]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    directory = shop.settings.data_dir / "metrics" / f"127.0.0.1-{port}"
    (directory / "notes").mkdir(parents=True)
    (directory / "notes.txt").write_text(VICTIM)
    (directory / "worker-9.metrics").write_bytes(b"")

    server = serve("--workers", "2", "--port", port)

    assert server.ask("GET", "/metrics").status == 200
    assert (directory / "notes").is_dir()
    assert (directory / "notes.txt").read_text() == VICTIM
    assert not (directory / "worker-9.metrics").exists()
