"""What the user should know of a previewed frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from musetalk.faces.types import FaceSample
from musetalk.media.rate_notes import notes_on_rate
from musetalk.media.sound.voice import Voice
from musetalk.media.timing.timeline import Timeline
from musetalk.media.types import Source
from musetalk.pipeline.no_face_error import absence_note, upside_down_note
from musetalk.pipeline.prepare import RenderPlan
from musetalk.progress import CancelToken, RenderRun
from musetalk.utils.arrays import UInt8Array

_SMALL_FACE = 64  # pixels; a smaller face shows little of its mouth
_AT_REST = 0.02  # openness below which a mouth hardly moves


def run_notes(run: RenderRun, backend: str) -> tuple[str, ...]:
    """Return what was noticed while a frame was made, a sentence each: what else generated it, what failed.

    Args:
        run: Of the preview.
        backend: The name of the backend that was asked for.
    """
    others = (f"this is {each.backend}'s: {backend} could not paint it ({each.reason})" for each in run.fallbacks)
    failed = (
        f"the face stays as it was painted: it could not be enhanced ({each.reason})" for each in run.enhance_failures
    )
    return sentences((*dict.fromkeys((*others, *failed)), *run.warnings))


def input_notes(source: Source, voice: Voice | None, asked: Fraction | None) -> tuple[str, ...]:
    """Return what is to be said of a source, the rate it is played at, and a voice, a sentence each.

    Args:
        source: Of the preview.
        voice: Of the preview, if it has one.
        asked: The rate that the settings ask for.
    """
    return sentences((*source.notes, *notes_on_rate(source, asked), *(() if voice is None else voice.notes)))


def sentences(texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts that are not empty as sentences."""
    return tuple(f"{text[0].upper()}{text[1:]}." for text in texts if text)


def end_note(source: Source, timeline: Timeline, voice: Voice | None) -> str:
    """Return that the moment asked for lies behind the end."""
    what = "source" if voice is None else "output"
    return f"The {what} ends after {timeline.frame_count / float(source.fps):.2f} s: this is its last frame."


def frame_notes(
    plan: RenderPlan, frame: int, picture: UInt8Array, chosen: tuple[FaceSample, ...], cancel: CancelToken
) -> tuple[str, ...]:
    """Return what is to be said of the faces and the voice in an output frame, a sentence each.

    Args:
        plan: Of what is around the frame.
        frame: The output frame.
        picture: What the source shows in it: uint8 RGB [H, W, 3].
        chosen: The faces that are painted.
        cancel: Ends looking for the reason why there is no face.
    """
    place, speaks = plan.timeline.source_frame(frame), plan.voice is not None
    notes = []
    if place in plan.source.experience.missing:
        notes.append("This frame cannot be decoded: one next to it is shown.")
    if speaks and frame >= plan.timeline.spoken_count:
        return (*notes, "The voice has ended here: the source goes on untouched.")
    found = bool(plan.every_face.faces(place))
    notes += filter(None, [upside_down_note(picture) if found else ""])
    if not found:
        notes.append("No face was found in this frame: it stays as it is.")
        if not plan.every_face.face_frames:  # nor in those around it
            notes += filter(None, [absence_note(picture, plan.components.detector, cancel)])
    elif not chosen:
        notes.append("The chosen face is not in this frame: it stays as it is.")
    elif speaks and plan.presence_of(frame) == 0:
        notes.append("The voice pauses here: the source's own mouth is kept.")
    elif plan.voice is not None and not plan.voice.silent and _is_silent(plan, frame):
        notes.append("The voice is silent here.")
    smallest = min((face.box.width for face in chosen), default=math.inf)
    if smallest < _SMALL_FACE:
        notes.append(f"The face is only {smallest:.0f} pixels wide: little will be seen of its mouth.")
    return tuple(notes)


def _is_silent(plan: RenderPlan, frame: int) -> bool:
    return bool(np.abs(plan.envelope.window(frame, frame + 1)).max() < _AT_REST)
