"""How commands end that fail, for various reasons."""

import errno
import subprocess
import sys

import pytest
import structlog
from tests.cli.conftest import KEYS, CommandShop

from flashreserve.cli.failures import told
from flashreserve.settings import SettingsError
from flashreserve.stores.port import StoreDefectError, StoreOutcomeUnknownError, StoreUnavailableError


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (SettingsError("FLASHRESERVE_PORT: expected one"), "FLASHRESERVE_PORT: expected one", 2),
        (StoreUnavailableError("locked"), "the database can't be used: locked", 1),
        (StoreOutcomeUnknownError("commit"), "not known", 1),
        (StoreDefectError("twice"), "a fault of FlashReserve, StoreDefectError: twice", 1),
        (OSError(errno.EACCES, "Permission denied", "sale.csv"), "sale.csv: Permission denied", 1),
        (OSError(errno.EMFILE, "Too many open files"), "refused something: Too many open files", 1),
        (MemoryError(), "not enough memory", 1),
        (OSError("odd"), "a fault of FlashReserve, OSError: odd", 1),
        (KeyError("x"), "a fault of FlashReserve, KeyError: 'x'", 1),
    ],
)
def test_every_error_is_told_in_a_sentence(error: Exception, said: str, code: int) -> None:
    text, ended = told(error)

    assert said in text
    assert ended == code


def test_a_fault_that_holds_a_token_does_not_show_it() -> None:
    text, _ = told(ValueError("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"))

    assert "eyJ" not in text
    assert "[secret]" in text


def test_a_failure_is_one_line_and_with_debug_says_where(shop: CommandShop) -> None:
    quiet, loud = shop.run("products", "list"), shop.run("products", "list", FLASHRESERVE_LOG_LEVEL="debug")

    assert (quiet.code, loud.code) == (1, 1)
    assert quiet.err.count("\n") == 1
    assert "Traceback" in loud.err
    assert loud.err.endswith(quiet.err)


def test_what_is_logged_before_the_settings_are_read_is_on_standard_error(
    shop: CommandShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logging_environment(*_: object) -> dict[str, str]:
        structlog.get_logger("flashreserve").warning("an early line")
        return {}

    monkeypatch.setattr("flashreserve.cli.main.environment_here", logging_environment)

    ended = shop.run("audit", "--json")

    assert "an early line" in ended.err
    assert ended.out == ""


def test_a_wrong_option_leads_to_the_help(shop: CommandShop) -> None:
    ended = shop.run("products", "list", "--yaml")

    assert ended.code == 2
    assert "--yaml" in ended.err
    assert "`flashreserve products list --help` says more." in ended.err


@pytest.mark.parametrize("args", [("--help",), ("products", "--help"), ("products", "import", "-h"), ("--version",)])
def test_help_ends_with_0(shop: CommandShop, args: tuple[str, ...]) -> None:
    ended = shop.run(*args)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out


@pytest.mark.parametrize("command", [("products", "list"), ("reservations", "export"), ("token", "--count", "100000")])
def test_a_reader_that_goes_away_is_no_error(shop: CommandShop, command: tuple[str, ...]) -> None:
    shop.reserve_many(shop.stock(units=2_000), 2_000)
    rows = "".join(f"P{number},1,1\n" for number in range(2_000))
    shop.run("products", "import", "-", stdin=f"name,price,stockQuantity\n{rows}")

    with subprocess.Popen(
        [sys.executable, "-m", "flashreserve", *command],
        cwd=shop.directory,
        env={**shop.environment, "FLASHRESERVE_SECRET_KEYS": KEYS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


@pytest.mark.parametrize("command", [("audit",), ("products", "list"), ("reservations", "export"), ("doctor",)])
def test_commands_that_only_read_make_nothing(shop: CommandShop, command: tuple[str, ...]) -> None:
    shop.run(*command, FLASHRESERVE_PORT="0")

    assert shop.files() == []


@pytest.mark.parametrize("command", [("audit",), ("products", "list"), ("reservations", "export"), ("doctor",)])
def test_commands_that_only_read_leave_the_database_as_it_is(shop: CommandShop, command: tuple[str, ...]) -> None:
    shop.reserve(shop.stock())
    before, content = shop.files(), shop.settings.sqlite_path.read_bytes()

    assert shop.run(*command, FLASHRESERVE_PORT="0").code == 0

    # SQLite leaves an empty log behind if no process writes; the next writer removes it.
    assert [name for name in shop.files() if not name.endswith(("-wal", "-shm"))] == before
    assert shop.settings.sqlite_path.read_bytes() == content


def test_a_database_that_is_none_is_told(shop: CommandShop) -> None:
    shop.settings.data_dir.mkdir()
    shop.settings.sqlite_path.write_bytes(b"not a database " * 1000)

    ended = shop.run("products", "list")

    assert ended.code == 1
    assert ended.err.startswith("Error: the database can't be used: ")
    assert "file is not a database" in ended.err


def test_a_data_directory_that_cannot_be_made_is_told(shop: CommandShop) -> None:
    (shop.directory / "data").write_text("in the way")

    ended = shop.run("products", "import", "-", stdin="name,price,stockQuantity\nA,1,1\n")

    assert ended.code in {1, 2}
    assert f"{shop.directory / 'data'}" in ended.err or "data" in ended.err
    assert "fault of FlashReserve" not in ended.err


def test_names_that_the_terminal_cannot_show_do_not_end_a_command(shop: CommandShop) -> None:
    shop.stock(name="弁当 🍱")

    ended = shop.finish("products", "list", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")

    assert ended.code == 0
    assert "\\u5f01\\u5f53" in ended.out
