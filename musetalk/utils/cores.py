"""How many processor cores this process may use, and how a render's programs share them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class ThreadShares:
    """Threads of what works at the same time in a render, so that a few cores are not asked for a dozen.

    Attributes:
        decoder: Of the ffmpeg that decodes; beside it faces are looked for, or painted.
        encoder: Of x264, which has most to do.
        vision: Of OpenCV, in each of the stages that run beside each other.
    """

    decoder: int
    encoder: int
    vision: int


def share_threads(cores: int) -> ThreadShares:
    """Share cores: all to the encoder, which has most to do; half to the decoder, which is done before, but two."""
    return ThreadShares(
        decoder=min(8, max(min(2, cores), cores // 2)), encoder=min(16, cores), vision=min(4, max(1, cores // 4))
    )


@lru_cache(maxsize=1)
def usable_cores() -> int:
    """Return how many cores this process may use: those it may run on, and no more than its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = container_quota(_CGROUP)
    return cores if quota is None else max(1, min(cores, quota))


def container_quota(root: Path) -> int | None:
    """Return the processor quota of a container in whole cores, rounded up; None: there is none, or none can be read.

    Args:
        root: Where its control group is mounted, of version 2 or 1.
    """
    try:
        if (root / "cpu.max").is_file():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        return -(-int(quota) // int(period)) if int(quota) > 0 and int(period) > 0 else None
    except (OSError, ValueError):  # "max", or a system without control groups
        return None
