"""The subjects of commits have the form that CONTRIBUTING.md asks for.

Only commits since the beginning of this check count, by their committer's date, because older ones can't be changed. A
date, unlike the id of a commit, also works in a shallow clone.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

CHECKED_SINCE_S: Final = 1_795_956_000
"""Seconds since 1970, UTC."""

SUBJECT_LENGTH_MAX: Final = 72


def subjects_since(root: Path, since_s: int) -> list[str]:
    """The subjects of the commits that are reachable from `HEAD` and were made at `since_s` or later."""
    command = ["git", "-c", "safe.directory=*", "log", "--format=%ct %s", "HEAD"]
    log = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if log.returncode != 0:
        pytest.skip("this is no git checkout: " + log.stderr.decode().strip())
    lines = [line.partition(" ") for line in log.stdout.decode().splitlines()]
    return [subject for made_s, _, subject in lines if int(made_s) >= since_s]


def faults_of(subject: str) -> list[str]:
    """The faults of a subject, by the form in CONTRIBUTING.md."""
    found = []
    if len(subject) > SUBJECT_LENGTH_MAX:
        found.append(f"has {len(subject)} characters, and {SUBJECT_LENGTH_MAX} at most are allowed")
    if subject.endswith("."):
        found.append("ends with a full stop")
    if not subject[:1].isupper():
        found.append("doesn't begin with a capital letter")
    return found


def test_the_subjects_of_commits_are_short_sentences(root: Path) -> None:
    assert {subject: found for subject in subjects_since(root, CHECKED_SINCE_S) if (found := faults_of(subject))} == {}


def test_the_length_is_that_of_the_guide(root: Path) -> None:
    guide = " ".join((root / "CONTRIBUTING.md").read_text(encoding="utf-8").split())

    assert f"of {SUBJECT_LENGTH_MAX} characters at most" in guide


@pytest.mark.parametrize(
    ("subject", "faults"),
    [
        ("Refuse extensions past the cap", 0),
        ("A" * 72, 0),
        ("A" * 73, 1),
        ("Refuse extensions.", 1),
        ("refuse extensions", 1),
        ("", 1),
    ],
)
def test_subjects_that_are_long_or_no_sentences_are_found(subject: str, faults: int) -> None:
    assert len(faults_of(subject)) == faults


@pytest.mark.parametrize("depth", [None, 1, 2])
def test_commits_before_the_rule_are_left_alone_in_every_clone(tmp_path: Path, depth: int | None) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    identity = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*words: str, made_s: int = 0) -> None:
        own = {**identity, "GIT_COMMITTER_DATE": f"@{made_s} +0000", "GIT_CONFIG_GLOBAL": os.devnull}
        command = ["git", *words]
        subprocess.run(command, cwd=origin, env={**os.environ, **own}, check=True, capture_output=True)

    git("init", "-q")
    for made_s, subject in ((1_000, "old"), (2_000, "New"), (3_000, "Newer")):
        git("commit", "-q", "--allow-empty", "-m", subject, made_s=made_s)
    shallow = [] if depth is None else ["--depth", str(depth)]
    git("clone", "-q", *shallow, f"file://{origin}", str(clone))

    assert subjects_since(clone, 2_000) == ["Newer", "New"][: depth or 2]
