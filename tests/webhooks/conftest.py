import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
import uvloop
from tests.webhooks.certificates import write_certificate
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
"""The sender's tests run on both: servers use uvloop, commands asyncio."""

MakeReceiver = Callable[..., ReceiverProcess]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    on_both = item.path.name in {"test_sender.py", "test_name_resolver.py"}
    return LOOPS if on_both else {"asyncio": LOOPS["asyncio"]}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a certificate for 127.0.0.1 and localhost, and its key."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "certificate.pem")


@pytest.fixture
def make_receiver(tmp_path: Path) -> Iterator[MakeReceiver]:
    """Starts receivers for this test, with a plan and perhaps a certificate."""
    with ExitStack() as running:

        def make(plan: ReceiverPlan | None = None, certificate: Path | None = None) -> ReceiverProcess:
            record = tmp_path / f"received{len(list(tmp_path.glob('received*')))}.jsonl"
            record.touch()
            return running.enter_context(ReceiverProcess(record, plan, certificate))

        yield make
