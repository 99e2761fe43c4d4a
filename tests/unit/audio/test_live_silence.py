"""Pauses while a voice is still heard: as far as can be known by then, those of a file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.audio.live_silence import LivePresence
from musetalk.audio.silence import find_presence
from musetalk.settings import SilenceSettings
from musetalk.utils.arrays import BoolArray, Float32Array

PAL, NTSC, FAST = Fraction(25), Fraction(30_000, 1001), Fraction(60)
SOON = Fraction(2, 25)
Mode = Literal["keep", "rest"]
VOICES = st.lists(st.tuples(st.booleans(), st.integers(1, 90)), min_size=1, max_size=8)


@dataclass
class Frames:
    heard: BoolArray
    soon: BoolArray


def frames_of(voice: list[tuple[bool, int]], fps: Fraction = PAL) -> Frames:
    """A voice that is heard, or not, for so many frames each."""
    heard = np.repeat([each for each, _ in voice], [length for _, length in voice]).astype(np.bool_)
    reach = int(SOON * fps)
    soon = [bool(heard[frame + 1 : frame + 1 + reach].any()) for frame in range(len(heard))]
    return Frames(heard, np.array(soon))


def told(
    frames: Frames,
    settings: SilenceSettings,
    fps: Fraction = PAL,
    lookahead: int | None = 0,
    cuts: tuple[int, ...] = (),
    *,
    rests_first: bool = True,
) -> Float32Array:
    presence = LivePresence(settings, fps, lookahead, soon=SOON, rests_first=rests_first)
    for heard, soon in zip(np.split(frames.heard, cuts), np.split(frames.soon, cuts), strict=True):
        presence.push(Frames(heard, soon))
    presence.end()
    return np.array([presence[frame] for frame in range(presence.ready)], np.float32)


@given(
    voice=VOICES,
    mode=st.sampled_from(["keep", "rest"]),
    least=st.floats(0.1, 3),
    fade=st.floats(0.04, 1),
    fps=st.sampled_from([PAL, NTSC, FAST]),
)
def test_who_waits_for_the_whole_voice_is_told_what_a_file_says(
    voice: list[tuple[bool, int]], mode: Mode, least: float, fade: float, fps: Fraction
) -> None:
    settings = SilenceSettings(mode=mode, min_pause_seconds=least, fade_seconds=fade)
    frames = frames_of(voice, fps)
    wanted = find_presence(EnvelopeTrack(np.zeros((len(frames.heard), 2), np.float32), frames.heard), settings, fps)
    assert wanted is not None
    np.testing.assert_allclose(told(frames, settings, fps, None), wanted, atol=1e-5)


@given(voice=VOICES, mode=st.sampled_from(["keep", "rest"]), lookahead=st.integers(0, 30), data=st.data())
def test_how_frames_are_handed_over_changes_nothing(
    voice: list[tuple[bool, int]], mode: Mode, lookahead: int, data: st.DataObject
) -> None:
    frames, settings = frames_of(voice), SilenceSettings(mode=mode)
    cuts = data.draw(st.lists(st.integers(0, len(frames.heard)), max_size=9).map(sorted))
    whole, cut = (told(frames, settings, lookahead=lookahead, cuts=tuple(each)) for each in ([], cuts))
    assert len(whole) == len(frames.heard)
    assert np.array_equal(whole, cut)


@given(
    voice=VOICES,
    mode=st.sampled_from(["keep", "rest"]),
    lookahead=st.integers(0, 30),
    fps=st.sampled_from([PAL, NTSC, FAST]),
)
def test_words_are_painted_and_long_pauses_are_not(
    voice: list[tuple[bool, int]], mode: Mode, lookahead: int, fps: Fraction
) -> None:
    settings, frames, rate = SilenceSettings(mode=mode), frames_of(voice, fps), float(fps)
    found = told(frames, settings, fps, lookahead)
    fade = settings.fade_seconds * rate * (2.5 if mode == "rest" else 1)
    assert np.abs(np.diff(found)).max(initial=0) <= 1.5 / min(fade, 0.12 * rate) + 1e-6  # nothing jumps
    edges = np.flatnonzero(np.diff(frames.heard, prepend=False, append=False)).reshape(-1, 2).tolist()
    for start, stop in edges:
        sure = start + max(0, round(0.12 * rate) - int(SOON * fps))
        assert (found[sure:stop] == 1).all()  # all but the first 40 ms after a pause
    ends = [0, *(stop for _, stop in edges)]
    starts = [*(start for start, _ in edges), len(found)]
    for start, stop in zip(ends, starts, strict=True):
        gone = start + (0.0 if start == 0 else max(0.25 * rate, settings.min_pause_seconds * rate) + fade)
        back = stop - (0.1 * rate + fade + 1 if stop < len(found) else 0)
        if stop - start >= gone - start + 1:
            assert (found[int(np.ceil(gone)) : int(back)] == 0).all()


def test_a_voice_that_begins_silent_rests_or_waits_as_it_is_asked_to() -> None:
    frames, settings = frames_of([(False, 40), (True, 5)]), SilenceSettings(mode="keep")
    first, waiting = (told(frames, settings, rests_first=rests) for rests in (True, False))
    assert (first[:37] == 0).all()
    assert (waiting[:12] == 1).all()
    assert waiting[25] == 0
    assert (first[30:] == waiting[30:]).all()


def test_what_was_told_is_forgotten_but_for_the_last() -> None:
    presence = LivePresence(SilenceSettings(mode="keep"), PAL, 0, soon=SOON, rests_first=True)
    presence.push(frames_of([(True, 50)]))
    presence.forget(40)
    assert presence[40] == 1
    presence.forget(99)
    assert presence[49] == 1
    with pytest.raises(IndexError):
        presence[48]
