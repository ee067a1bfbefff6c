"""The processors that this process may use: in a container, often fewer than the machine has."""

import os
from pathlib import Path
from typing import Final

_QUOTA_FILE: Final = Path("/sys/fs/cgroup/cpu.max")
"""The quota of the container's own cgroup (v2): microseconds of processor time, and the period for using them."""


def usable_processors() -> int:
    """The number of processors by affinity (cpusets, taskset) and the cgroup's quota (Docker's `cpus`); at least 1."""
    # macOS has no affinity.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota(allowed)))


def _quota(unlimited: int) -> int:
    """The quota in whole processors; `unlimited` if there is none, or it can't be read."""
    try:
        time_us, _, period_us = _QUOTA_FILE.read_text().partition(" ")
        return int(time_us) // int(period_us)
    except (OSError, ValueError):  # No cgroup v2, or the quota is "max".
        return unlimited
