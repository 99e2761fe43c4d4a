"""Where renders are made: what `--on` of batches and `--workers` of the app name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

from musetalk.batch.cluster.connection import connected
from musetalk.batch.cluster.pool import CPUS, RayPool, Waiting
from musetalk.batch.executor import Engine, EngineFactory, Executor
from musetalk.batch.in_process import InProcess
from musetalk.batch.pool import ProcessPool
from musetalk.errors import SettingsError
from musetalk.utils.cores import share_threads, usable_cores
from musetalk.utils.files import readable
from musetalk.utils.units import counted

HERE = "local:0"
_OPTION = r"(?:cpus|wait)=[1-9][0-9]{0,3}"
_RAY = re.compile(rf"(ray:auto|ray://[^\s/?]+)(?:\?({_OPTION}(?:&{_OPTION})*))?")
_LOCAL = re.compile(r"local:(\d{1,4})")


def render_engine(encoder_threads: int | None = None) -> Engine:
    """Make the engine of a worker.

    Args:
        encoder_threads: Of x264, whose bits depend on their number: so workers of several sizes make parts of one
            video; None: as many as fit the machine.
    """
    from musetalk.lipsync import LipSync  # noqa: PLC0415 - slow to import, and not for the driver

    if encoder_threads is None:
        return LipSync(own_process=True)
    from musetalk.batch.same_threads import SameThreads  # noqa: PLC0415 - the same

    return SameThreads(LipSync(own_process=True), encoder_threads)


def render_engine_alike() -> EngineFactory:
    """Return what makes engines, on machines of any size, whose videos are those of this one."""
    return partial(render_engine, share_threads(usable_cores()).encoder)


def check_place(on: str) -> None:
    """Make sure that there is such a place.

    Raises:
        SettingsError: There is not.
    """
    cluster = _RAY.fullmatch(on)
    names = [] if cluster is None else [name for name, _ in _options(cluster)]
    if (cluster is None and not _LOCAL.fullmatch(on)) or len(set(names)) < len(names):
        options = "a cluster, with ?cpus=N, ?wait=MINUTES or ?cpus=N&wait=MINUTES behind it (1 to 9999)"
        remedy = f"give local:N, N worker processes of this machine; ray:auto or ray://HOST:PORT, {options}"
        raise SettingsError(f'"{readable(on)}" is no place to render on', remedy)


def _options(cluster: re.Match[str]) -> list[tuple[str, int]]:
    """Return what is said behind a cluster, in order."""
    said = (each.partition("=") for each in (cluster[2] or "").split("&") if each)
    return [(name, int(value)) for name, _, value in said]


def describe_place(on: str) -> str:
    """Return what a place is, for people."""
    cluster = _RAY.fullmatch(on)
    if cluster is not None:
        address = "this machine's Ray cluster" if cluster[1] == "ray:auto" else f"the Ray cluster {cluster[1]}"
        return f"workers of {address}"
    count = int(on.partition(":")[2])
    return f"{counted(count, 'worker')} on this machine" if count else "this process"


@contextmanager
def reached(on: str) -> Iterator[None]:
    """Be connected to a place, if that is a cluster, while the `with` block runs.

    Args:
        on: "local:0": this process; "local:N": N processes on this machine; "ray:auto": the Ray cluster that this
            machine is in; "ray://HOST:PORT": one that Ray's client reaches. Behind these may be "?cpus=N", how many
            CPUs a worker without a GPU takes, and "?wait=MINUTES", for how long machines, or what others hold of them,
            are waited for where no worker is there; with both: "?cpus=N&wait=MINUTES".

    Raises:
        SettingsError: There is no such place.
        PackageError: Ray is missing.
        BackendError: The cluster cannot be reached.
    """
    check_place(on)
    cluster = _RAY.fullmatch(on)
    with nullcontext() if cluster is None else connected("auto" if cluster[1] == "ray:auto" else cluster[1]):
        yield


@contextmanager
def open_executor(on: str, engine: Engine, *, again: float | None = None) -> Iterator[Executor]:
    """Have workers while the `with` block runs.

    Args:
        on: Where; it is `reached`.
        engine: What renders in this process.
        again: See `RayPool`; without it, a cluster that has no machine for a worker is refused.

    Raises:
        BackendError: They cannot be started.
    """
    with _executor(on, engine, again) as executor:
        yield executor


def _executor(on: str, engine: Engine, again: float | None) -> InProcess | ProcessPool | RayPool:
    cluster = _RAY.fullmatch(on)
    if cluster is None:
        count = int(on.partition(":")[2])
        return InProcess(engine) if count == 0 else ProcessPool(count, render_engine)
    options = dict(_options(cluster))
    waiting = Waiting(at_first=again is not None)
    if "wait" in options:
        seconds = 60.0 * options["wait"]
        waiting = Waiting(seconds, seconds, at_first=True)
    return RayPool(render_engine_alike(), cpus=options.get("cpus", CPUS), waiting=waiting, again=again)
