"""What the user should know of the rate that a source is played at."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from musetalk.media.timing.clock import EVEN_TOLERANCE, FrameClock
from musetalk.media.types import Source

_OVERRIDE = 'the setting "fps" (--fps) chooses another rate'


def notes_on_rate(source: Source, asked: Fraction | None) -> Iterator[str]:
    """Yield a sentence on everything that was decided or repaired.

    Args:
        source: What is played.
        asked: The rate that the settings ask for; None: they leave it to the source.
    """
    clock, fps, own = source.clock, _rate_words(source.fps), _rate_words(source.clock.own_fps)
    pictures = len(clock.picture_times) or source.frame_count
    if clock.repaired:
        yield (
            f"{clock.repaired} of the source's {pictures} frames carry times that cannot be right (missing, doubled, "
            "out of order, or after a jump); they are shown evenly between their neighbours"
        )
    if source.images or asked is not None:
        if clock.variable:
            yield f"the source has a variable frame rate; it is played at a constant {fps}, as asked for"
    elif source.frame_count == 1:
        yield f"the source is a video of a single frame; it is shown as a still picture, at {fps}"
    elif clock.variable and clock.fps == clock.own_fps and (skipped := _skipped(clock)) > 0:
        yield f"the source pauses or has lost frames: at its {own}, {skipped} are missing; the one before is held there"
    elif clock.variable and clock.fps == clock.own_fps and (pause := _only_pause(clock)) is not None:
        yield f"the source pauses for {pause[1]:.2f} s at {pause[0]:.2f} s; the frame before is held there"
    elif clock.variable:
        slow = "" if clock.own_fps == clock.fps else f", since {own} are too few or too many for lips"
        yield f"the source has a variable frame rate; it is played at a constant {fps}{slow}"
    elif clock.fps > clock.own_fps:
        yield f"the source's {own} are too few for lips to move well: frames are repeated, to {fps}; {_OVERRIDE}"
    elif clock.fps < clock.own_fps:
        yield f"the source's {own} are more than lips need: frames are left out, down to {fps}; {_OVERRIDE}"


def _skipped(clock: FrameClock) -> int:
    """Return how many pictures are missing in a regular sequence; 0 where the sequence is not regular."""
    if not clock.picture_times:
        return 0
    places = (np.array(clock.picture_times) - clock.picture_times[0]) * float(clock.own_fps)
    regular = np.abs(places - np.round(places)).max() <= EVEN_TOLERANCE
    return round(float(places[-1])) + 1 - len(places) if regular else 0


def _only_pause(clock: FrameClock) -> tuple[float, float] | None:
    """Return when a regular sequence pauses once, and for how long, in seconds.

    None: it is not regular, or pauses again.
    """
    gaps = np.diff(clock.picture_times) * float(clock.own_fps)
    uneven = np.flatnonzero(np.abs(gaps - 1) > 2 * EVEN_TOLERANCE)
    if len(uneven) != 1 or gaps[uneven[0]] < 1:
        return None
    at = clock.picture_times[uneven[0]] - clock.picture_times[0] + float(1 / clock.own_fps)
    return at, float((gaps[uneven[0]] - 1) / clock.own_fps)


def _rate_words(fps: Fraction) -> str:
    return f"{float(fps):.4g} frames/s"
