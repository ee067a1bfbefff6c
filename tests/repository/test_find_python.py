import os
import subprocess
from pathlib import Path

import pytest

SHELL = "/bin/sh"


class BareMachine:
    """A machine with only the given Pythons on PATH."""

    def __init__(self, root: Path, directory: Path) -> None:
        self.script = root / "tools" / "find_python.sh"
        self.directory = directory

    def install(self, name: str, version: str, *, ensurepip: bool) -> None:
        """Install a stand-in that gives the same answers to the script's three questions as such a Python."""
        recent = tuple(map(int, version.split("."))) >= (3, 11)
        python = self.directory / name
        python.write_text(
            f"#!{SHELL}\n"
            'case "$2" in\n'
            f"*sys.exit*) exit {int(not recent)};;\n"
            f"*ensurepip*) exit {int(not ensurepip)};;\n"
            f"*print*) echo {version};;\n"
            "esac\n"
        )
        python.chmod(0o755)

    def find(self, wanted: str = "") -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.directory), "PYTHON": wanted}
        return subprocess.run([SHELL, self.script], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> BareMachine:
    return BareMachine(root, tmp_path)


def test_a_real_python_is_found_and_can_make_environments(root: Path) -> None:
    done = subprocess.run(
        [SHELL, root / "tools" / "find_python.sh"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    subprocess.run([done.stdout.strip(), "-c", "import ensurepip, venv"], check=True)


def test_the_newest_python_that_can_make_environments_is_taken(machine: BareMachine) -> None:
    machine.install("python3", "3.10", ensurepip=True)
    machine.install("python3.11", "3.11", ensurepip=True)
    machine.install("python3.12", "3.12", ensurepip=True)
    machine.install("python3.13", "3.13", ensurepip=False)

    assert machine.find().stdout == "python3.12\n"


def test_the_python_that_was_asked_for_is_taken(machine: BareMachine) -> None:
    machine.install("python3.11", "3.11", ensurepip=True)
    machine.install("python3.12", "3.12", ensurepip=True)

    assert machine.find("python3.11").stdout == "python3.11\n"


def test_without_python_the_packages_to_install_are_named(machine: BareMachine) -> None:
    found = machine.find()

    assert found.returncode == 1
    assert found.stdout == ""
    assert "apt install python3 python3-venv" in found.stderr


def test_with_an_old_python_only_the_packages_to_install_are_named(machine: BareMachine) -> None:
    machine.install("python3", "3.10", ensurepip=True)

    found = machine.find()

    assert found.returncode == 1
    assert "apt install python3 python3-venv" in found.stderr


def test_without_ensurepip_the_package_for_that_python_is_named(machine: BareMachine) -> None:
    machine.install("python3", "3.11", ensurepip=False)

    found = machine.find()

    assert found.returncode == 1
    assert "apt install python3.11-venv" in found.stderr


def test_a_python_that_was_asked_for_and_is_too_old_is_refused(machine: BareMachine) -> None:
    machine.install("python3.10", "3.10", ensurepip=True)
    machine.install("python3.11", "3.11", ensurepip=True)

    found = machine.find("python3.10")

    assert found.returncode == 1
    assert "PYTHON=python3.10" in found.stderr
