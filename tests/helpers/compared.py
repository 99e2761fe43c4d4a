"""Renders as a comparison finds them, without a render."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from musetalk.metrics.types import Curves, Figures, Measures, Outside, Series
from musetalk.pipeline.report import RenderReport, Span
from musetalk.settings import RenderSettings
from tests.helpers.media import (
    ffmpeg,
    numbered_frames,
    write_video,
    write_wav,
)
from tests.helpers.reports import some_report

FRAMES, RATE = 12, Fraction(30000, 1001)
SETTINGS = RenderSettings.parse({"backend": "preview", "encoder": {"preset": "ultrafast"}})


def finished(path: Path, width: int = 64, height: int = 48, frames: int = FRAMES) -> Path:
    """As a render leaves it: numbered frames and a hiss."""
    path.write_bytes(_made(width, height, frames))
    return path


@lru_cache
def _made(width: int, height: int, frames: int) -> bytes:
    """The file of `finished`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.mp4"
        _make(path, width, height, frames)
        return path.read_bytes()


def _make(path: Path, width: int, height: int, frames: int) -> None:
    hiss = np.random.default_rng(7).normal(0, 0.1, round(frames / RATE * 16_000))
    silent = write_video(path.with_suffix(".silent.mp4"), numbered_frames(frames, width, height), RATE)
    sound = write_wav(path.with_suffix(".wav"), hiss)
    ffmpeg("-i", str(silent), "-i", str(sound), "-c:v", "copy", "-c:a", "aac", str(path))


def curves(values: Sequence[float | None]) -> Curves:
    return Curves(tuple(values), tuple(values), tuple(values), tuple(values))


def some_measures(sharpness: float = 20.0) -> Measures:
    source = Figures(40.0, 1.0, 0.5, 1.01, None, None)
    picture = Figures(sharpness, 3.25, 0.75, 1.5, 0.875, 2)
    series = Series(1, (0.5,) * FRAMES, curves([sharpness, None] * 6), curves([40.0] * FRAMES), (4,))
    return Measures(FRAMES, FRAMES, 1, picture, source, sharpness / 40, Outside(0, 0, 0), series)


def report_of(out: Path, settings: RenderSettings, **changes: Any) -> RenderReport:  # noqa: ANN401
    spans = (Span(0, FRAMES, "face"),)
    report = replace(some_report(out, settings, frames=FRAMES), fps="30000/1001", stages={"generate": 6.0}, spans=spans)
    return replace(report, measures=some_measures() if settings.measure else None, **changes)
