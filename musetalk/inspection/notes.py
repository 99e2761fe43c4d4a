"""What the user should know of a previewed frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.faces.crops.crop import Placement
from musetalk.faces.types import FaceSample
from musetalk.inspection.window import Look, Scene
from musetalk.media.rate_notes import notes_on_rate
from musetalk.media.sound.voice import Voice
from musetalk.media.types import Source
from musetalk.pipeline.no_face import absence_note, upside_down_note
from musetalk.progress import RenderRun

_SMALL_FACE = 64  # pixels; a smaller face shows little of its mouth
_AT_REST = 0.02  # openness below which a mouth hardly moves


def noticed(scene: Scene, run: RenderRun) -> tuple[str, ...]:
    """What was noticed while the frame was made, a sentence each: who else painted it, what failed."""
    others = (
        f"this is {each.backend}'s: {scene.settings.backend} could not paint it ({each.reason})"
        for each in run.fallbacks
    )
    failed = (f"the face stays as it was painted: it could not be restored ({each.reason})" for each in run.unrestored)
    slow = scene.equipment.generator.spec.note_on(scene.source.fps)
    warnings = (*dict.fromkeys((*others, *failed)), *scene.equipment.notes, slow, *run.warnings)
    return _sentences(warnings)


def input_notes(source: Source, voice: Voice | None, asked: Fraction | None) -> tuple[str, ...]:
    """What is to be said of a source, the rate it is played at, and a voice, a sentence each.

    Args:
        source: Of the preview.
        voice: Of the preview, if it has one.
        asked: The rate that the settings ask for.
    """
    return _sentences((*source.notes, *notes_on_rate(source, asked), *(() if voice is None else voice.notes)))


def _sentences(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{text[0].upper()}{text[1:]}." for text in texts if text)


def end_note(scene: Scene) -> str:
    """That the moment asked for lies behind the end."""
    what = "source" if scene.hearing is None else "output"
    return (
        f"The {what} ends after {scene.timeline.frame_count / float(scene.source.fps):.2f} s: this is its last frame."
    )


def notes_on(
    scene: Scene,
    look: Look,
    chosen: tuple[FaceSample, ...],
    crops: Sequence[Placement],
    envelope: EnvelopeTrack | None,
    *,
    at_rest: bool,
) -> tuple[str, ...]:
    """What is to be said of the faces and the voice in a frame, a sentence each.

    Args:
        scene: Of the preview.
        look: What was found around the frame.
        chosen: The faces that are painted.
        crops: Of these.
        envelope: Of the voice; None: there is none.
        at_rest: Whether the faces are left to the source, since the voice pauses.
    """
    notes = []
    if look.place in scene.source.experience.missing:
        notes.append("This frame cannot be decoded: one next to it is shown.")
    if envelope is not None and look.frame >= scene.timeline.spoken_count:
        return (*notes, "The voice has ended here: the source goes on untouched.")
    picture = look.pictures[look.frame - look.clip.start]
    found = bool(look.every.faces(look.place))
    notes += filter(None, [upside_down_note(picture) if found else ""])
    if not found:
        notes.append("No face was found in this frame: it stays as it is.")
        if not look.every.face_frames:  # nor in those around it
            notes += filter(None, [absence_note(picture, scene.equipment.detector, scene.cancel)])
    elif not chosen:
        notes.append("The chosen face is not in this frame: it stays as it is.")
    elif at_rest:
        notes.append("The voice pauses here: the source's own mouth is kept.")
    elif (
        envelope is not None
        and not scene.silent
        and np.abs(envelope.window(look.frame, look.frame + 1)).max() < _AT_REST
    ):
        notes.append("The voice is silent here.")
    largest = max((crop.side for crop in crops), default=0)
    smallest = min((face.box.width for face in chosen), default=math.inf)
    if smallest < _SMALL_FACE:
        notes.append(f"The face is only {smallest:.0f} pixels wide: little will be seen of its mouth.")
    size = scene.equipment.generator.crop_size
    if size is not None and largest > size:
        notes.append(
            f"The face takes {largest} pixels and the backend paints {size}: it will look softer than the rest."
        )
    return tuple(notes)
