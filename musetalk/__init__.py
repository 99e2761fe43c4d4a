"""MuseTalk Hybrid: video and voice in, lip-synced video out."""

from __future__ import annotations

__version__ = "0.1.0"
