"""The connection of this process to a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from musetalk.errors import BackendError, PackageError, one_line

_TRIES = "RAY_gcs_server_port_wait_time_s"  # read when a driver connects: how often it tries


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to a cluster while the `with` block runs.

    Args:
        address: "auto": the cluster that this machine is in; "ray://HOST:PORT": one that is reached by Ray's client.

    Raises:
        PackageError: Ray is missing.
        BackendError: There is no such cluster, or it is another Ray's.
    """
    ray = load_ray()
    _connect(ray, address)
    try:
        yield
    finally:
        ray.shutdown()


def load_ray() -> Any:  # noqa: ANN401 - an extra, whose types are not always there
    """Return Ray, which sends no statistics of its use.

    Raises:
        PackageError: It is missing.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray  # noqa: PLC0415 - an extra
    except ImportError as error:
        problem = f"Ray, which is to share the work among machines, cannot be imported ({error})"
        raise PackageError(problem, 'pip install ".[cluster]" in the checkout, on each machine') from error
    return ray


def _connect(ray: Any, address: str) -> None:  # noqa: ANN401 - see `load_ray`
    try:
        with _own_signals(), _asked_once():
            ray.init(address, namespace="musetalk", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds
        remedy = 'start it ("ray start --head", "ray start --address HOST:6379"), or correct its address'
        if isinstance(error, RuntimeError) and "ersion" in str(error):
            remedy = "install the same Python and Ray on all machines"
        raise BackendError(f"the Ray cluster {address} cannot be reached ({one_line(error)})", remedy) from error


@contextmanager
def _asked_once() -> Iterator[None]:
    """Have Ray ask a head that does not answer once, for 40 s, and not for a quarter of an hour.

    Ray means to try for 20 s, of twenty tries; with a head that is gone each of them takes that long.
    """
    if _TRIES in os.environ:
        yield
        return
    os.environ[_TRIES] = "1"
    try:
        yield
    finally:
        os.environ.pop(_TRIES, None)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the program's own answers to signals, which Ray would replace."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
