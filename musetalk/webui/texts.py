"""The page's longer texts, kept as Markdown where people who write can find them."""

from __future__ import annotations

from pathlib import Path

from musetalk.inspection.frame import FramePreview
from musetalk.settings import Limits

FOLDER = Path(__file__).with_name("assets")


def text(name: str) -> str:
    """Return the text of that name."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def caps(limits: Limits) -> str:
    """Return what uploads may be, in a sentence for people who have not chosen a file yet."""
    return (
        f"Up to {_duration(limits.max_seconds)}, {limits.max_pixels / 1e6:.1f} megapixels a frame, "
        f"{_size(limits.max_bytes)} a file."
    )


def preview_note(found: FramePreview) -> str:
    """Return what to know of a previewed frame: where it is, what is odd about it, and what `bbox_shift` may be."""
    sentences = [f"Frame at {found.seconds:.2f} s of the source.", *found.notes]
    if found.chosen and found.shift_range is not None:
        low, high = found.shift_range
        sentences.append(f"bbox_shift is useful from {low} to {high} here ([{low}~{high}]).")
    return " ".join(sentences)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:g} seconds"
    return f"{minutes:g} minutes" if minutes < 120 else f"{minutes / 60:g} hours"


def _size(count: int) -> str:
    return f"{count / 2**30:.3g} GiB" if count >= 2**30 else f"{count / 2**20:.3g} MiB"
