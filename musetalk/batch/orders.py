"""What `ProcessPool` tells its workers; apart from their module, which runs under another name than is imported."""

from __future__ import annotations

from dataclasses import dataclass

from musetalk.batch.executor import EngineFactory
from musetalk.utils.log_lines import LogFormat


@dataclass(frozen=True, slots=True)
class Setup:
    """The first order: what the worker is.

    Attributes:
        name: Its name.
        factory: Makes its engine.
        log: How it logs: as its parent does.
    """

    name: str
    factory: EngineFactory
    log: LogFormat


@dataclass(frozen=True, slots=True)
class Cancel:
    """The order to end a task."""

    task: str
