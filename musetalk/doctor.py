"""What this machine has, which backends can run on it, and what the others lack."""

from __future__ import annotations

import os
import platform

import psutil

from musetalk.errors import OutputError
from musetalk.generators.registry import BackendRegistry
from musetalk.media.child import ffmpeg_executable
from musetalk.media.writer import check_encoder
from musetalk.report import versions
from musetalk.settings import EncoderSettings, RenderSettings


def examine(registry: BackendRegistry, settings: RenderSettings) -> dict[str, list[tuple[str, str]]]:
    """Look at versions, machine, ffmpeg and backends: tables of (name, finding), by title."""
    return {
        "Versions": list(versions().items()),
        "Machine": [
            ("system", platform.platform()),
            ("processor cores", str(os.cpu_count())),
            ("memory", f"{psutil.virtual_memory().total / 2**30:.1f} GiB"),
        ],
        "ffmpeg": [("program", ffmpeg_executable()), ("H.264 on the processor", "ready"), ("NVENC", _nvenc())],
        "Backends": [
            (backend.name, "; ".join(backend.lacks(settings)) or f"ready: {backend.summary}") for backend in registry
        ],
    }


def _nvenc() -> str:
    try:
        check_encoder(EncoderSettings(codec="nvenc"))
    except OutputError:
        return "not available"
    return "ready"
