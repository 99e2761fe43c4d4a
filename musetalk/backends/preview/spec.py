"""The preview backend as a `BackendSpec`."""

from __future__ import annotations

from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import FaceGenerator

# MuseTalk's bbox_shift opens the mouth more the larger it is, over some +-9 pixels; the preview has no crop line to
# shift and opens wider instead.
_PIXELS_PER_DOUBLING = 12
_LEAST_OPENING, _MOST_OPENING = 0.25, 2.0


def opening_of(bbox_shift: int) -> float:
    """Return how wide it opens the mouth, as a factor."""
    return min(max(1 + bbox_shift / _PIXELS_PER_DOUBLING, _LEAST_OPENING), _MOST_OPENING)


def _load(opening: float) -> FaceGenerator:
    from musetalk.backends.preview.generator import PreviewGenerator  # noqa: PLC0415 - loaded when chosen

    return PreviewGenerator(opening=opening)


PREVIEW = BackendSpec(
    "preview",
    "an audio-driven mouth warp: no network, no weights, any machine",
    _load,
    lambda settings: opening_of(settings.bbox_shift),
    tiny=_load,
    streaming=(),
    quality=0,
    notice="Preview backend: the mouth is warped to the loudness of the voice, or to phonemes that are known, not "
    "lip-synced by a network",
)
