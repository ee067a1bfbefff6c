"""Settings: their sources, and the refusal of invalid ones."""

import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import KEYS, CommandShop, Running

from flashreserve.cli.invocation import environment_here
from flashreserve.cli.service_links import service_links
from flashreserve.core import limits
from flashreserve.settings import VARIABLES, Settings, SettingsError, read_settings

DOCS = Path(__file__).parents[2] / "docs"
PACKAGE = Path(__file__).parents[2] / "src" / "flashreserve"
METRICS_TOKEN = "0123456789abcdef" * 2
ROW = re.compile(r"^\| `(FLASHRESERVE_[A-Z_]+)` \| (.+?) \| .+ \|$", re.MULTILINE)


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = [name for name, _ in ROW.findall((DOCS / "settings.md").read_text())]

    assert sorted(documented) == sorted(VARIABLES)


def test_the_documented_defaults_are_the_real_ones() -> None:
    documented = {name: text.strip("`") for name, text in ROW.findall((DOCS / "settings.md").read_text())}
    told_in_words = {"FLASHRESERVE_STORE", "FLASHRESERVE_SECRET_KEYS", "FLASHRESERVE_DEMO"}

    for name in VARIABLES.keys() - told_in_words:
        field, parse = VARIABLES[name]
        default = "" if documented[name] == "none" else parse(documented[name])
        assert default == getattr(Settings(), field), name


def test_every_setting_has_a_variable_and_is_used() -> None:
    own = (PACKAGE / "settings.py").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))

    assert sorted(field for field, _ in VARIABLES.values()) == sorted(Settings.__struct_fields__)
    for field in Settings.__struct_fields__:
        assert re.search(rf"\bsettings\.{field}\b", code) or re.search(rf"\bself\.{field}\b", own), field


def test_a_setting_that_is_named_like_a_secret_is_never_shown() -> None:
    named = [field for field in Settings.__struct_fields__ if re.search(r"(key|keys|token|password|secret)$", field)]
    settings = Settings(**{field: f"hidden-{field}" for field in named})  # type: ignore[arg-type]

    assert "hidden-" not in repr(settings)
    assert {f"hidden-{field}" for field in named} <= set(settings.secrets)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("FLASHRESERVE_STORE", "mongodb:///db", "sqlite:///FILE or mongodb://HOST/DATABASE"),
        ("FLASHRESERVE_REDIS_URL", "localhost:6379", "redis://HOST:PORT/NUMBER"),
        ("FLASHRESERVE_REDIS_URL", "redis://localhost:six/0", "redis://HOST:PORT/NUMBER"),
        ("FLASHRESERVE_REDIS_URL", "redis://localhost:6379/0", "only with FLASHRESERVE_STORE=mongodb://"),
        ("FLASHRESERVE_STORE", "shop.db", "sqlite:///FILE"),
        ("FLASHRESERVE_STORE", "sqlite:///", "sqlite:///FILE"),
        ("FLASHRESERVE_TOKEN_SECONDS", "59", "a whole number from 60"),
        ("FLASHRESERVE_TOKEN_SECONDS", "1h", "a whole number from 60"),
        ("FLASHRESERVE_PORT", "-1", "a whole number from 0 to 65535"),
        ("FLASHRESERVE_PORT", "65536", "a whole number from 0 to 65535"),
        ("FLASHRESERVE_PORT", "٣", "a whole number from 0 to 65535"),
        ("FLASHRESERVE_HOLD_SECONDS", "0", f"a whole number from 1 to {limits.HOLD_S_MAX}"),
        ("FLASHRESERVE_OPEN_HOLDS_MAX", "101", "a whole number from 0 to 100"),
        ("FLASHRESERVE_HOLDS_PER_HOUR_MAX", "-1", "a whole number from 0 to 1000"),
        ("FLASHRESERVE_LAPSES_PER_HOUR_MAX", "many", "a whole number from 0 to 1000"),
        ("FLASHRESERVE_EVENTS_DAYS", "6", "a whole number from 7 to 3650"),
        ("FLASHRESERVE_EVENTS_GRANTS", "all", "on or off"),
        ("FLASHRESERVE_LOG_LEVEL", "loud", "debug or info or warning or error"),
        ("FLASHRESERVE_ENV", "prod", "development or production"),
        ("FLASHRESERVE_SECRET_KEYS", "short:secret", "at least 32"),
        ("FLASHRESERVE_TRUSTED_PROXIES", "everybody", "everybody"),
        ("FLASHRESERVE_COLOUR", "red", "is not a setting; docs/settings.md lists all"),
        ("FLASHRESERVE_REDIS", "x", "is not a setting; did you mean FLASHRESERVE_REDIS_URL?"),
        ("FLASHRESERVE_SECRET_KEY", "x", "is not a setting; did you mean FLASHRESERVE_SECRET_KEYS?"),
        ("FLASHRESERVE_DATABASE_URL", "x", "is not a setting; did you mean FLASHRESERVE_STORE?"),
        ("FLASHRESERVE_ENVIRONMENT", "x", "is not a setting; did you mean FLASHRESERVE_ENV?"),
        ("flashreserve_port", "1", "is not a setting; did you mean FLASHRESERVE_PORT?"),
        ("FLASHRESERVE-PORT", "1", "is not a setting; did you mean FLASHRESERVE_PORT?"),
        ("FLASHRESERVE_ENV", "prod", "development or production; did you mean production?"),
        ("FLASHRESERVE_LOG_LEVEL", "warn", "; did you mean warning?"),
        ("FLASHRESERVE_EXPRESS_LANE", "true", "on or off; did you mean on?"),
        ("FLASHRESERVE_EXPRESS_LANE", "maybe", "on or off\n"),
        ("FLASHRESERVE_PORT", "9" * 5_000, "a whole number from 0 to 65535"),
        ("FLASHRESERVE_HOST", "http://127.0.0.1", "an address or a name, without scheme"),
        ("FLASHRESERVE_HOST", "127.0.0.1:3000", "without scheme, brackets and port"),
        ("FLASHRESERVE_HOST", "shop\u200b.example", "visible characters only, found U+200B"),
        ("FLASHRESERVE_DATA_DIR", "~/shop", "~ isn't replaced"),
        ("FLASHRESERVE_STORE", "sqlite:///~/shop.db", "~ isn't replaced"),
        ("FLASHRESERVE_DATA_DIR", "a\nb", "visible characters only, found U+000A; in .env, double quotes make"),
        ("FLASHRESERVE_SECRET_KEYS", "k:\udcff", "visible characters only, found U+DCFF"),
        ("FLASHRESERVE_STORE", "mongodb://u:p/w@a/db", ": / ? # [ ] @ % are escaped"),
        ("FLASHRESERVE_METRICS_TOKEN", "x", "32 or more visible ASCII characters"),
        ("FLASHRESERVE_METRICS_TOKEN", METRICS_TOKEN[:31], "32 or more"),
        *(("FLASHRESERVE_METRICS_TOKEN", word * 64, "that nobody guesses") for word in ("a", "12345678", "abcdefgh")),
        ("FLASHRESERVE_REDIS_URL", "rediss://:p@h/0?ssl_cert_reqs=none&ssl_cert_reqs=required", "ssl_cert_reqs once"),
        ("FLASHRESERVE_STORE", "mongodb://u:p@a/db?tls=true&TLS=false", "the option tls once"),
        ("FLASHRESERVE_STORE", "mongodb://u:p@a/db?%74ls=true", "options NAME=VALUE joined by &, names unescaped"),
        ("FLASHRESERVE_STORE", "mongodb://a/db?maxPoolSize=many", "the option maxpoolsize as PyMongo documents it"),
        ("FLASHRESERVE_STORE", "mongodb://a/db?driver=x", "the option driver as PyMongo documents it"),
        ("FLASHRESERVE_STORE", "mongodb+srv://a.b.example/db?tls=maybe", "the option tls as PyMongo documents it"),
        ("FLASHRESERVE_STORE", "mongodb://a/db?loadBalanced=true&replicaSet=x", "nothing that PyMongo refuses: "),
        ("FLASHRESERVE_STORE", "mongodb+srv://a.b.example/db?ssl=true&tls=false", "nothing that PyMongo refuses: "),
        ("FLASHRESERVE_METRICS_TOKEN", "0123456789 abcdef" * 2, "visible ASCII"),
        ("FLASHRESERVE_METRICS_TOKEN", "0123456789äbcdef" * 2, "visible ASCII"),
        ("FLASHRESERVE_METRICS_TOKEN", f"{METRICS_TOKEN}.{METRICS_TOKEN}.ab", "without the form of a JWT"),
        ("FLASHRESERVE_METRICS_TOKEN", f"frk_{METRICS_TOKEN}", "without the form of a JWT or an API key"),
        ("FLASHRESERVE_HOSTS", "shop.example,http://b", "not 'http://b'"),
        ("FLASHRESERVE_HOST", "shop..example", "1 to 63 characters between the dots of a name"),
        ("FLASHRESERVE_HOST", f"{'a' * 64}.example", "1 to 63 characters between the dots of a name"),
        ("FLASHRESERVE_STORE", "mongodb://a,shop..example/db", "1 to 63 characters between the dots of a name"),
        ("FLASHRESERVE_REDIS_URL", f"redis://{'a' * 64}:6379/0", "1 to 63 characters between the dots of a name"),
        ("FLASHRESERVE_REDIS_URL", "redis://h%00/0", "a name without U+0000"),
        ("FLASHRESERVE_REDIS_URL", "redis://[h]/0", "an IPv6 address in [ ]"),
        ("FLASHRESERVE_COOKIE_DOMAIN", "https://shop.example", "a domain such as shop.example"),
        ("FLASHRESERVE_COOKIE_DOMAIN", "localhost", "a domain such as shop.example"),
        ("FLASHRESERVE_COOKIE_NAME", "my token", "1 to 64 letters, digits, - and _"),
        ("FLASHRESERVE_COOKIE_NAME", "__Host-token", "is put before it in production by itself"),
        ("FLASHRESERVE_COOKIE_SAMESITE", "no", "lax or strict or none"),
        ("FLASHRESERVE_PATH_PREFIX", "flash", "a path such as /flash"),
        ("FLASHRESERVE_PATH_PREFIX", "/flash//sales", "a path such as /flash"),
        ("FLASHRESERVE_PATH_PREFIX", "/flash/../admin", "a path such as /flash"),
        ("FLASHRESERVE_PATH_PREFIX", "/products", "/products is a route of this service"),
        ("FLASHRESERVE_PATH_PREFIX", "/auth/flash/", "/auth is a route of this service"),
        ("FLASHRESERVE_ORIGINS", "*", "would let in the pages of anybody"),
        ("FLASHRESERVE_ORIGINS", "https://shop.example,null", "null would let in the pages of anybody"),
        ("FLASHRESERVE_ORIGINS", "shop.example", "origins such as https://shop.example"),
        ("FLASHRESERVE_ORIGINS", "https://shop.example/", "without a path"),
        ("FLASHRESERVE_ORIGINS", "https://Shop.example", "all in lower case"),
        ("FLASHRESERVE_ORIGINS", "https://shop.example:443", "browsers leave out the port 443"),
        ("FLASHRESERVE_ORIGINS", "https://shop.example:port", "not 'https://shop.example:port'"),
        ("FLASHRESERVE_ORIGINS", ",".join(f"https://s{n}.example" for n in range(51)), "at most 50 origins"),
    ],
)
def test_a_wrong_value_is_told_by_its_variable_and_nothing_is_made(
    shop: CommandShop, name: str, value: str, expected: str
) -> None:
    ended = shop.run("serve", "--port", "0", **{name: value}) if name != "FLASHRESERVE_PORT" else None
    ended = ended or shop.run("serve", **{name: value})

    assert ended.code == 2
    assert ended.err.startswith(f"Error: {name}")
    assert expected in ended.err
    assert ended.err.count("\n") == 1
    assert shop.files() == []


@pytest.mark.parametrize("host", ["shop..example", f"{'a' * 64}.example", "", "127.0.0.1:3000"])
def test_a_host_to_listen_at_that_is_none_is_told_by_its_option(shop: CommandShop, host: str) -> None:
    ended = shop.run("serve", "--port", "0", "--host", host)

    assert ended.code == 2
    assert ended.err.startswith("Error: Invalid value for '--host': expected")
    assert shop.files() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLASHRESERVE_HOSTS", "shop.example:443"),
        ("FLASHRESERVE_TRUSTED_PROXIES", "everybody"),
        ("FLASHRESERVE_REDIS_URL", "redis://h/0?ssl=true"),
        ("FLASHRESERVE_STORE", "mongodb://h/db?maxPoolSize=many"),
    ],
)
def test_a_wrong_value_for_servers_ends_every_command(shop: CommandShop, name: str, value: str) -> None:
    doctor, other = (shop.run(*command, **{name: value}) for command in (["doctor"], ["products", "list"]))

    assert (doctor.code, other.code) == (1, 2)
    assert f"fail  settings     {name}: expected" in doctor.out
    assert other.err.startswith(f"Error: {name}: expected")


def test_an_issuer_with_a_secret_of_this_service_ends_the_start_and_is_found(shop: CommandShop) -> None:
    secret = KEYS.partition(":")[2]
    entry = {"name": "app", "issuer": "https://app.example", "audience": "flashreserve", "secret": secret}
    issuers = json.dumps({"issuers": [entry]})
    keys = f"new:a-newer-key-of-the-command-tests-signs,{KEYS}"
    text = {"FLASHRESERVE_ISSUERS": issuers, "FLASHRESERVE_SECRET_KEYS": keys}

    start, doctor = shop.run("serve", **text), shop.run("doctor", **text)

    expected = "FLASHRESERVE_ISSUERS: issuers[0] (app): secret: expected another one"
    assert (start.code, doctor.code) == (2, 1)
    assert start.err.startswith(f"Error: {expected}")
    assert f"fail  issuers      {expected}" in doctor.out
    assert secret not in start.err + doctor.out + doctor.err
    assert shop.files() == []


PRODUCTION = {"FLASHRESERVE_ENV": "production", "FLASHRESERVE_SECRET_KEYS": KEYS}
SAFE_STORE = "mongodb://u:p@db.example/shop?tls=true"
SAFE_REDIS = "rediss://:p@queue.example/0"


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("FLASHRESERVE_STORE", "mongodb://db.example/shop", "a password"),
        ("FLASHRESERVE_STORE", "mongodb://127.0.0.1/shop", "a password"),
        ("FLASHRESERVE_STORE", "mongodb://u@db.example/shop?tls=true", "a password"),
        ("FLASHRESERVE_STORE", "mongodb://u:@db.example/shop?tls=true", "a password"),
        ("FLASHRESERVE_STORE", "mongodb://u:p@db.example/shop", "TLS"),
        ("FLASHRESERVE_STORE", "mongodb://u:p@localhost,db.example/shop", "TLS"),
        ("FLASHRESERVE_STORE", "mongodb://u:p@db.example/shop?tls=false", "TLS"),
        ("FLASHRESERVE_STORE", "mongodb+srv://u:p@db.example/shop?ssl=false", "TLS"),
        ("FLASHRESERVE_STORE", "mongodb://u:p@db.example/?tls=true&tlsInsecure=true", "TLS with checked certificates"),
        ("FLASHRESERVE_STORE", "mongodb://u:p@db.example/?tls=true&TLSAllowInvalidCertificates=true", "TLS"),
        ("FLASHRESERVE_STORE", "mongodb://u:p@db.example/?tls=true&tlsAllowInvalidHostnames=true", "TLS"),
        ("FLASHRESERVE_REDIS_URL", "redis://queue.example/0", "a password"),
        ("FLASHRESERVE_REDIS_URL", "redis://127.0.0.1:6379/0", "a password"),
        ("FLASHRESERVE_REDIS_URL", "rediss://u@queue.example/0", "a password"),
        ("FLASHRESERVE_REDIS_URL", "rediss://queue.example/0?ssl_certfile=", "a password"),
        ("FLASHRESERVE_REDIS_URL", "redis://:p@queue.example/0", "TLS"),
        ("FLASHRESERVE_REDIS_URL", "rediss://:p@queue.example/0?ssl_cert_reqs=none", "TLS"),
        ("FLASHRESERVE_REDIS_URL", "rediss://:p@queue.example/0?ssl_check_hostname=false", "TLS"),
    ],
)
def test_production_refuses_servers_that_anybody_may_use_or_listen_to(name: str, url: str, expected: str) -> None:
    servers = {"FLASHRESERVE_STORE": SAFE_STORE, "FLASHRESERVE_REDIS_URL": SAFE_REDIS, name: url}

    with pytest.raises(SettingsError, match=f"^{name}: expected {expected}.*FLASHRESERVE_PRIVATE_NETWORK=on"):
        read_settings({**PRODUCTION, **servers})
    assert read_settings({**PRODUCTION, **servers, "FLASHRESERVE_PRIVATE_NETWORK": "on"}).production
    assert not read_settings({**servers, "FLASHRESERVE_ENV": "development"}).production


@pytest.mark.parametrize(
    ("store", "redis"),
    [
        (SAFE_STORE, SAFE_REDIS),
        ("mongodb+srv://u:p@db.example/shop", "rediss://db.example/0?password=p"),
        ("mongodb://u:p@a/shop?tls=true&readPreferenceTags=dc:1&readPreferenceTags=", SAFE_REDIS),
        ("mongodb://a,b,c/shop?authMechanism=MONGODB-X509&tls=true", "rediss://c/0?ssl_certfile=/etc/shop.pem"),
        ("mongodb://u:p@127.0.0.1:27017,[::1]:27018/shop", "redis://u:p@localhost:6379/0"),
        ("mongodb://%2Ftmp%2Fmongodb-27017.sock/shop", "unix:///run/redis.sock?db=1"),
        ("mongodb://u:p%40%2F@db.example/shop?ssl=true", "unix://u:p@/run/redis.sock"),
    ],
)
def test_production_takes_servers_that_know_their_clients_over_tls_or_on_this_machine(store: str, redis: str) -> None:
    settings = read_settings({**PRODUCTION, "FLASHRESERVE_STORE": store, "FLASHRESERVE_REDIS_URL": redis})

    assert (settings.store, settings.redis_url) == (store, redis)


def test_production_on_a_file_needs_neither_password_nor_opt_in() -> None:
    assert read_settings(PRODUCTION) == Settings(env="production", secret_keys=KEYS)


@pytest.mark.parametrize("command", ["serve", "worker", "audit", "doctor"])
def test_every_command_refuses_an_open_database_in_production(shop: CommandShop, command: str) -> None:
    ended = shop.run(command, **PRODUCTION, FLASHRESERVE_STORE="mongodb://127.0.0.1:1/shop")

    assert ended.code == (1 if command == "doctor" else 2)
    assert "FLASHRESERVE_STORE: expected a password" in ended.out + ended.err


def test_a_wrong_key_is_not_shown(shop: CommandShop) -> None:
    ended = shop.run("token", FLASHRESERVE_SECRET_KEYS="k1:hunter2")

    assert ended.code == 2
    assert "hunter2" not in ended.err


MONGODB = {"FLASHRESERVE_STORE": "mongodb://h/db"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:6379/0?ssl=true", "TLS as rediss://, not as options"),
        ("unix:///run/redis.sock?ssl_ca_certs=/ca.pem", "TLS as rediss://"),
        ("redis://h:6379/0?family=4", "no options but client_name, db, health_check_interval,"),
        ("redis://h:6379/0?max_connections=1", "no options but"),
        ("redis://h:6379/0?retry=hunter2hunter2", "no options but"),
        ("redis://h:6379/0?password=a&hunter2hunter2=b", "no options but"),
        ("unix:///run/redis.sock?socket_keepalive=true", "no options but"),
        ("redis://h:6379/0?db=abc", "db as a whole number"),
        ("redis://h:6379/0?db=-1", "db as a whole number"),
        ("redis://h:6379/zero", "the database's number as path"),
        ("redis://h:6379/0/1", "the database's number as path"),
        ("redis://h:6379/0?protocol=4", "protocol as 2 or 3"),
        ("redis://h:6379/0?health_check_interval=1.5", "health_check_interval as a whole number"),
        ("redis://h:6379/0?socket_timeout=1s", "socket_timeout as seconds"),
        ("redis://h:6379/0?socket_keepalive=off", "socket_keepalive as true or false"),
        ("rediss://h:6379/0?ssl_cert_reqs=hunter2hunter2", "ssl_cert_reqs as none, optional or required"),
        ("rediss://h:6379/0?ssl_check_hostname=off", "ssl_check_hostname as true or false"),
        ("rediss://h:6379/0?ssl_min_version=1.3", "ssl_min_version as 771"),
        ("rediss://h:6379/0?ssl_keyfile=/hunter2hunter2", "ssl_certfile beside ssl_keyfile"),
        ("rediss://:hunter2hunter2@h\u2100/0", "in a host's name"),
    ],
)
def test_an_option_that_the_redis_driver_can_not_use_is_told_without_the_secrets_of_its_url(
    url: str, expected: str
) -> None:
    with pytest.raises(SettingsError, match=r"^FLASHRESERVE_REDIS_URL: expected redis://") as refused:
        read_settings({**MONGODB, "FLASHRESERVE_REDIS_URL": url})

    assert expected in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_settings_never_show_their_secrets() -> None:
    settings = read_settings({"FLASHRESERVE_SECRET_KEYS": KEYS, "FLASHRESERVE_METRICS_TOKEN": METRICS_TOKEN})

    assert "kkkk" not in repr(settings)
    assert METRICS_TOKEN not in repr(settings)
    assert "3000" in repr(settings)


def test_passwords_in_urls_are_never_shown() -> None:
    urls = {"FLASHRESERVE_STORE": "mongodb://shop:hunter2@a,b/db", "FLASHRESERVE_REDIS_URL": "redis://:hunter3@c/0"}
    settings = read_settings(urls)

    assert "hunter" not in repr(settings) + settings.database
    assert settings.database == "mongodb://[secret]@a,b/db"


@pytest.mark.parametrize(
    "store",
    [
        "mongodb://u:hunter2hunter2@127.0.0.1:1/db",
        "mongodb://u:a/hunter2hunter2@127.0.0.1:1/db",
        "mongodb://u:a@hunter2hunter2@127.0.0.1:1/db",
        "mongodb://u:hunter2hunter2@127.0.0.1:1,127.0.0.1:99999/db",
        "mongodb://127.0.0.1:1/db?tls=hunter2hunter2",
        "mongodb://127.0.0.1:1/db?readPreferenceTags=hunter2hunter2",
        "mongodb://127.0.0.1:1/db?authMechanismProperties=AWS_SESSION_TOKEN:hunter2hunter2",
        "mongodb://127.0.0.1:1/db?tls=true&tlsCertificateKeyFilePassword=hunter2hunter2",
        "mongodb://127.0.0.1:1/db?hunter2hunter2",
    ],
)
@pytest.mark.parametrize("command", ["audit", "doctor"])
def test_a_database_that_is_away_or_badly_named_is_told_without_the_secrets_of_its_url(
    shop: CommandShop, command: str, store: str
) -> None:
    ended = shop.run(command, FLASHRESERVE_STORE=store, FLASHRESERVE_SECRET_KEYS=KEYS, FLASHRESERVE_LOG_LEVEL="debug")

    assert ended.code != 0
    assert "database" in ended.out + ended.err or "FLASHRESERVE_STORE" in ended.out + ended.err
    assert "hunter2" not in ended.out + ended.err


def test_a_cluster_has_no_key_of_its_own(shop: CommandShop) -> None:
    ended = shop.run("serve", "--port", "0", FLASHRESERVE_STORE="mongodb://127.0.0.1:1/db")

    assert ended.code == 2
    assert ended.err.startswith("Error: FLASHRESERVE_SECRET_KEYS: expected kid:secret, the same for every process")
    assert shop.files() == []


def test_an_empty_value_is_none() -> None:
    assert read_settings({"FLASHRESERVE_PORT": " ", "FLASHRESERVE_SECRET_KEYS": ""}) == Settings()


def test_lines_of_env_files_are_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# a shop\nexport FLASHRESERVE_PORT=1\nFLASHRESERVE_HOST='::1'\nOTHER=\"a b\"\n")

    assert environment_here({"FLASHRESERVE_PORT": "2"}, tmp_path) == {
        "FLASHRESERVE_PORT": "2",
        "FLASHRESERVE_HOST": "::1",
        "OTHER": "a b",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=pa$$w${HOME}rd", "pa$$w${HOME}rd"),
        ("A=b", "b"),
        ("export A=b", "b"),
        ("  A  =  b  ", "b"),
        ("# A=1\n\nA=b", "b"),
        ("A=1\nA=b", "b"),
        ("A=", ""),
        ("A=b # a comment", "b"),
        ("A=b#c", "b#c"),
        ("A=#b", "#b"),
        ("A=b c", "b c"),
        ("A=b\\n\\t\\", "b\\n\\t\\"),
        ("A=b'c\"d", "b'c\"d"),
        ("A=b=c==", "b=c=="),
        ("A=' b # c '", " b # c "),
        (r"A='b\n\t\"c'", r"b\n\t\"c"),
        (r"A='it\'s \\'", r"it's \\"[:-1]),
        ("A='b' # a comment", "b"),
        ('A=" b # c "', " b # c "),
        (r'A="b\nc\td"', "b\nc\td"),
        (r'A="say \"b\" \\ \'c\'"', "say \"b\" \\ 'c'"),
        (r'A="\a\b\f\r\v"', "\a\b\f\r\v"),
        (r"A='\a\b\f\r\v'", r"\a\b\f\r\v"),
        (r'A="b\dc\$d"', r"b\dc\$d"),
        ('A="b\nc"', "b\nc"),
        ("A='b\nc'", "b\nc"),
        ("A=ä弁", "ä弁"),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_value_of_an_env_file_is_what_the_docs_say(
    tmp_path: Path, text: str, value: str, mark: bytes, line_end: bytes
) -> None:
    (tmp_path / ".env").write_bytes(mark + f"{text}\nB=next\n".encode().replace(b"\n", line_end))

    assert environment_here({}, tmp_path) == {"A": value, "B": "next"}


SERVICE_LINKS = {
    "FLASHRESERVE_SERVICE_HOST": "10.0.0.1",
    "FLASHRESERVE_SERVICE_PORT": "3000",
    "FLASHRESERVE_SERVICE_PORT_HTTP": "3000",
    "FLASHRESERVE_PORT": "tcp://10.0.0.1:3000",
    "FLASHRESERVE_PORT_3000_TCP": "tcp://10.0.0.1:3000",
    "FLASHRESERVE_PORT_3000_TCP_PROTO": "tcp",
    "FLASHRESERVE_PORT_3000_TCP_PORT": "3000",
    "FLASHRESERVE_PORT_3000_TCP_ADDR": "10.0.0.1",
    "FLASHRESERVE_PORT_53_UDP": "udp://[fd00::1]:53",
    "FLASHRESERVE_REDIS_SERVICE_HOST": "10.0.0.2",
    "FLASHRESERVE_STORE_0_PORT": "tcp://10.0.0.2:27017",
    "FLASHRESERVE_REDIS_PORT_6379_TCP_ADDR": "10.0.0.2",
}


def test_variables_of_kubernetes_services_are_ignored_whatever_the_services_are_called(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FLASHRESERVE_PORT=8080\n")

    assert service_links({**SERVICE_LINKS, "FLASHRESERVE_HOST": "::", "KUBERNETES_PORT": "x"}) == sorted(SERVICE_LINKS)
    assert environment_here(SERVICE_LINKS, tmp_path) == {"FLASHRESERVE_PORT": "8080"}
    assert service_links({"FLASHRESERVE_PORT": "3000", "FLASHRESERVE_SERVICE": "x"}) == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_warns_of_kubernetes_variables_once(serve: Callable[..., Running], workers: str) -> None:
    server = serve("--workers", workers, **SERVICE_LINKS)
    for _ in range(int(workers) if workers != "1" else 0):
        server.wait_for("worker ready")

    (warning,) = [line for line in server.stop_and_read() if "Kubernetes" in line["event"]]
    assert warning["level"] == "warning"
    assert "FLASHRESERVE_PORT, FLASHRESERVE_PORT_3000_TCP," in warning["variables"]
    assert "enableServiceLinks: false" in warning["advice"]


def test_doctor_finds_kubernetes_variables(shop: CommandShop) -> None:
    ended = shop.run("doctor", **SERVICE_LINKS)

    assert "warn  environment  variables of a Kubernetes Service ignored: FLASHRESERVE_PORT," in ended.out


@pytest.mark.parametrize("line", ["FLASHRESERVE_PORT", "hunter2 is my password", "=1"])
def test_a_broken_line_of_an_env_file_is_told_by_number_only(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"FLASHRESERVE_PORT=1\n{line}\n")

    with pytest.raises(SettingsError, match=r"\.env, line 2: expected NAME=value$"):
        environment_here({}, tmp_path)


def test_an_env_file_that_can_not_be_read_as_a_file_is_told(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    for target, reason in (("nowhere", "No such file"), (".env", "symbolic links"), (tmp_path, "Is a directory")):
        env.symlink_to(target)
        with pytest.raises(SettingsError, match=rf"\.env can't be read: .*{reason}"):
            environment_here({}, tmp_path)
        env.unlink()
    env.mkdir()
    with pytest.raises(SettingsError, match=r"\.env can't be read: Is a directory"):
        environment_here({}, tmp_path)


def make_pipe(path: Path, text: str) -> None:
    """A named pipe, with a thread that writes to it once a reader opens it."""
    os.mkfifo(path)
    threading.Thread(target=path.write_text, args=(text,), daemon=True).start()


def test_an_env_file_may_be_a_pipe_or_a_link_to_a_file_or_to_nothing(tmp_path: Path) -> None:
    env, target = tmp_path / ".env", tmp_path / "secrets"
    make_pipe(env, "A=b\n")
    assert environment_here({}, tmp_path) == {"A": "b"}
    env.unlink()
    target.write_text("A=c\n")
    env.symlink_to(target)
    assert environment_here({}, tmp_path) == {"A": "c"}
    env.unlink()
    env.symlink_to("/dev/null")
    assert environment_here({}, tmp_path) == {}


def test_an_env_file_without_end_is_read_to_the_most_that_is_allowed(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("/dev/zero")

    with pytest.raises(SettingsError, match=r"\.env: expected at most 262144 bytes"):
        environment_here({}, tmp_path)


def test_a_pipe_for_secrets_that_others_may_open_is_refused_in_production(shop: CommandShop) -> None:
    env = shop.directory / ".env"
    make_pipe(env, "FLASHRESERVE_ENV=production\n")
    env.chmod(0o644)

    ended = shop.run("products", "list")

    assert ended.code == 2
    assert "chmod 600" in ended.err


def test_an_env_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"FLASHRESERVE_HOST=\xff\n")

    with pytest.raises(SettingsError, match=r"\.env: expected UTF-8"):
        environment_here({}, tmp_path)


def test_commands_use_the_env_file_of_the_working_directory_and_of_no_other(shop: CommandShop) -> None:
    (shop.directory / ".env").write_text("FLASHRESERVE_DATA_DIR=elsewhere\n")
    here = shop.directory / "inside"
    here.mkdir()

    shop.run("products", "import", "-", stdin="name,price,stockQuantity\nA,1,1\n")
    assert "elsewhere/flashreserve.db" in shop.files()
    shop.directory = here
    assert shop.finish("audit").code == 3


def test_a_rehearsal_finds_its_secrets_in_the_env_file(shop: CommandShop) -> None:
    options = ("rehearse", "--url", "http://127.0.0.1:1", "--customers", "1", "--units", "1", "--seconds", "0.1")
    without = shop.run(*options)
    (shop.directory / ".env").write_text(f"FLASHRESERVE_SECRET_KEYS={KEYS}\nREHEARSAL_ADMIN_TOKEN=x\n")

    assert (without.code, shop.run(*options).code) == (2, 3)
    assert "--admin-token" in without.err
    assert "--" not in shop.run(*options).err


@pytest.mark.parametrize("line", ["FLASHRESERVE_HOLD_SECONDS=never", "FLASHRESERVE_HOLD_SECOND=9"])
@pytest.mark.parametrize("command", [("products", "list"), ("doctor",)])
def test_a_wrong_line_of_the_env_file_is_told_with_the_file(
    shop: CommandShop, command: tuple[str, ...], line: str
) -> None:
    (shop.directory / ".env").write_text(f"{line}\n")

    ended = shop.run(*command)

    assert ended.code == (1 if command == ("doctor",) else 2)
    assert line.partition("=")[0] in ended.out + ended.err
    assert f"(set in {shop.directory / '.env'})" in ended.out + ended.err


def test_a_wrong_variable_is_not_said_to_be_in_the_env_file(shop: CommandShop) -> None:
    (shop.directory / ".env").write_text("FLASHRESERVE_HOLD_SECONDS=9\n")

    for environment in ({"FLASHRESERVE_HOLD_SECONDS": "never"}, {"FLASHRESERVE_PORT": "no"}):
        ended = shop.run("products", "list", **environment)
        assert ended.code == 2
        assert "set in" not in ended.err
