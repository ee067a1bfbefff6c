"""Cheap counters, and their sum over all processes of a machine, which Prometheus reads.

A count is one addition to a plain number, without locks: all code that counts runs on the event loop. If a machine runs
several processes, each writes its counts to a file of its own in a shared directory once a second. The process that is
asked for the metrics adds the others' files to its own numbers. A process that replaces a dead one goes on from its
file, so that no count ever goes back.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override

from flashreserve.decode_errors import DECODE_ERRORS
from flashreserve.files import read_regular, write_anew

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
LATENCY_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CELLS_MAX: Final = 2_000
"""Combinations of label values that one metric keeps apart; later ones are counted as `other`."""

FILES_MAX: Final = 256
"""Processes of one machine that are added up."""

METRICS_SUFFIXES: Final = frozenset({".metrics", ".new"})
"""Suffixes of the files that processes share, and of those being written."""

FILE_BYTES_MAX: Final = 16 * 1024**2
"""Bytes of one process's file; all cells of all metrics need a tenth of it."""

FRESH_MS: Final = 10_000
"""A process that hasn't written for this long may be dead: its gauges are left out, and its counters stay."""

Kind = Literal["counter", "gauge_sum", "gauge_max", "histogram"]


class Cell:
    """One number; count by `cell.count += 1`."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count: float = 0


class Counter:
    """Numbers that only grow, one for each combination of label values."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self.name = name
        self.documentation = documentation
        self.labels = tuple(labels)
        self._cells: dict[tuple[str, ...], Cell] = {}

    def cell(self, *values: str) -> Cell:
        """The cell for these label values. Callers on a hot path keep it."""
        cell = self._cells.get(values)
        if cell is None:
            values = _within_bounds(values, self.labels, len(self._cells))
            cell = self._cells.setdefault(values, Cell())
        return cell

    def family(self) -> "Family":
        """The current numbers."""
        samples = {values: [cell.count] for values, cell in self._cells.items()}
        return Family(self.name, self.documentation, "counter", self.labels, samples)

    def restore(self, family: "Family") -> None:
        """Go on from what an earlier process had counted."""
        for values, numbers in family.samples.items():
            self.cell(*values).count += numbers[0]


class Distribution:
    """How many observations fell below each bound, and their sum."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value


class Histogram:
    """A distribution for each combination of label values."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self.name = name
        self.documentation = documentation
        self.labels = tuple(labels)
        self.bounds = tuple(bounds)
        self._cells: dict[tuple[str, ...], Distribution] = {}

    def cell(self, *values: str) -> Distribution:
        """The distribution for these label values. Callers on a hot path keep it."""
        cell = self._cells.get(values)
        if cell is None:
            values = _within_bounds(values, self.labels, len(self._cells))
            cell = self._cells.setdefault(values, Distribution(self.bounds))
        return cell

    def family(self) -> "Family":
        """The current distributions."""
        samples = {values: [*cell.buckets, cell.total] for values, cell in self._cells.items()}
        return Family(self.name, self.documentation, "histogram", self.labels, samples, self.bounds)

    def restore(self, family: "Family") -> None:
        """Go on from what an earlier process had counted."""
        for values, numbers in family.samples.items():
            cell = self.cell(*values)
            cell.buckets = [mine + int(theirs) for mine, theirs in zip(cell.buckets, numbers, strict=False)]
            cell.total += numbers[-1]


class Gauge:
    """A number that is read when it is needed."""

    def __init__(self, name: str, documentation: str, kind: Kind, read: Callable[[], float]) -> None:
        self.name = name
        self.documentation = documentation
        self._kind = kind
        self._read = read

    def family(self) -> "Family":
        """The current number."""
        return Family(self.name, self.documentation, self._kind, (), {(): [self._read()]})

    def restore(self, family: "Family") -> None:
        """Do nothing: a gauge shows the present."""


class Family(msgspec.Struct, frozen=True, array_like=True):
    """The counts of one metric, in one process or in several.

    `samples` holds one number for each combination of label values; for a histogram, the count of each bucket (not
    cumulated, the last one without a bound) and the sum of all values.
    """

    name: str
    documentation: str
    kind: Kind
    labels: tuple[str, ...]
    samples: dict[tuple[str, ...], list[float]]
    bounds: tuple[float, ...] = ()

    def fits(self, other: "Family") -> bool:
        """Whether both count the same thing. After an update of the service they may differ."""
        return (self.name, self.kind, self.labels, self.bounds) == (other.name, other.kind, other.labels, other.bounds)


_M = TypeVar("_M", Counter, Histogram, Gauge)


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        self._metrics: dict[str, Counter | Histogram | Gauge] = {}

    def counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
        """A new counter; its `name` has no `_total`, which Prometheus' format adds."""
        return self._keep(Counter(name, documentation, labels))

    def histogram(
        self, name: str, documentation: str, labels: Sequence[str] = (), *, bounds: Sequence[float] = LATENCY_BOUNDS_S
    ) -> Histogram:
        """A new histogram; `bounds` are the upper bounds of its buckets, ascending, infinity left out."""
        return self._keep(Histogram(name, documentation, labels, bounds))

    def gauge(
        self, name: str, documentation: str, read: Callable[[], float], *, of_all: Literal["sum", "max"]
    ) -> Gauge:
        """A new gauge, read by calling `read`. `of_all`: how the values of several processes are combined."""
        return self._keep(Gauge(name, documentation, "gauge_sum" if of_all == "sum" else "gauge_max", read))

    def families(self) -> list[Family]:
        """The current counts of every metric."""
        return [metric.family() for metric in self._metrics.values()]

    def restore(self, families: Iterable[Family]) -> None:
        """Go on from the counts of an earlier process. Metrics that this one doesn't have are left out."""
        for family in families:
            metric = self._metrics.get(family.name)
            if metric is not None and metric.family().fits(family):
                metric.restore(family)

    def _keep(self, metric: _M) -> _M:
        if metric.name in self._metrics:
            raise ValueError(f"there is already a metric {metric.name!r}")
        self._metrics[metric.name] = metric
        return metric


class Written(msgspec.Struct, frozen=True, array_like=True):
    """A process's file: its counts at `at_ms`."""

    at_ms: int
    families: list[Family]


class SharedMetrics:
    """One process's view of the counts of all processes of the machine.

    `place` is the process's own name in `directory`, and no other running process has it. A process that replaces
    another one takes over its place and its counts. The parent process empties the directory before it starts them.
    """

    def __init__(self, metrics: Metrics, directory: Path, place: str, now_ms: Callable[[], int]) -> None:
        self._metrics = metrics
        self._directory = directory
        self._file = directory / f"{place}.metrics"
        self._now_ms = now_ms

    def take_over(self) -> None:
        """Go on from the counts of the process that had this place before. Called once, at the start."""
        before = _read(self._file)
        if before is not None:
            self._metrics.restore(before.families)

    def snapshot(self) -> bytes:
        """The content of the file, for `write`."""
        return _to_file.encode(Written(self._now_ms(), self._metrics.families()))

    def write(self, snapshot: bytes) -> None:
        """Write the snapshot to the file that the other processes read. Uses the disk: called on a thread."""
        fresh = self._file.with_suffix(".new")
        write_anew(fresh, snapshot)
        fresh.replace(self._file)

    def total(self) -> list[Family]:
        """The current counts of this process plus those that the others wrote last. Uses the disk."""
        return add_up([self._metrics.families(), *self._others()])

    def _others(self) -> Iterator[list[Family]]:
        now_ms = self._now_ms()
        for path in sorted(self._directory.glob("*.metrics"))[:FILES_MAX]:
            written = _read(path) if path != self._file else None
            if written is not None:
                fresh = now_ms - written.at_ms <= FRESH_MS
                yield [family for family in written.families if fresh or not family.kind.startswith("gauge")]


def add_up(processes: Iterable[Sequence[Family]]) -> list[Family]:
    """Add up the counts of several processes. If two count different things under one name, the first one counts."""
    total: dict[str, Family] = {}
    for family in (family for families in processes for family in families):
        before = total.get(family.name)
        if before is None:
            total[family.name] = family
        elif before.fits(family):
            total[family.name] = _sum(before, family)
    return list(total.values())


def render(families: Iterable[Family]) -> bytes:
    """The metrics in Prometheus' text format; send it with `CONTENT_TYPE`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(registry)


def _sum(one: Family, other: Family) -> Family:
    combine = max if one.kind == "gauge_max" else float.__add__
    samples = dict(one.samples)
    for values, numbers in other.samples.items():
        mine = samples.get(values)
        samples[values] = (
            numbers if mine is None else [combine(float(a), float(b)) for a, b in zip(mine, numbers, strict=True)]
        )
    return Family(one.name, one.documentation, one.kind, one.labels, samples, one.bounds)


class _Families(Collector):
    """Passes the families to prometheus_client."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    @override
    def collect(self) -> Iterable[Metric]:
        return map(_prometheus, self._families)


def _prometheus(family: Family) -> Metric:
    match family.kind:
        case "histogram":
            return _prometheus_histogram(family)
        case "counter":
            counter = CounterMetricFamily(family.name, family.documentation, labels=family.labels)
            for values, numbers in family.samples.items():
                counter.add_metric(values, numbers[0])
            return counter
        case "gauge_sum" | "gauge_max":
            return GaugeMetricFamily(family.name, family.documentation, value=family.samples[()][0])


def _prometheus_histogram(family: Family) -> HistogramMetricFamily:
    histogram = HistogramMetricFamily(family.name, family.documentation, labels=family.labels)
    names = [*map(floatToGoString, family.bounds), "+Inf"]
    for values, numbers in family.samples.items():
        cumulated = accumulate(numbers[:-1])
        histogram.add_metric(values, list(zip(names, cumulated, strict=True)), sum_value=numbers[-1])
    return histogram


def _within_bounds(values: tuple[str, ...], labels: tuple[str, ...], cells: int) -> tuple[str, ...]:
    if len(values) != len(labels):
        raise ValueError(f"expected a value for each of the labels {labels}, not {values}")
    return values if cells < CELLS_MAX else ("other",) * len(labels)


def _read(path: Path) -> Written | None:
    """A process's file; None if there is none, or if an update of the service has changed its format."""
    content = read_regular(path, bytes_max=FILE_BYTES_MAX)
    try:
        return None if content is None else _from_file.decode(content)
    except DECODE_ERRORS:
        return None


_to_file: Final = msgspec.msgpack.Encoder()
_from_file: Final = msgspec.msgpack.Decoder(Written)
