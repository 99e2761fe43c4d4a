"""Features while a voice is heard, against those of the same voice from a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.audio.features import measure_features
from musetalk.audio.live_features import LiveFeatures
from musetalk.audio.types import LATENTSYNC_FEATURES, MUSETALK_FEATURES, AudioFeatureSpec, Seams
from musetalk.audio.whisper import WhisperFeatures, load_whisper
from musetalk.audio.windows import FeatureTrack
from musetalk.utils.arrays import Float32Array
from tests.helpers.whisper_small import RATE, SHAPE, features_of, speech

pytestmark = pytest.mark.usefixtures("one_thread")

PAL, NTSC = Fraction(25), Fraction(30_000, 1001)
LENGTH = 60  # steps of the stand-in's window


class Listening:
    """An encoder whose states hold what it hears at a step and in the whole window, exact in half precision."""

    window_steps, states, width = LENGTH, 1, 3
    filters = np.eye(201)[:, 4:8].copy()
    fingerprint = "listening"

    def __init__(self, audio_spec: AudioFeatureSpec = MUSETALK_FEATURES) -> None:
        self.audio_spec = audio_spec
        self.calls = 0

    def encode(self, mel: Float32Array) -> Float32Array:
        self.calls += 1
        assert mel.shape == (4, 2 * LENGTH)
        here = mel.mean(axis=0).reshape(LENGTH, 2).mean(axis=1)
        values = np.stack([here, np.full(LENGTH, mel.mean()), np.arange(LENGTH)], axis=1)
        return values.astype(np.float16).astype(np.float32)[:, None]


def cut_at(samples: Float32Array, places: list[int]) -> Iterator[Float32Array]:
    yield from np.split(samples, sorted(place % (len(samples) + 1) for place in places))


def heard(live: LiveFeatures, samples: Float32Array, size: int = 1000, fps: Fraction = PAL) -> LiveFeatures:
    """Push a voice and end it."""
    for start in range(0, len(samples), size):
        live.push(samples[start : start + size])
    live.end(frames_in(samples, fps))
    return live


def frames_in(samples: Float32Array, fps: Fraction) -> int:
    """Output frames that a voice reaches into."""
    return -(-len(samples) * fps.numerator // (RATE * fps.denominator))


def everything(live: LiveFeatures) -> Float32Array:
    return live.window(0, live.ready)


@settings(max_examples=30)
@given(
    places=st.lists(st.integers(0, 60_000), max_size=12),
    hop=st.integers(1, 6),
    lookahead=st.integers(0, 10),
    fps=st.sampled_from([PAL, NTSC]),
    clamp=st.booleans(),
)
def test_cutting_into_pieces_changes_nothing(
    places: list[int], hop: int, lookahead: int, fps: Fraction, clamp: bool
) -> None:
    samples = speech(3.1)  # windows slide
    encoder = Listening(LATENTSYNC_FEATURES if clamp else MUSETALK_FEATURES)
    whole, cut = (LiveFeatures(encoder, fps, hop_steps=hop, lookahead_steps=lookahead) for _ in range(2))
    whole.push(samples)
    ready = whole.ready
    for piece in cut_at(samples, places):
        cut.push(piece)
    assert cut.ready == ready
    whole.end(frames_in(samples, fps))
    cut.end(frames_in(samples, fps))
    assert cut.ready == whole.ready == -(-31 * fps.numerator // (10 * fps.denominator))
    assert np.array_equal(everything(cut), everything(whole))
    assert everything(whole).any()


@pytest.mark.parametrize("fps", [PAL, NTSC])
@pytest.mark.parametrize("audio_spec", [MUSETALK_FEATURES, LATENTSYNC_FEATURES])
@pytest.mark.parametrize(
    ("seconds", "seams"),
    [(0.01, "smooth"), (1.0, "smooth"), (7.3, "smooth"), (7.3, "upstream"), (0.01, "live"), (7.3, "live")],
)
def test_it_is_what_a_file_is_with_the_same_seams(
    folder: Path, tmp_path: Path, fps: Fraction, audio_spec: AudioFeatureSpec, seconds: float, seams: Seams
) -> None:
    encoder = load_whisper(folder, audio_spec, shape=SHAPE)
    samples = speech(seconds)
    file = measure_features([samples], encoder, tmp_path / "voice.npy", seams=seams)
    with LiveFeatures(encoder, fps, seams=seams, folder=tmp_path) as live:
        live.push(samples)
        assert (live.ready == 0) == (seams != "live" or seconds < 1)
        live.end(frames_in(samples, fps))
        count = live.ready
        wanted = FeatureTrack(file, fps=fps, frame_count=count, audio_spec=audio_spec).window(0, count)
        assert count > 0
        assert np.array_equal(everything(live), wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["voice.npy"]


def test_a_step_is_what_a_file_has_of_the_voice_so_far(encoder: WhisperFeatures, tmp_path: Path) -> None:
    samples = speech(2.5)  # in one window
    live = heard(LiveFeatures(encoder, PAL, hop_steps=5, lookahead_steps=7, left=0, right=0), samples)
    found = everything(live).reshape(-1, *SHAPE)  # two steps a frame, each once
    assert len(found) == 126  # 125 steps and a zero
    for first in (3, 58, 113):
        so_far = samples[: (first + 5 + 7) * 320]
        wanted = features_of(so_far, encoder, tmp_path)[first : first + 5]
        assert np.array_equal(found[first : first + 5], wanted)
    wanted = features_of(samples, encoder, tmp_path)[118:]  # of these the end was known
    assert np.array_equal(found[118:125], wanted)


@pytest.mark.parametrize("fps", [PAL, NTSC])
@pytest.mark.parametrize(("hop", "lookahead"), [(4, 8), (1, 0), (5, 3)])
def test_frames_are_ready_in_time_and_never_change(fps: Fraction, hop: int, lookahead: int) -> None:
    live = LiveFeatures(Listening(), fps, hop_steps=hop, lookahead_steps=lookahead)
    given_out: list[Float32Array] = []
    samples = speech(3.0)
    for start in range(0, len(samples), 777):
        live.push(samples[start : start + 777])
        steps = min(start + 777, len(samples)) // 320 // hop * hop - lookahead
        known = [frame for frame in range(200) if 50 * frame // fps + 6 <= steps]
        assert live.ready == len(known)
        given_out.extend(live.window(len(given_out), live.ready))
        with pytest.raises(ValueError, match="cannot be given out"):
            live.window(live.ready, live.ready + 1)
    live.end(frames_in(samples, fps))
    assert len(given_out) > 60
    assert np.array_equal(np.array(given_out), live.window(0, len(given_out)))


def test_silence_and_no_numbers(encoder: WhisperFeatures) -> None:
    broken = speech(1.0)
    broken[4000:4010] = [np.nan, np.inf, -np.inf] * 3 + [np.nan]
    mended = np.where(np.isfinite(broken), broken, 0).astype(np.float32)
    with np.errstate(all="raise"):
        found = everything(heard(LiveFeatures(encoder, PAL), broken))
    assert np.array_equal(found, everything(heard(LiveFeatures(encoder, PAL), mended)))
    for silent in (np.zeros(8 * RATE, np.float32), np.full(8 * RATE, np.nan, np.float32)):
        found = everything(heard(LiveFeatures(encoder, PAL), silent))
        assert found.shape == (200, 50, 16)
        assert np.isfinite(found).all()
    nothing = LiveFeatures(encoder, PAL)
    heard(nothing, np.zeros(0, np.float32))
    assert nothing.ready == 0


def test_a_voice_that_never_ends_costs_no_more(encoder: WhisperFeatures) -> None:
    counting = Listening()
    live = LiveFeatures(counting, NTSC)
    held, calls = [], []
    for minute in range(4):
        for second in range(60):
            live.push(speech(1.0, seed=60 * minute + second))
            live.forget(live.ready)
            held.append(live.held_bytes)
        calls.append(counting.calls)
    assert max(held[180:]) <= max(held[:60])
    assert max(held) < 2 * LENGTH * 4 * 4 + 16 * 320 * 4 + 30 * 6  # log-mel of a window, samples, some steps
    hops = 60 * 50 / 4
    assert np.diff(calls).tolist() == pytest.approx([hops] * 3, rel=0.2)  # the passages between windows more


def test_steps_that_nobody_reads_cost_nothing(tmp_path: Path) -> None:
    samples, whole, part = speech(5.1), Listening(), Listening()  # windows slide
    file = measure_features([samples], whole, tmp_path / "whole.npy", seams="live")
    wanted = range(171, 181)
    some = measure_features([samples], part, tmp_path / "some.npy", seams="live", wanted=wanted)
    assert np.array_equal(some.read(wanted.start, wanted.stop), file.read(wanted.start, wanted.stop))
    assert some.steps == file.steps
    assert part.calls <= 2 * 4 < whole.calls


def test_a_window_can_be_too_short() -> None:
    replaced = replace(MUSETALK_FEATURES, floor="voice")
    LiveFeatures(Listening(replaced), PAL, lookahead_steps=22)
    with pytest.raises(ValueError, match="too short"):
        LiveFeatures(Listening(replaced), PAL, lookahead_steps=23)
