"""Percentiles of latencies, estimated from the counts of a histogram."""

from collections.abc import Sequence
from itertools import pairwise


def percentile_s(share: float, counts: Sequence[float], bounds: Sequence[float]) -> float | None:
    """The latency in seconds below which `share` (0 to 1) of all are; None without any.

    `counts` has the number in each bucket, the last one without a bound. Within a bucket they are taken to be spread
    evenly, as Prometheus' `histogram_quantile` does; in the last bucket, its lower bound is the estimate.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, below = share * total, 0.0
    for count, (low, high) in zip(counts, pairwise((0.0, *bounds)), strict=False):
        if count and below + count >= wanted:
            return low + (high - low) * (wanted - below) / count
        below += count
    return bounds[-1]
