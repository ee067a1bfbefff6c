"""`flashreserve keys`."""

import apsw
from tests.cli.conftest import CommandShop


def test_the_list_says_which_keys_are_good_expired_or_revoked(shop: CommandShop) -> None:
    shop.stock()
    for name in ("Good", "Endless", "Over", "Revoked"):
        expires = () if name == "Endless" else ("--expires", "30")
        assert shop.run("keys", "create", name, "--scope", "read", *expires).code == 0
    with apsw.Connection(str(shop.settings.sqlite_path)) as connection:
        connection.execute("UPDATE api_keys SET expires_at = created_at + 1 WHERE name IN ('Over', 'Revoked')")
        ids = dict(connection.execute("SELECT name, id FROM api_keys"))
    connection.close()
    shop.run("keys", "revoke", ids["Revoked"])

    rows = [line.split() for line in shop.run("keys", "list").out.splitlines()[1:]]

    assert {row[-1]: row[-2] for row in rows} == {
        "Good": "good",
        "Endless": "good",
        "Over": "expired",
        "Revoked": "revoked",
    }
