"""The account of how each output frame was made: who painted it, and if it was another than was asked, why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal, TypeAlias

from musetalk.preparation import Preparation
from musetalk.progress import FellBack
from musetalk.report import Fallback, Span

_Kind: TypeAlias = Literal["face", "fallback", "cutaway", "tail"]


def joined(noted: Iterable[FellBack]) -> tuple[Fallback, ...]:
    """Fallbacks in the output's order, those that follow on each other for one reason joined."""
    fallbacks: list[Fallback] = []
    for each in noted:
        last = fallbacks[-1] if fallbacks else None
        if last is not None and (last.stop, last.reason, last.backend) == (each.start, each.reason, each.backend):
            fallbacks[-1] = Fallback(last.start, each.stop, last.reason, last.backend)
        else:
            fallbacks.append(Fallback(each.start, each.stop, each.reason, each.backend))
    return tuple(fallbacks)


def fallback_frames(fallbacks: Iterable[Fallback]) -> int:
    """How many output frames fallbacks have a part in, each counted once."""
    return len(_frames(fallbacks))


def fallback_sentences(fallbacks: Sequence[Fallback], asked: str, face_frames: int) -> tuple[str, ...]:
    """What the user should know of fallbacks, a sentence for each backend and reason.

    Args:
        fallbacks: Of one render.
        asked: The name of the backend that was asked to paint.
        face_frames: Output frames with a painted face.
    """

    def kind(fallback: Fallback) -> tuple[str, str]:
        return fallback.backend, fallback.reason

    sentences = []
    for (backend, reason), same in groupby(sorted(fallbacks, key=kind), kind):
        count = fallback_frames(same)
        if count == face_frames:
            sentences.append(f"this result is {backend}'s: {asked} painted nothing of it ({reason})")
        else:
            sentences.append(f"{count} of {face_frames} frames were painted by {backend}, not by {asked} ({reason})")
    return tuple(sentences)


def spans_of(preparation: Preparation, fallbacks: Iterable[Fallback] = ()) -> tuple[Span, ...]:
    """The output from its first frame to its last, cut where the way it was made changes."""
    others = _frames(fallbacks)
    spans: list[Span] = []
    for segment in preparation.segments:
        kind: _Kind = "cutaway" if segment.start < preparation.timeline.spoken_count else "tail"
        if segment.tracks:
            kind = "fallback" if segment.start in others else "face"
        start = spans.pop().start if spans and spans[-1].kind == kind else segment.start
        spans.append(Span(start, segment.stop, kind))
    return tuple(spans)


def _frames(fallbacks: Iterable[Fallback]) -> set[int]:
    return {frame for each in fallbacks for frame in range(each.start, each.stop)}
