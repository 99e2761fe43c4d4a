"""An avatar as a video service of Pipecat: between text-to-speech and transport, on one's own machine."""

from __future__ import annotations

from musetalk.plugins.pipecat.service import MuseTalkVideoService

__all__ = ["MuseTalkVideoService"]
