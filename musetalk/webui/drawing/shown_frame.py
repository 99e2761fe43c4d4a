"""A previewed frame as the page shows it: small pictures, who painted them, and what is to be said of them."""

from __future__ import annotations

from dataclasses import dataclass

from musetalk.errors import FaceError
from musetalk.inspection.contact_sheet import contact_sheet
from musetalk.inspection.frame import FramePreview
from musetalk.utils.arrays import UInt8Array
from musetalk.webui.drawing.overlays import OverlayBase, show_result, sketch_of
from musetalk.webui.texts import preview_note


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """What the page needs of a preview: some MiB, whatever the source.

    Attributes:
        sketch: The source's frame, and what can be drawn into it.
        speaking: The same frame speaking: uint8 RGB [h, w, 3]; None without a voice.
        sheet: Every stage of it: uint8 RGB [h, w, 3]; None where nothing was painted.
        painters: The names of what painted it; empty where nothing was painted.
        backend: The name of what was asked to.
        note: What is to be said of it.
    """

    sketch: OverlayBase
    speaking: UInt8Array | None
    sheet: UInt8Array | None
    painters: tuple[str, ...]
    backend: str
    note: str


def shown_frame(found: FramePreview, backend: str, *, max_side: int) -> ShownFrame:
    """Return what the page needs of a preview.

    Args:
        found: The preview.
        backend: The name of what was asked to paint.
        max_side: Most pixels on the longer side of what is shown.
    """
    try:
        sheet = contact_sheet(found)
    except FaceError:
        sheet = None
    return ShownFrame(
        sketch=sketch_of(found, max_side=max_side),
        speaking=None if found.result is None else show_result(found, max_side=max_side),
        sheet=sheet,
        painters=tuple(dict.fromkeys(steps.backend for steps in found.steps)),
        backend=backend,
        note=preview_note(found),
    )
