from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.webhooks.certificates import write_certificate
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

MakeReceiver = Callable[..., ReceiverProcess]


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
