"""Workers for a server, by the place that its options name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from musetalk.batch.places import describe_place, open_executor
from musetalk.dispatch.dispatcher import Dispatcher
from musetalk.lipsync import LipSync

_AGAIN_SECONDS = 120.0  # after which a machine that did not fit is tried once more: a server goes on for weeks
_log = logging.getLogger(__name__)


@contextmanager
def workers_at(place: str, dispatcher: Dispatcher, engine: LipSync) -> Iterator[None]:
    """Let a dispatcher have workers while the `with` block runs.

    Args:
        place: Where they are; it is `reached`.
        dispatcher: Has none yet.
        engine: What renders in this process.

    Raises:
        BackendError: They cannot be started.
    """
    with open_executor(place, engine, again=_AGAIN_SECONDS) as executor, dispatcher.using(executor):
        _log.info("renders are made by %s", describe_place(place))
        yield
