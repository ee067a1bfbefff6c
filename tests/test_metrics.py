"""Counters, histograms and gauges, and their sum over the processes of a machine."""

from pathlib import Path

import pytest

from flashreserve.metrics import CELLS_MAX, FRESH_MS, Metrics, SharedMetrics, add_up, render


class SetClock:
    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


def counting() -> Metrics:
    """A process's metrics, the same in every process."""
    metrics = Metrics()
    metrics.counter("sold", "Units sold", ("product",))
    metrics.histogram("took_seconds", "How long it took", ("route",), bounds=(0.1, 1.0))
    return metrics


def sell(metrics: Metrics, product: str, units: int) -> None:
    counter = metrics._metrics["sold"]
    counter.cell(product).count += units  # type: ignore[union-attr]


def take(metrics: Metrics, seconds: float) -> None:
    metrics._metrics["took_seconds"].cell("/a").observe(seconds)  # type: ignore[union-attr]


def shown(page: bytes) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in page.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_counters_are_shown_by_label() -> None:
    metrics = counting()
    sell(metrics, "a", 2)
    sell(metrics, 'with "quotes"\n', 1)
    sell(metrics, "a", 1)
    page = shown(render(metrics.families()))
    assert page['sold_total{product="a"}'] == 3
    assert page[r'sold_total{product="with \"quotes\"\n"}'] == 1


def test_a_histogram_counts_up_to_and_including_each_bound() -> None:
    metrics = counting()
    for seconds in (0.05, 0.1, 0.2, 5.0):
        take(metrics, seconds)
    page = shown(render(metrics.families()))
    assert page['took_seconds_bucket{le="0.1",route="/a"}'] == 2
    assert page['took_seconds_bucket{le="1.0",route="/a"}'] == 3
    assert page['took_seconds_bucket{le="+Inf",route="/a"}'] == page['took_seconds_count{route="/a"}'] == 4
    assert page['took_seconds_sum{route="/a"}'] == pytest.approx(5.35)


def test_a_gauge_is_read_when_it_is_asked_for() -> None:
    metrics = Metrics()
    values = iter([1.0, 7.0])
    metrics.gauge("queued", "Waiting", lambda: next(values), of_all="sum")
    assert [shown(render(metrics.families()))["queued"] for _ in range(2)] == [1, 7]


def test_two_metrics_cannot_have_one_name() -> None:
    metrics = counting()
    with pytest.raises(ValueError, match="there is already a metric 'sold'"):
        metrics.gauge("sold", "Again", lambda: 0, of_all="max")


def test_labels_that_grow_without_bound_are_counted_as_other() -> None:
    metrics = counting()
    for product in range(CELLS_MAX + 50):
        sell(metrics, str(product), 1)
    page = shown(render(metrics.families()))
    assert len(page) == CELLS_MAX + 1
    assert page['sold_total{product="other"}'] == 50


def test_a_missing_label_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a value for each of the labels"):
        counting().counter("more", "More", ("a", "b")).cell("only one")


def test_processes_are_summed(tmp_path: Path) -> None:
    processes = [counting() for _ in range(3)]
    views = [SharedMetrics(metrics, tmp_path, str(n), SetClock()) for n, metrics in enumerate(processes)]
    for n, (metrics, view) in enumerate(zip(processes, views, strict=True)):
        sell(metrics, "a", n + 1)
        sell(metrics, f"only {n}", 1)
        take(metrics, 0.5)
        view.write(view.snapshot())
    sell(processes[0], "a", 10)
    page = shown(render(views[0].total()))
    assert page['sold_total{product="a"}'] == 16
    assert page['sold_total{product="only 2"}'] == 1
    assert page['took_seconds_bucket{le="1.0",route="/a"}'] == 3
    assert page['took_seconds_sum{route="/a"}'] == pytest.approx(1.5)


def test_a_process_that_takes_another_s_place_goes_on_from_its_counts(tmp_path: Path) -> None:
    before = counting()
    sell(before, "a", 5)
    take(before, 0.5)
    dead = SharedMetrics(before, tmp_path, "0", SetClock())
    dead.write(dead.snapshot())
    after = counting()
    heir = SharedMetrics(after, tmp_path, "0", SetClock())
    heir.take_over()
    sell(after, "a", 1)
    page = shown(render(heir.total()))
    assert page['sold_total{product="a"}'] == 6
    assert page['took_seconds_count{route="/a"}'] == 1


def test_gauges_are_summed_or_the_highest_counts_and_those_of_the_dead_do_not(tmp_path: Path) -> None:
    clock = SetClock()
    views = []
    for n in (1, 2):
        metrics = counting()
        sell(metrics, "a", n)
        metrics.gauge("queued", "Waiting", lambda n=n: float(n), of_all="sum")  # type: ignore[misc]
        metrics.gauge("offset", "Apart", lambda n=n: float(n), of_all="max")  # type: ignore[misc]
        views.append(SharedMetrics(metrics, tmp_path, str(n), clock))
        views[-1].write(views[-1].snapshot())
    page = shown(render(views[0].total()))
    assert (page["queued"], page["offset"]) == (3, 2)
    clock.now_ms = FRESH_MS + 1
    page = shown(render(views[0].total()))
    assert (page["queued"], page["offset"], page['sold_total{product="a"}']) == (1, 1, 3)


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "9.metrics").write_bytes(b"\x93\x01rubbish")
    (tmp_path / "8.metrics").write_bytes(b"")
    sold = counting()
    sell(sold, "a", 5)
    other = SharedMetrics(sold, tmp_path, "7", SetClock())
    other.write(other.snapshot())
    file = tmp_path / "7.metrics"
    file.write_bytes(file.read_bytes().replace(b"Units", b"\xffnits"))
    metrics = counting()
    sell(metrics, "a", 1)
    view = SharedMetrics(metrics, tmp_path, "8", SetClock())
    view.take_over()
    assert shown(render(view.total()))['sold_total{product="a"}'] == 1


def test_a_metric_that_another_version_defines_otherwise_is_not_added() -> None:
    new, old = counting(), Metrics()
    sell(new, "a", 1)
    old.counter("sold", "Units sold", ("shop", "product")).cell("s", "a").count += 5
    assert shown(render(add_up([new.families(), old.families()])))['sold_total{product="a"}'] == 1
    new.restore(old.families())
    assert shown(render(new.families()))['sold_total{product="a"}'] == 1
