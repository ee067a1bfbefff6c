"""`flashreserve rehearse`: a crowd over real HTTP, and a verdict."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import rich_click as click
from rich.console import Console

from flashreserve.bootstrap import key_ring
from flashreserve.cli.failures import Exit, FailedError, InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import settings_here
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.rehearsal.client import split_url
from flashreserve.rehearsal.fresh_shop import LOG_FILE, clustered, embedded
from flashreserve.rehearsal.plan import Crowd, Shape, Shares
from flashreserve.rehearsal.run import Rehearsal
from flashreserve.rehearsal.run import rehearse as perform
from flashreserve.rehearsal.server import RehearsalError, RehearsalInputError, ServerUnderTest, listed_tokens
from flashreserve.rehearsal.token_mint import minter
from flashreserve.rehearsal.verdict import Verdict
from flashreserve.rehearsal.view import LiveView, PlainView, verdict_table
from flashreserve.rehearsal.watch import Watch, enter_pressed, open_page
from flashreserve.settings import SettingsError

_DEMO: Final[Mapping[str, Any]] = {"hold_seconds": 5, "wait_expiry": True}
PROCESSES_MAX: Final = 16
"""API processes, or workers, of a fresh shop."""

_TOKENS_BYTES_MAX: Final = 256 * 1024 * 1024


def _demo(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if wanted:
        context.default_map = {**(context.default_map or {}), **_DEMO}


@click.command()
@click.option(
    "--demo",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_demo,
    help="A demonstration of half a minute: holds last 5 seconds, and units of lapsed holds are sold again.",
)
@click.option(
    "--engine",
    type=click.Choice(["embedded", "clustered"]),
    default="embedded",
    show_default=True,
    help="The engine of a fresh shop; clustered starts database and queue servers for it (make servers).",
)
@click.option(
    "--apis", type=click.IntRange(1, PROCESSES_MAX), default=2, show_default=True, help="API processes when clustered."
)
@click.option(
    "--workers", type=click.IntRange(1, PROCESSES_MAX), default=2, show_default=True, help="Workers when clustered."
)
@click.option("--customers", default=5_000, show_default=True, help="Customers in the crowd.")
@click.option("--units", default=1_000, show_default=True, help="Units in stock, all products together.")
@click.option("--products", default=1, show_default=True, help="Products that the crowd wants.")
@click.option("--seconds", default=13.0, show_default=True, help="Length of the window in which customers come.")
@click.option(
    "--shape",
    type=click.Choice([shape.value for shape in Shape]),
    default=Shape.SPIKE.value,
    show_default=True,
    help="When customers come: most at the opening, or evenly.",
)
@click.option("--seed", default=1, show_default=True, help="The same seed sends the same crowd.")
@click.option("--confirm-share", default=0.7, show_default=True, help="Share of the crowd that buys what it holds.")
@click.option(
    "--walk-away-share",
    default=0.2,
    show_default=True,
    help="Share that lets its hold lapse. Customers who neither buy nor walk away cancel.",
)
@click.option(
    "--retry-share",
    default=0.1,
    show_default=True,
    help="Share that sends its request again, with the same idempotency key.",
)
@click.option(
    "--double-click-share", default=0.1, show_default=True, help="Share that sends its request twice at once."
)
@click.option("--hold-seconds", default=600, show_default=True, help="How long a hold lasts.")
@click.option(
    "--wait-expiry", is_flag=True, help="Wait until all holds have lapsed, and sell what came back to latecomers."
)
@click.option("--timeout", default=10.0, show_default=True, help="Seconds that a customer waits for one answer.")
@click.option(
    "--url",
    "urls",
    multiple=True,
    help="A running shop instead of a fresh one; give several to spread the crowd over them.",
)
@click.option(
    "--tokens",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --url: a file with a token a line for each customer. By default, signed with this data directory's key.",
)
@click.option(
    "--admin-token",
    envvar="REHEARSAL_ADMIN_TOKEN",
    show_envvar=True,
    help="With --url: an admin's token, to put the products on sale and to read the books.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Print where to watch the sale in the browser, wait for it, and keep the shop open until Enter is pressed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as one JSON object.")
def rehearse(
    engine: str,
    apis: int,
    workers: int,
    customers: int,
    units: int,
    products: int,
    seconds: float,
    shape: str,
    seed: int,
    confirm_share: float,
    walk_away_share: float,
    retry_share: float,
    double_click_share: float,
    hold_seconds: int,
    wait_expiry: bool,  # noqa: FBT001 - click passes by name
    timeout: float,
    urls: tuple[str, ...],
    tokens: Path | None,
    admin_token: str | None,
    watch: bool,  # noqa: FBT001 - click passes by name
    as_json: bool,  # noqa: FBT001 - click passes by name
) -> int:
    """Send a crowd of customers to a shop over real HTTP, and judge how it did.

    Without --url a fresh shop is started for it and audited afterwards. Exit code 1 if anything was oversold, leaked,
    granted twice or answered by an error; 3 if the rehearsal could not take place.
    """
    shares = Shares(
        confirm=confirm_share, walk_away=walk_away_share, retry=retry_share, double_click=double_click_share
    )
    crowd = Crowd(
        seed=seed,
        customers=customers,
        seconds=seconds,
        shape=Shape(shape),
        shares=shares,
        products=products,
        hold_s=hold_seconds,
    )
    rehearsal = Rehearsal(crowd=crowd, units=units, timeout_s=timeout, wait_expiry=wait_expiry)
    _check(rehearsal)
    cluster = _Cluster(apis=apis, workers=workers) if engine == "clustered" else None
    where = _Target(urls=urls, tokens=tokens, admin_token=admin_token, cluster=cluster, watch=watch)
    where.check()
    verdict = _run(rehearsal, where)
    click.echo(msgspec.json.encode(verdict)) if as_json else Console().print(verdict_table(verdict))
    return Exit.DONE if verdict.passed else Exit.FAILED


def _check(rehearsal: Rehearsal) -> None:
    """Refuse invalid options of the crowd."""
    try:
        rehearsal.check()
    except ValueError as error:
        raise click.UsageError(str(error)) from error


class _Cluster(msgspec.Struct, frozen=True):
    """A fresh shop's numbers of API processes and workers on the clustered engine."""

    apis: int
    workers: int


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """The shop that the crowd goes to: a fresh one, or the running one at `urls`."""

    urls: tuple[str, ...]
    tokens: Path | None
    admin_token: str | None
    cluster: _Cluster | None = None
    watch: bool = False

    def check(self) -> None:
        """Refuse options that exclude each other."""
        if not self.urls:
            if self.tokens is not None:
                raise click.UsageError("--tokens: only with --url; a fresh shop makes its own")
            return
        if self.cluster is not None:
            raise click.UsageError("--engine: not with --url, which names a shop that runs already")
        if self.watch:
            raise click.UsageError("--watch: not with --url; a running shop has its pages at /demo and /admin")
        for url in self.urls:
            try:
                split_url(url)
            except ValueError as error:
                raise click.UsageError(f"--{error}") from error
        if not self.admin_token:
            raise click.UsageError("--admin-token: expected with --url, here or as REHEARSAL_ADMIN_TOKEN")

    @contextlib.asynccontextmanager
    async def shop(self, data_dir: Path) -> AsyncIterator[ServerUnderTest]:
        """The shop, open; a fresh one lives in `data_dir`."""
        ids, clock = SystemIds(), SystemClock()
        if self.cluster is not None:
            async with clustered(data_dir, ids, clock, apis=self.cluster.apis, workers=self.cluster.workers) as server:
                yield server
        elif not self.urls:
            async with embedded(data_dir, ids, clock) as server:
                yield server
        else:
            yield ServerUnderTest(urls=self.urls, admin_token=self.admin_token or "", mint=_mint(self.tokens))


def _mint(tokens: Path | None) -> Callable[[int], Sequence[str]]:
    """Makes customers' tokens for a running shop: listed ones, or signed with the key of the settings here."""
    if tokens is not None:
        return listed_tokens(_read_tokens(tokens))
    try:
        settings = settings_here()
        if settings.production:
            raise RehearsalInputError("--tokens: expected with --url in production, where no tokens are made up")
        return minter(key_ring(settings, create=False), SystemIds(), SystemClock(), ttl_s=settings.token_s)
    except SettingsError as error:
        raise RehearsalInputError(
            f"--tokens: expected with --url, since the shop's key can't be read here: {error}"
        ) from error


def _run(rehearsal: Rehearsal, where: _Target) -> Verdict:
    """Perform the rehearsal. If it doesn't pass, a fresh shop's data and log are kept, and their place is printed."""
    data_dir = Path(tempfile.mkdtemp(prefix="flashreserve-rehearsal-"))
    telling = False
    try:
        verdict = interrupts.run(_perform(rehearsal, where, data_dir))
        telling = not verdict.passed
    except RehearsalInputError as error:
        raise InputError(str(error)) from error
    except RehearsalError as error:
        telling = True
        raise FailedError(str(error)) from error
    else:
        return verdict
    finally:
        if telling and any(data_dir.iterdir()):
            click.echo(f"The shop's data and its {LOG_FILE} are kept in {data_dir}", err=True)
        else:
            shutil.rmtree(data_dir)


async def _perform(rehearsal: Rehearsal, where: _Target, data_dir: Path) -> Verdict:
    clock, console = SystemClock(), Console(stderr=True)
    async with where.shop(data_dir) as server:
        watch = Watch(partial(_tell, console), enter_pressed, open_page) if where.watch else None
        with LiveView(console) if console.is_terminal else PlainView(console, clock) as view:
            run_id = SystemIds().new()
            return await perform(rehearsal, server, run_id=run_id, clock=clock, show=view.show, watch=watch)


def _tell(console: Console, text: str) -> None:
    """Print a line above the live view. It is not wrapped, so that an address can be copied."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def _read_tokens(file: Path) -> list[str]:
    if file.stat().st_size > _TOKENS_BYTES_MAX:
        raise RehearsalInputError(f"{file}: expected at most {_TOKENS_BYTES_MAX:,} bytes of tokens")
    tokens = []
    for number, line in enumerate(file.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        token = line.strip()
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise RehearsalInputError(f"{file}, line {number}: expected one token, of letters, digits, dots, dashes")
        tokens += [token] if token else []
    return tokens
