"""Only its owner may read or write the file of a secret."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from flashreserve.files import exposure_of, exposure_of_database


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_private(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.touch()
    path.chmod(mode)
    assert exposure_of(path) == ""


@pytest.mark.parametrize(
    ("mode", "verb"),
    [(0o640, "read"), (0o604, "read"), (0o644, "read"), (0o620, "written"), (0o602, "written"), (0o666, "written")],
)
def test_a_file_that_others_may_read_or_write_says_how_to_close_it(tmp_path: Path, mode: int, verb: str) -> None:
    path = tmp_path / "secret"
    path.touch()
    path.chmod(mode)
    assert exposure_of(path) == f"{path} may be {verb} by others ({mode:04o}): run chmod 600 {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_not_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch()
    path.chmod(0o600)
    os.chown(path, 1234, -1)
    assert "belongs to another user (1234)" in exposure_of(path)


def test_a_link_is_judged_by_the_file_that_it_leads_to(tmp_path: Path) -> None:
    path, link = tmp_path / "secret", tmp_path / "link"
    path.touch()
    path.chmod(0o644)
    link.symlink_to(path)
    assert "0644" in exposure_of(link)


def test_a_link_that_another_user_made_is_no_place_for_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, link = tmp_path / "secret", tmp_path / "link"
    secret.write_text("k:v")
    secret.chmod(0o600)
    link.symlink_to(secret)
    assert exposure_of(link) == ""
    monkeypatch.setattr(Path, "lstat", lambda _: SimpleNamespace(st_uid=os.geteuid() + 1))
    assert "belongs to another user" in exposure_of(link)


def test_an_operator_may_look_at_the_database_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "flashreserve.db"
    database.write_bytes(b"x")
    database.chmod(0o600)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: 4_711)
    assert exposure_of_database(database) == ""
