"""Accounting of how each output frame was made: by which backend, and why by a fallback."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import Literal, TypeAlias, TypeVar

from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.report import EnhanceFailure, Fallback, Span
from musetalk.pipeline.segments import Segment
from musetalk.progress import EnhanceFailureEvent, FallbackEvent

_Why = TypeVar("_Why", bound=Hashable)
_Kind: TypeAlias = Literal["face", "fallback", "rest", "cutaway", "tail"]


def join_fallbacks(noted: Iterable[FallbackEvent]) -> tuple[Fallback, ...]:
    """Fallbacks in the output's order, those that follow on each other for one reason joined, whichever the face."""
    stretches = _stretches(((each.reason, each.backend, each.kind), each.start, each.stop) for each in noted)
    return tuple(Fallback(start, stop, *why) for start, stop, why in stretches)


def _stretches(noted: Iterable[tuple[_Why, int, int]]) -> list[tuple[int, int, _Why]]:
    """Ranges of frames, given in order with why they were noted, those that meet for one reason joined: by start."""
    found: dict[_Why, list[tuple[int, int, _Why]]] = {}
    for why, start, stop in noted:
        same = found.setdefault(why, [])
        last = same.pop() if same and same[-1][1] >= start else (start, stop, why)
        same.append((last[0], max(last[1], stop), why))
    return sorted(chain(*found.values()), key=lambda each: each[:2])


def is_all_fallback(segments: Iterable[Segment], noted: Iterable[FallbackEvent]) -> bool:
    """Return whether the chosen backend painted no face in any segment."""
    replaced = {(each.start, each.stop, each.track) for each in noted}
    painted = {(each.first, each.stop, track) for each in segments for track in each.tracks}
    return bool(painted) and painted <= replaced


def fallback_names(fallbacks: Iterable[Fallback]) -> str:
    """Return who painted in place of the chosen backend: names, joined."""
    return " and ".join(dict.fromkeys(each.backend for each in fallbacks))


def fallback_frames(fallbacks: Iterable[Fallback]) -> int:
    """Return how many output frames fallbacks have a part in, each counted once."""
    return len(_frames(fallbacks))


def fallback_sentences(fallbacks: Sequence[Fallback], asked: str, face_frames: int, *, whole: bool) -> tuple[str, ...]:
    """Return what the user should know of fallbacks, a sentence for each backend and reason; of a whole render, one.

    Args:
        fallbacks: Of one render.
        asked: The name of the backend that was asked to paint.
        face_frames: Output frames with a painted face.
        whole: Whether the asked backend painted none of them.
    """
    groups: dict[tuple[str, str], list[Fallback]] = {}
    for each in fallbacks:
        groups.setdefault((each.backend, each.reason), []).append(each)
    if groups and whole:
        reasons = dict.fromkeys(reason for _, reason in groups)
        return (f"this result is {fallback_names(fallbacks)}'s: {asked} painted nothing of it ({'; '.join(reasons)})",)
    return tuple(
        f"{fallback_frames(same)} of {face_frames} frames were painted by {backend}, not by {asked} ({reason})"
        for (backend, reason), same in groups.items()
    )


def join_enhance_failures(noted: Iterable[EnhanceFailureEvent]) -> tuple[EnhanceFailure, ...]:
    """Return what an enhancer failed at, in the output's order, joined as fallbacks are."""
    stretches = _stretches(((each.reason, each.kind), each.start, each.stop) for each in noted)
    return tuple(EnhanceFailure(start, stop, *why) for start, stop, why in stretches)


def enhance_failure_sentences(failures: Sequence[EnhanceFailure], face_frames: int) -> tuple[str, ...]:
    """Return what the user should know of an enhancer that failed, a sentence for each reason."""
    reasons = dict.fromkeys(each.reason for each in failures)
    counts = {reason: len(_frames(each for each in failures if each.reason == reason)) for reason in reasons}
    return tuple(
        f"{count} of {face_frames} frames keep the face as it was painted: it could not be enhanced ({reason})"
        for reason, count in counts.items()
    )


def count_unenhanced_frames(failures: Iterable[EnhanceFailure]) -> int:
    """Return how many output frames have a face that was not enhanced."""
    return len(_frames(failures))


def spans_of(plan: RenderPlan, fallbacks: Iterable[Fallback] = ()) -> tuple[Span, ...]:
    """Return the output from its first frame to its last, cut where the way it was made changes."""
    replaced = _frames(fallbacks)
    spans: list[Span] = []
    for segment in plan.segments:
        for frame in range(segment.start, segment.stop):
            painted: _Kind = "fallback" if frame in replaced else "face"
            kind = painted if segment.tracks else _unpainted(plan, frame)
            start = spans.pop().start if spans and spans[-1].kind == kind else frame
            spans.append(Span(start, frame + 1, kind))
    return tuple(spans)


def _unpainted(plan: RenderPlan, frame: int) -> _Kind:
    """Why an output frame passed through: faces that are there while the voice goes on are left alone in pauses."""
    timeline = plan.timeline
    if frame >= timeline.spoken_count:
        return "tail"
    return "rest" if plan.face_plan.faces(timeline.source_frame(frame)) else "cutaway"


def _frames(stretches: Iterable[Fallback | EnhanceFailure]) -> set[int]:
    return {frame for each in stretches for frame in range(each.start, each.stop)}
