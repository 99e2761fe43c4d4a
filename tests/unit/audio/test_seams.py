"""Where the windows that Whisper listens to are joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import WhisperModel

from musetalk.audio.features import measure_features
from musetalk.audio.seams import plan_seams
from musetalk.audio.whisper import WhisperFeatures, load_whisper
from musetalk.utils.arrays import Float32Array
from tests.helpers.whisper_small import RATE, SHAPE, WINDOW, assert_same, features_of, reference, speech

pytestmark = pytest.mark.usefixtures("one_thread")


def test_upstreams_seams_are_upstreams(model: WhisperModel, encoder: WhisperFeatures, tmp_path: Path) -> None:
    samples = speech(7.5)
    samples[48_000:96_000] *= 1e-5  # the floor of each segment is its own
    wanted = np.concatenate([reference(model, samples[start : start + 48_000]) for start in (0, 48_000, 96_000)])
    assert_same(features_of(samples, encoder, tmp_path, "upstream"), wanted[:375])


def test_no_seam_shows(model: WhisperModel, encoder: WhisperFeatures, tmp_path: Path) -> None:
    samples = speech(12.0)
    smooth = features_of(samples, encoder, tmp_path)
    hard = features_of(samples, encoder, tmp_path, "upstream")
    assert len(smooth) == len(hard) == 600
    for border in (150, 300, 450):
        here = slice(border - 5, border + 5)
        around = samples[(border - 75) * 320 : (border + 75) * 320]  # a window with the border in its middle
        wanted = reference(model, around)[70:80]
        # The first state depends on nothing farther than some 30 ms.
        assert np.abs(hard[here, 0] - wanted[:, 0]).max() > wanted[:, 0].std()
        assert_same(smooth[here, 0], wanted[:, 0])
        # The others listen to the whole window, which is another one here.
        assert np.square(smooth[here] - wanted).mean() < np.square(hard[here] - wanted).mean() / 2


@given(steps=st.integers(0, 9000))
def test_windows_overlap_enough_and_cover_the_voice(steps: int) -> None:
    plan = plan_seams(steps, 1500, "smooth")
    starts = np.array(plan.starts, int)
    assert starts.tolist() == sorted({max(start, 0) for start in starts.tolist()})
    assert (np.diff(starts) <= 1000).all()
    assert len(starts) == (0 if steps == 0 else 1 + max(-(-(steps - 1500) // 1000), 0))
    if steps:
        assert starts[0] == 0
        assert starts[-1] == max(steps - 1500, 0)


def test_windows_are_joined_where_it_is_quiet(folder: Path, tmp_path: Path) -> None:
    samples = speech(5.0)
    samples[round(2.5 * RATE) : round(2.6 * RATE)] = 0  # within the middle half of the overlap, steps 112 to 138
    listener = load_whisper(folder, shape=SHAPE)

    class Numbered:
        """States that say which window they come from."""

        audio_spec, filters, window_steps, states, width = listener.audio_spec, listener.filters, WINDOW, 1, 1
        fingerprint = ""
        calls = 0

        def encode(self, mel: Float32Array) -> Float32Array:
            self.calls += 1
            return np.full((WINDOW, 1, 1), self.calls, np.float32)

    file = measure_features([samples], Numbered(), tmp_path / "voice.npy")
    window = file.read(0, file.steps)[:, 0, 0]
    passage = np.flatnonzero(window == 1.5)
    assert passage.tolist() in ([126], [127], [128], [129])
    assert (window[: passage[0]] == 1).all()
    assert window[passage[0] + 1 : 200].tolist() == [2.0] * (199 - passage[0])
