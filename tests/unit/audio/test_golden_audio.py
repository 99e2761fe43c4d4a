"""Windows and log-mel against what MuseTalk and LatentSync themselves compute."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from transformers.audio_utils import mel_filter_bank

from musetalk.audio.feature_store import FeatureFile, write_features
from musetalk.audio.features import measure_features
from musetalk.audio.mel import SILENCE, mel_of_segments, mel_of_voice, scale_log_mel
from musetalk.audio.types import MUSETALK_FEATURES
from musetalk.audio.windows import FeatureTrack, step_numbers, windows_with_edges, windows_with_zeros
from musetalk.utils.arrays import Float32Array
from tests.golden.fill import fill_state_dict
from tests.golden.read import read_golden
from tests.helpers.whisper_small import blocks_of

MUSETALK = read_golden("musetalk_audio_chunks.npz")
LATENTSYNC = read_golden("latentsync_audio_chunks.npz")
# Upstream's lag at 24 fps and below, and its whole-numbered rates, are errors: tested by our rule in test_windows.
WRONG_UPSTREAM = {"s3.3_fps24", "s3.3_fps29.97"}
RIGHT_UPSTREAM = [
    name for name in MUSETALK["meta"]["cases"] if f"{name}.time" in MUSETALK and name not in WRONG_UPSTREAM
]


class StandIn:
    """An encoder whose states say where they come from: [step // 64, step % 64, state], exact in half precision."""

    audio_spec = MUSETALK_FEATURES
    filters = np.ones((201, 80))
    window_steps, states, width = 1500, 5, 3
    fingerprint = "stand-in"

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, mel: Float32Array) -> Float32Array:
        assert mel.shape == (80, 3000)
        step = np.arange(1500)[:, None] + 1500 * self.calls + np.zeros(5, int)
        self.calls += 1
        return np.stack([step // 64, step % 64, np.arange(5) + np.zeros_like(step)], axis=2).astype(np.float32)


@pytest.mark.parametrize("name", RIGHT_UPSTREAM)
def test_musetalk_windows_are_upstreams(name: str, tmp_path: Path) -> None:
    case = MUSETALK["meta"]["cases"][name]
    silence = np.zeros(case["librosa_length"], np.float32)
    features = measure_features(blocks_of(silence), StandIn(), tmp_path / "voice.npy", seams="upstream")
    left, right = case["padding_left"], case["padding_right"]
    fps = Fraction(str(case["fps"]))
    track = FeatureTrack(features, fps=fps, frame_count=case["frames"], left=left, right=right)
    windows = track.window(0, case["frames"])
    time, state = MUSETALK[f"{name}.time"], MUSETALK[f"{name}.state"]
    assert windows.shape == (case["frames"], 10 * (left + right + 1), 3)
    heard = time >= 0
    assert np.array_equal((64 * windows[..., 0] + windows[..., 1])[heard], time[heard])
    assert np.array_equal(windows[..., 2][heard], state[heard])
    assert not windows[~heard].any()


@pytest.mark.parametrize("name", ["s1.0_fps25_dim384", "s31_fps30_dim384"])
def test_musetalk_windows_keep_every_value(name: str) -> None:
    case = MUSETALK["meta"]["cases"][name]
    time = np.arange(case["librosa_length"] // 320)[:, None, None]
    state, channel = np.arange(5)[None, :, None], np.arange(384)[None, None, :]
    features = ((time + 1) * 8 + state + channel / 512).astype(np.float32)  # the header's stand-in
    numbers = step_numbers(0, case["frames"], Fraction(case["fps"]))
    windows = windows_with_zeros(features, numbers[case["rows"]])
    assert np.array_equal(windows, MUSETALK[f"{name}.chunks_rows"])


@pytest.mark.parametrize("name", [name for name in LATENTSYNC["meta"]["cases"] if name != "window"])
def test_latentsync_windows_are_upstreams(name: str) -> None:
    case = LATENTSYNC["meta"]["cases"][name]
    left, right = case["audio_feat_length"]
    numbers = step_numbers(0, case["chunks"], Fraction(case["fps"]), left, right)
    assert np.array_equal(np.clip(numbers, 0, case["T"] - 1), LATENTSYNC[f"{name}.index"])
    if f"{name}.features" in LATENTSYNC:
        windows = windows_with_edges(LATENTSYNC[f"{name}.features"], numbers)
        assert np.array_equal(windows, LATENTSYNC[f"{name}.chunks"])
        return
    shape = (case["T"], 5, case["dim"])
    features = fill_state_dict({"features": shape}, seed=int(case["features"].split("seed=")[1][:4]))["features"]
    windows = windows_with_edges(features.numpy(), numbers[case["chunk_rows_stored"]])
    assert np.array_equal(windows, LATENTSYNC[f"{name}.chunks_rows"])


def test_latentsync_training_window() -> None:
    features = LATENTSYNC["small_fps25.features"]
    windows = windows_with_edges(features, step_numbers(3, 19, Fraction(25)))
    assert np.array_equal(windows, LATENTSYNC["window.start3"])


def golden_voice() -> Float32Array:
    return (MUSETALK["wav_int16"] / 32768).astype(np.float32)


def whisper_filters() -> np.ndarray:
    return np.asarray(mel_filter_bank(201, 80, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney"))


def test_log_mel_is_upstreams() -> None:
    filters = whisper_filters()
    one = np.concatenate(list(mel_of_segments([golden_voice()], filters, 3000)))
    assert one.shape == (3000, 80)
    scaled = scale_log_mel(one, float(one.max())).T
    first = MUSETALK["mel_first110"]
    assert np.abs(scaled[:, :110] - first).max() < 2e-5
    tail = MUSETALK["meta"]["mel"]["tail_value"]
    assert np.abs(scaled[:, MUSETALK["meta"]["mel"]["tail_constant_from"] :] - tail).max() < 1e-6
    streamed = np.concatenate(list(mel_of_voice([golden_voice()], filters, "silence")))
    assert np.array_equal(streamed, one[: len(streamed)])
    assert (one[len(streamed) :] == SILENCE).all()


def test_a_track_reads_what_was_written(tmp_path: Path) -> None:
    features = LATENTSYNC["small_fps25.features"]
    file = write_features(tmp_path / "f.npy", features.shape, [features[:10], features[10:]])
    assert FeatureFile.open(tmp_path / "f.npy") == file
    track = FeatureTrack(file, fps=Fraction(25), frame_count=19)
    expected = windows_with_zeros(features, step_numbers(4, 30, Fraction(25)))
    assert np.allclose(track.window(4, 30), expected, rtol=math.ldexp(1, -11), atol=1e-7)
