"""MuseTalk Hybrid: video and voice in, lip-synced video out."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musetalk.lipsync import LipSync
    from musetalk.pipeline.report import RenderReport
    from musetalk.settings import RenderSettings

__version__ = "0.1.0"
__all__ = ["LipSync", "RenderReport", "RenderSettings", "__version__"]

_HOMES = {
    "LipSync": "musetalk.lipsync",
    "RenderReport": "musetalk.pipeline.report",
    "RenderSettings": "musetalk.settings",
}


def __getattr__(name: str) -> object:
    """Return a public class, imported when it is first asked for: the engine is slow to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
