"""Where a batch is done: what `--on` names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from musetalk.batch.executor import Engine, Executor
from musetalk.batch.in_process import InProcess
from musetalk.batch.pool import ProcessPool
from musetalk.errors import SettingsError

HERE = "local:0"
_LOCAL = re.compile(r"local:(\d{1,4})")


def render_engine() -> Engine:
    """Make the engine of a worker process."""
    from musetalk.lipsync import LipSync  # noqa: PLC0415 - slow to import, and not for the driver

    return LipSync(own_process=True)


def check_place(on: str) -> None:
    """Make sure that there is such a place.

    Raises:
        SettingsError: There is not.
    """
    if not _LOCAL.fullmatch(on):
        raise SettingsError(f'"{on}" is no place to render on', "give local:N, N worker processes of this machine")


@contextmanager
def open_executor(on: str, engine: Engine) -> Iterator[Executor]:
    """Have workers while the `with` block runs.

    Args:
        on: "local:0": this process; "local:N": N processes on this machine.
        engine: What renders in this process.

    Raises:
        SettingsError: There is no such place.
    """
    check_place(on)
    count = int(on.partition(":")[2])
    with InProcess(engine) if count == 0 else ProcessPool(count, render_engine) as executor:
        yield executor
