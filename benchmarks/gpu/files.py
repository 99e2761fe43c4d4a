"""The weights that the other parts load, as files in the published layout."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.gpu.part import Task


def measure(task: Task) -> None:
    """Write them."""
    task.models.mkdir()
    began = time.perf_counter()
    if task.smoke:
        from tests.helpers.tiny_checkpoints import write_all  # noqa: PLC0415 - only where the tests are

        write_all(task.models)
    else:
        from benchmarks.full_size import claim_models, write_latentsync, write_models  # noqa: PLC0415 - loads torch

        with ThreadPoolExecutor() as threads:
            for written in [threads.submit(write, task.models) for write in (write_latentsync, write_models)]:
                written.result()
        claim_models(task.models)
    size = sum(path.stat().st_size for path in task.models.glob("*/*"))
    task.findings.say(f"{size / 1e9:.1f} GB, written and hashed in {time.perf_counter() - began:.0f} s.")
