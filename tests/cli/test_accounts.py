"""`flashreserve admin` and `flashreserve token`."""

import os
import pty
import subprocess
import sys

import apsw
import pytest
from argon2 import PasswordHasher
from tests.cli.conftest import KEYS, PASSWORD, USER, CommandShop

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Identity, Tokens
from flashreserve.clock import SystemClock
from flashreserve.core.model import Role


def accounts(shop: CommandShop) -> list[tuple[str, str]]:
    connection = apsw.Connection(str(shop.settings.sqlite_path))
    try:
        return [(str(email), str(role)) for email, role in connection.execute("SELECT email, role FROM accounts")]
    finally:
        connection.close()


def verified(token: str, keys: str = KEYS) -> Identity:
    identity = Tokens(KeyRing.parse(keys), ttl_s=3600).verify(token, SystemClock().now_ms())
    assert isinstance(identity, Identity), identity
    return identity


def test_an_admin_is_made_from_an_email_and_a_line_of_password(shop: CommandShop) -> None:
    ended = shop.run("admin", "create", "Owner@Example.com", "--password-stdin", stdin=f"{PASSWORD}\r\nmore\n")

    assert ended.code == 0
    assert ended.out.startswith("Made the admin owner@example.com (id ")
    assert accounts(shop) == [("owner@example.com", "admin")]
    assert PASSWORD not in ended.out + ended.err


@pytest.mark.parametrize(
    ("email", "password", "named"),
    [
        ("owner", PASSWORD, "email: must be an email address"),
        ("o@example.com", "short", "password: must have 8 to 128 characters"),
        ("o@example.com", "x" * 10_000, "password: must have 8 to 128 characters"),
        ("o@example.com", f"{PASSWORD}\0", "password: must have no control characters"),
    ],
)
def test_a_bad_email_or_password_is_named_and_nothing_is_made(
    shop: CommandShop, email: str, password: str, named: str
) -> None:
    ended = shop.run("admin", "create", email, "--password-stdin", stdin=f"{password}\n")

    assert ended.code == 2
    assert named in ended.err
    assert shop.files() == []


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_byte_order_mark_and_the_line_end_are_no_part_of_a_password(shop: CommandShop, end: str) -> None:
    marked = f"\ufeff{PASSWORD}{end}".encode()
    assert shop.run("admin", "create", "o@example.com", "--password-stdin", stdin=marked).code == 0

    hashed = _password_hash(shop)

    assert PasswordHasher().verify(hashed, PASSWORD)


def test_a_password_that_is_no_text_is_refused(shop: CommandShop) -> None:
    ended = shop.run("admin", "create", "o@example.com", "--password-stdin", stdin=PASSWORD.encode("utf-16"))

    assert (ended.code, shop.files()) == (2, [])
    assert "password: expected UTF-8 text" in ended.err


def test_an_empty_standard_input_is_no_password(shop: CommandShop) -> None:
    ended = shop.run("admin", "create", "o@example.com", "--password-stdin")

    assert ended.code == 2
    assert "expected a line on standard input" in ended.err


def test_without_a_terminal_the_password_is_not_asked_for(shop: CommandShop) -> None:
    ended = shop.run("admin", "create", "o@example.com", stdin=f"{PASSWORD}\n{PASSWORD}\n")

    assert ended.code == 2
    assert "use --password-stdin" in ended.err
    assert shop.files() == []


def test_on_a_terminal_the_password_is_asked_for_twice_and_never_shown(shop: CommandShop) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "flashreserve", "admin", "create", "o@example.com"]
    with subprocess.Popen(
        command,
        cwd=shop.directory,
        env=shop.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = ""
        for prompt in ("Password: ", "Repeat for confirmation: "):
            while not shown.endswith(prompt):
                shown += os.read(ours, 1000).decode()
            os.write(ours, f"{PASSWORD}\n".encode())
        try:
            while more := os.read(ours, 1000):
                shown += more.decode()
        except OSError:  # raised when no process has the terminal open any more
            os.close(ours)
        assert process.wait(30) == 0, shown
    assert PASSWORD not in shown
    assert accounts(shop) == [("o@example.com", "admin")]


def test_a_taken_email_is_refused_and_the_account_stays_a_customers(shop: CommandShop) -> None:
    shop.run("admin", "create", "o@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    _demote(shop)

    ended = shop.run("admin", "create", "o@example.com", "--password-stdin", stdin="another password\n")

    assert ended.code == 1
    assert "--promote" in ended.err
    assert accounts(shop) == [("o@example.com", "customer")]


def test_an_existing_account_is_promoted_without_a_password(shop: CommandShop) -> None:
    shop.run("admin", "create", "o@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    _demote(shop)

    ended = shop.run("admin", "create", "O@example.com", "--promote")

    assert ended.code == 0
    assert "o@example.com is an admin now" in ended.out
    assert accounts(shop) == [("o@example.com", "admin")]


def test_an_account_is_shown_by_its_address_and_by_its_id(shop: CommandShop) -> None:
    shop.run("admin", "create", "o@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    shop.run("admin", "create", "p@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    shop.run("accounts", "disable", "o@example.com")

    shown = shop.run("accounts", "show", "O@example.com")
    fields = dict(line.split(":", 1) for line in shown.out.splitlines())
    found = {name: value.strip() for name, value in fields.items()}

    assert (found["e-mail"], found["role"]) == ("o@example.com", "admin")
    assert found["made"] <= found["disabled"]
    assert (found["made"][-1], found["disabled"][-1], found["signed out"][-1]) == ("Z", "Z", "Z")
    assert shop.run("accounts", "show", found["id"].upper()).out == shown.out
    other = shop.run("accounts", "show", "p@example.com").out
    assert "disabled:   -\nsigned out: -\n" in other


@pytest.mark.parametrize("who", ["nobody@example.com", USER, "nobody"])
def test_an_account_that_is_not_there_is_not_shown(shop: CommandShop, who: str) -> None:
    shop.stock()
    ended = shop.run("accounts", "show", who)

    assert (ended.code, ended.out) == (1, "")
    assert "there is no account with " in ended.err


def test_nobody_is_promoted_who_has_no_account(shop: CommandShop) -> None:
    shop.stock()

    ended = shop.run("admin", "create", "nobody@example.com", "--promote")

    assert (ended.code, accounts(shop)) == (1, [])
    assert "there is no account with nobody@example.com; `flashreserve accounts list` shows all" in ended.err


@pytest.mark.parametrize("change", ["disable", "enable", "promote", "demote", "sign-out", "reset"])
def test_an_address_without_an_account_is_repeated(shop: CommandShop, change: str) -> None:
    shop.stock()

    ended = shop.run("accounts", change, "Nobody@example.com")

    assert ended.code == 1
    told = "email: there is no account with nobody@example.com; `flashreserve accounts list` shows all"
    assert told in ended.err


@pytest.mark.parametrize(("id_", "told"), [("shop:42", True), ("42", False)])
def test_a_customer_of_an_issuer_has_no_account_to_change(shop: CommandShop, id_: str, told: bool) -> None:  # noqa: FBT001
    shop.stock()

    ended = shop.run("accounts", "disable", id_)

    assert (ended.code, "email: must be an email address" in ended.err) == (2, True)
    assert ("accounts of the shop's own customers, such as shop:42, are kept by the shop" in ended.err) == told


def test_a_disabled_account_gets_no_reset_code(shop: CommandShop) -> None:
    for email in ("o@example.com", "other@example.com"):
        shop.run("admin", "create", email, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert shop.run("accounts", "disable", "other@example.com").code == 0

    refused = shop.run("accounts", "reset", "Other@example.com")

    assert (refused.code, refused.out) == (1, "")
    assert "other@example.com is disabled; enable it first: flashreserve accounts enable other@" in refused.err
    assert shop.run("accounts", "enable", "other@example.com").code == 0
    assert len(shop.run("accounts", "reset", "other@example.com").out.strip()) == 27


def test_tokens_are_signed_for_as_many_new_customers(shop: CommandShop) -> None:
    ended = shop.run("token", "--count", "3", FLASHRESERVE_SECRET_KEYS=KEYS, FLASHRESERVE_TOKEN_SECONDS="120")

    identities = [verified(line) for line in ended.out.splitlines()]
    assert ended.code == 0
    assert len({identity.user_id for identity in identities}) == 3
    assert {identity.role for identity in identities} == {Role.CUSTOMER}
    assert all(0 < identity.expires_at - SystemClock().now_ms() <= 120_000 for identity in identities)
    assert shop.files() == []


def test_tokens_are_signed_for_one_user_id(shop: CommandShop) -> None:
    ended = shop.run("token", "--user-id", USER.upper(), "--count", "2", FLASHRESERVE_SECRET_KEYS=KEYS)

    assert {verified(line).user_id for line in ended.out.splitlines()} == {USER}


def test_an_admins_token_is_for_an_admins_account(shop: CommandShop) -> None:
    made = shop.run("admin", "create", "o@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")

    ended = shop.run("token", "--role", "admin", "--email", "o@example.com")

    identity = verified(ended.out.strip(), (shop.directory / "data" / "secret.key").read_text())
    assert identity.role is Role.ADMIN
    assert identity.user_id in made.out


@pytest.mark.parametrize(
    ("args", "code", "named"),
    [
        (["--role", "admin"], 2, "--email: expected with --role admin"),
        (["--role", "owner"], 2, "'--role'"),
        (["--count", "0"], 2, "'--count'"),
        (["--count", "1000001"], 2, "'--count'"),
        (["--count", "many"], 2, "'--count'"),
        (["--user-id", "me"], 2, "--user-id"),
        (["--user-id", USER, "--email", "o@example.com"], 2, "--user-id"),
        (["--email", "o"], 2, "--email: must be an email address"),
        (["--email", "nobody@example.com"], 1, "--email: there is no account"),
        (["--role", "customer", "--email", "o@example.com"], 1, "--email: the account's role is admin, not customer"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(shop: CommandShop, args: list[str], code: int, named: str) -> None:
    shop.run("admin", "create", "o@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")

    ended = shop.run("token", *args)

    assert (ended.code, ended.out) == (code, "")
    assert named in ended.err


def test_production_makes_no_tokens_by_command(shop: CommandShop) -> None:
    ended = shop.run("token", FLASHRESERVE_ENV="production", FLASHRESERVE_SECRET_KEYS=KEYS)

    assert (ended.code, ended.out) == (2, "")
    assert "FLASHRESERVE_ENV" in ended.err


def test_no_key_is_made_for_tokens_that_no_server_would_know(shop: CommandShop) -> None:
    ended = shop.run("token")

    assert ended.code == 2
    assert "there is no key file" in ended.err
    assert shop.files() == []


def _password_hash(shop: CommandShop) -> str:
    connection = apsw.Connection(str(shop.settings.sqlite_path))
    try:
        return str(connection.execute("SELECT password_hash FROM accounts").get)
    finally:
        connection.close()


def _demote(shop: CommandShop) -> None:
    connection = apsw.Connection(str(shop.settings.sqlite_path))
    connection.execute("UPDATE accounts SET role = 'customer'")
    connection.close()
