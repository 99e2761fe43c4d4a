from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from musetalk.media.rate_notes import notes_on_rate
from musetalk.media.timing.clock import build_clock
from musetalk.media.types import ColorTags, Source


@pytest.mark.parametrize(
    ("seconds", "fps", "said"),
    [
        ([k / 25 for k in range(30)], None, None),
        ([k / 25 for k in range(30)], 30, None),
        ([k / 25 for k in range(30) if not 10 <= k < 15], None, "at its 25 frames/s, 5 are missing"),
        ([k / 25 + (k > 15) * 0.217 for k in range(30)], None, "the source pauses for 0.22 s at 0.64 s"),
        ([k / 25 + (k // 9) * 0.217 for k in range(30)], None, "a variable frame rate; it is played at a constant 25"),
        ([k / 25 + (k > 15) * 0.217 for k in range(30)], 30, "constant 30 frames/s, as asked for"),
        ([k / 25 - (k == 9) / 25 for k in range(30)], None, "1 of the source's 30 frames carry times"),
        ([k / 25 for k in (*range(12), 11, 11, 11, *range(12, 30))], None, "a variable frame rate"),
        ([k / 8 for k in range(30)], None, "8 frames/s are too few for lips to move well: frames are repeated, to 24"),
        ([k / 8 for k in range(30)], 8, None),
        ([k / 300 for k in range(90)], None, "300 frames/s are more than lips need: frames are left out, down to 60"),
        ([0], None, "a video of a single frame; it is shown as a still picture, at 25"),
    ],
)
def test_what_is_done_to_a_rate_is_said_once(seconds: list[float], fps: int | None, said: str | None) -> None:
    rate = None if fps is None else Fraction(fps)
    clock = build_clock([round(s * 90_000) for s in seconds], [1] * len(seconds), Fraction(1, 90_000), None, fps=rate)
    source = Source(Path("clip.mp4"), 64, 48, clock, ColorTags(), "yuv420p", True, True, ())
    notes = tuple(notes_on_rate(source, rate))
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]
