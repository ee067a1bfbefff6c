"""A process that only serves still reports lapsed holds that aren't released, and unreadable documents."""

import pytest
from tests.clustered.conftest import Cluster
from tests.clustered.test_processes import hold, hot, process

from flashreserve.bootstrap.backlog import LATE_S, Backlog
from flashreserve.jobs.sweep import sweep_once
from flashreserve.metrics import Metrics, render

pytestmark = pytest.mark.mongodb


async def test_holds_that_nobody_releases_and_documents_that_cannot_be_read_show(cluster: Cluster) -> None:
    async with process(cluster) as (core, _):
        first = (await hold(core, await hot(core))).reservation
        now = first.expires_at
        backlog, metrics = Backlog(core.books.store, lambda: now), Metrics()
        backlog.show(metrics)

        async def states() -> dict[str, tuple[bool, str]]:
            await backlog.measure()
            checks = backlog.checks()
            assert not any(check.needed for check in checks)
            return {check.name: (check.ok, check.detail) for check in checks}

        now = first.expires_at - 1
        assert await states() == {
            "sweep": (True, "no lapsed hold waits"),
            "documents": (True, "0 are set aside"),
        }
        now = first.expires_at + 1 + 1000 * int(LATE_S)
        assert (await states())["sweep"] == (False, "the longest lapsed hold waits for 15.0 s")
        assert b"flashreserve_oldest_due_seconds 15.001" in render(metrics.families())
        with cluster.client() as client:
            client[cluster.database].products.delete_many({})
        assert await sweep_once(core.books.store, now) == 0
        said = (
            f"1 are set aside; the first is reservation {first.id}: its product {first.lines[0].product_id} isn't there"
        )
        assert (await states())["documents"] == (False, said)
        assert b"flashreserve_set_aside 1.0" in render(metrics.families())
