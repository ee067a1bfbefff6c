"""Schemathesis tests the running API against its OpenAPI document."""

import asyncio
import json
import os
import re
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.http.shop import HttpShop, open_shop
from tests.schemathesis import scene
from tests.schemathesis.scene import SceneTokens

from flashreserve.clock import SystemClock
from flashreserve.http.operations import OPERATIONS

CONFIG = Path(__file__).with_name("schemathesis.toml")
OWN_CHECK = Path(__file__).with_name("released.py")
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
LEFT_OUT = {
    "followStock": "a stream has no end that Schemathesis could wait for",
    "followOverview": "the same",
    "eraseCustomer": "it takes ten seconds by design, and would erase the caller",
}
"""Operations that Schemathesis doesn't test, by the reason. tests/http tests them."""

TESTED = len(OPERATIONS) - len(LEFT_OUT)
ANSWERS_BY_DEFAULT = ["2xx", "3xx", "401", "403", "404", "409", "429", "5xx"]
REFUSALS = {"400", "410", "422"}


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[HttpShop]:
    """The running shop. It is audited when it closes: rule 1 must hold after all requests by Schemathesis."""
    seams = {"try_rates": scene.UNHINDERED}
    async with open_shop(tmp_path, SystemClock(), sweeps=True, seams=seams) as running:
        yield running


@pytest.fixture
async def tokens(shop: HttpShop) -> SceneTokens:
    return await scene.prepare(shop)


@pytest.mark.parametrize("who", ["admin", "customer"])
async def test_requests_of_the_document_are_answered_as_documented(
    who: str, shop: HttpShop, tokens: SceneTokens, tmp_path: Path
) -> None:
    said = await go_through(shop, tokens, who, tmp_path, "--phases", "examples,coverage")

    assert f"Tested: {TESTED}\n" in said, said


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("who", ["admin", "customer"])
async def test_random_requests_are_answered_as_documented(
    who: str, shop: HttpShop, tokens: SceneTokens, tmp_path: Path
) -> None:
    said = await go_through(shop, tokens, who, tmp_path, "--max-examples", "50")

    assert f"Tested: {TESTED}\n" in said, said
    assert re.search(r"API Links: +[1-9]", said), said


async def go_through(shop: HttpShop, tokens: SceneTokens, who: str, tmp_path: Path, *options: str) -> str:
    """Let Schemathesis test the API as `who`, and return its report. The test fails on any finding."""
    users = {"caller": getattr(tokens, who), "another": tokens.another}
    (tmp_path / "accounts.json").write_text(json.dumps({"auth": [_user(*user) for user in users.items()]}))
    process = await asyncio.create_subprocess_exec(
        SCHEMATHESIS,
        f"--config-file={CONFIG}",
        "run",
        f"{shop.url}/openapi.json",
        # Schemathesis leaves out the address of the document itself, unless a pattern includes it.
        "--include-path-regex=.",
        *(f"--exclude-operation-id={name}" for name in LEFT_OUT),
        "--generation-database=none",
        "--no-color",
        *options,
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(OWN_CHECK), "COLUMNS": "120"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = output.decode()
    assert process.returncode == 0, said
    return said


def _user(name: str, token: str) -> dict[str, Any]:
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}


@pytest.fixture
def config() -> dict[str, Any]:
    return tomllib.loads(CONFIG.read_text())


def test_only_the_check_that_ours_replaces_is_left_out(config: dict[str, Any]) -> None:
    switches = {path: value for path, value in _leaves(config) if path[-1] == "enabled"}

    assert switches == {
        ("checks", "enabled"): True,
        ("operations", "getReservation", "checks", "use_after_free", "enabled"): False,
    }


def test_only_refusals_that_a_schema_cannot_foresee_are_accepted_as_well(config: dict[str, Any]) -> None:
    expected = [value for path, value in _leaves(config) if path[-1] == "expected-statuses"]

    assert expected
    for statuses in expected:
        assert statuses[: len(ANSWERS_BY_DEFAULT)] == ANSWERS_BY_DEFAULT
        assert REFUSALS.issuperset(statuses[len(ANSWERS_BY_DEFAULT) :])


def test_a_reason_is_given_for_each_accepted_refusal(config: dict[str, Any]) -> None:
    for section in CONFIG.read_text().split("[[operations]]")[1:]:
        listed = re.search(r"^checks\.positive_data_acceptance\.expected-statuses = (.*)$", section, re.MULTILINE)
        reasons = set(re.findall(r"^# (\d{3}): ", section, re.MULTILINE))

        assert reasons == set(json.loads(listed[1]) if listed else []) - set(ANSWERS_BY_DEFAULT), section


def test_all_that_the_configuration_names_exists(config: dict[str, Any]) -> None:
    named = [name for section in config["operations"] for name in _names(section["include-operation-id"])]

    assert config["dictionaries"]["products"]["values"] == scene.PRODUCT_IDS
    assert config["dictionaries"]["reservations"]["values"] == scene.RESERVATION_IDS
    assert {operation.name for operation in OPERATIONS}.issuperset(named)
    assert len(named) == len(set(named))


def _names(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _leaves(branch, (*path, name))
    elif path == ("operations",):
        for operation in tree:
            yield from _leaves(operation, (*path, ", ".join(_names(operation["include-operation-id"]))))
    else:
        yield path, tree
