"""Files that are cut off or damaged: which of their pictures can be used, and what the user should know."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from statistics import median

from musetalk.media.containers.endings import Cut
from musetalk.media.containers.packets import Packets
from musetalk.media.containers.streams import MediaFile
from musetalk.media.reader import read_frames
from musetalk.media.seeking import Experience
from musetalk.media.timing.clock import FrameClock
from musetalk.media.timing.timestamps import NO_TIME
from musetalk.media.types import Source
from musetalk.progress import CancelToken

# What demuxers say where a file ends before they do.
_ENDED = re.compile(r"partial file|ended prematurely|read_timestamp failed", re.IGNORECASE)
# Containers whose header states how long they last; of others ffmpeg works it out from what is there.
STATES_LENGTH = frozenset({"flv", "matroska", "mov", "mxf", "rm"})
_ENDS_SILENTLY = frozenset({"flv", "mxf", "rm"})  # of these, those that ffmpeg reads to any end without a word
_REORDERED = 16  # pictures; codecs store them no further from where they are shown
_FEWEST = 2  # pictures of which one can be left out
_HOLE = 1.5  # of the usual distance between two pictures: there is none in between that should be
_EVEN = 0.35  # frames: pictures so near to an even grid are on it
_LOOKED_AT = 16  # pixels a side, where it only counts whether a picture comes
_TOLERATED = 0.1  # seconds that a file may end before it says so


def whole_pictures(packets: Packets, cut: Cut | None = None) -> Packets:
    """Return the pictures that a file holds whole.

    Where it is cut off an incomplete one is left out, and so are those behind a hole that later ones would have filled.

    Args:
        packets: All of them.
        cut: What the file's layout tells of its end.
    """
    if cut is not None and cut.inside_picture:
        packets = replace(packets, incomplete=True)
    if not is_cut_off(packets) or len(packets.times) < _FEWEST:
        return packets
    whole = len(packets.times) - packets.incomplete
    shown = sorted(packets.times[:whole])
    last = shown[-1]
    if NO_TIME not in shown and shown != packets.times[:whole].tolist():
        gaps = [late - early for early, late in pairwise(shown)]
        hole, tail = _HOLE * median(gaps), range(max(0, len(gaps) - _REORDERED), len(gaps))
        last = shown[next((place for place in tail if gaps[place] > hole), -1)]
    kept = [place for place in range(whole) if packets.times[place] <= last]
    return replace(
        packets,
        times=array("q", [packets.times[place] for place in kept]),
        keys=bytearray(packets.keys[place] for place in kept),
    )


def is_cut_off(packets: Packets) -> bool:
    """Return whether a file ends before it should."""
    return packets.incomplete or any(_ENDED.search(said) for said in packets.complaints)


def with_damage(
    source: Source,
    file: MediaFile,
    packets: Packets,
    others: Iterable[Packets],
    cut: Cut | None,
    cancel: CancelToken | None,
) -> Source:
    """Return a source as far as it can be used, with what is to be said if that is not all of it.

    Args:
        source: As its whole packets say.
        file: What it says of itself.
        packets: Of its pictures.
        others: Of other streams.
        cut: What the file's layout tells of its end.
        cancel: Ends the look.
    """
    damaged = packets.damaged or any(_is_about_file(said, file) for said in packets.complaints)
    if not damaged and cut is None and not _ENDS_SILENTLY & set(file.containers):
        return source
    clock, lost = without_lost_pictures(source.clock) if damaged else (source.clock, 0)
    source, notes = replace(source, clock=clock), []
    end = clock.picture_times[-1] + 1 / clock.own_fps if clock.picture_times else source.seconds
    own = [packets] if clock.repaired else []  # what it states may count times that were not believed
    end = max(float(end), *(float(each.end * each.tick) for each in (*own, *others)), 0.0)
    stated = file.seconds if STATES_LENGTH & set(file.containers) else None if cut is None else cut.seconds
    if stated is not None and stated - end > max(_TOLERATED, 2 / float(clock.fps)):
        source, what = (
            _decodable(source, cancel),
            "cut off" if is_cut_off(packets) or not lost else "damaged",
        )
        notes.append(f"the source is {what}: {source.seconds:.2f} of the {stated:.2f} s that it announces can be used")
    elif packets.incomplete:
        notes.append("the source is cut off inside its last picture, which is left out")
    elif stated is None and (cut is not None or is_cut_off(packets)):
        source = _decodable(source, cancel)
        notes.append(f"the source is cut off: what came after {source.seconds:.2f} s is lost")
    if lost:
        missing = "1 picture is" if lost == 1 else f"{lost} pictures are"
        notes.append(f"the source is damaged: {missing} missing inside; the ones before are shown in their place")
    return replace(source, notes=(*source.notes, *notes))


def _is_about_file(complaint: str, file: MediaFile) -> bool:
    """Return whether a line of ffmpeg's is about how a file is laid out, and not about what its codecs wrote."""
    label = re.match(r"\[([^\]]*) @ ", complaint)
    return label is not None and (label[1].startswith("in#0") or label[1].split(",")[0] in file.containers)


def without_lost_pictures(clock: FrameClock) -> tuple[FrameClock, int]:
    """The clock of a damaged file, and how many pictures it lacks: a constant rate with holes is no variable one."""
    places = [float(seconds * clock.own_fps) for seconds in clock.picture_times]
    steps = [late - early for early, late in pairwise(places)]
    if not clock.variable or not steps or any(abs(step - round(step)) > _EVEN for step in steps):
        return clock, 0
    return replace(clock, variable=False), sum(round(step) - 1 for step in steps if round(step) > 1)


def _decodable(source: Source, cancel: CancelToken | None) -> Source:
    """Return the source, known to end where decoding does, as far as its last groups of pictures show."""
    keys = (0, *source.clock.keyframes)
    for start in (keys[-min(back, len(keys))] for back in (2, 4, len(keys))):
        with closing(read_frames(source, start, max_side=_LOOKED_AT, cancel=cancel)) as frames:
            end = start + sum(1 for _ in frames)
        while end > start and end - 1 in source.experience.missing:  # the one before is shown in its place
            end -= 1
        if end > start:
            return replace(source.shortened(end), experience=Experience())
    return source


def note_on_decoding(experience: Experience) -> str:
    """Return what is to be said of frames that could not be decoded; empty: nothing."""
    missing = len(experience.missing)
    if not missing:
        return ""
    shown = "the one next to it is shown in its" if missing == 1 else "the ones next to them are shown in their"
    return f"the source is damaged: {missing} of {experience.frames} frames cannot be decoded; {shown} place"


def note_on_shortening(source: Source, decoded: int) -> str:
    """Return what is to be said of a source of which fewer frames came than it announced.

    Args:
        source: As it was announced.
        decoded: Frames that came.
    """
    if source.clock.picture_times:
        return f"the source can be decoded up to frame {decoded} of {source.frame_count}; the rest is lost"
    return (  # its pictures are only counted: nobody knows which ones are lost
        f"the source is damaged: {decoded} of its {source.frame_count} frames can be decoded, and are shown one after "
        "the other"
    )
