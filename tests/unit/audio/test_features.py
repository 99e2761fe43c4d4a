"""From a voice to features, in blocks of any size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetalk.audio.features import measure_features
from musetalk.audio.mel import mel_of_voice, regroup
from musetalk.audio.types import LATENTSYNC_FEATURES, MUSETALK_FEATURES, AudioFeatureSpec, Seams
from musetalk.audio.whisper import WhisperFeatures, load_whisper
from musetalk.audio.windows import FeatureTrack
from musetalk.errors import Cancelled, OutputError
from musetalk.progress import CancelToken
from tests.helpers.errors import raises_kind
from tests.helpers.whisper_small import SHAPE, features_of, speech

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("seams", ["smooth", "upstream"])
def test_cutting_into_blocks_changes_nothing(encoder: WhisperFeatures, tmp_path: Path, seams: Seams) -> None:
    samples = speech(7.3)
    whole = measure_features([samples], encoder, tmp_path / "whole.npy", seams=seams)
    sizes = iter([1, 0, 159, 48_000, 48_001, 7])
    pieces, rest = [], samples
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    cut = measure_features([*pieces, rest], encoder, tmp_path / "cut.npy", seams=seams)
    assert whole.path.read_bytes() == cut.path.read_bytes()


@settings(max_examples=40)
@given(lengths=st.lists(st.integers(0, 2000), max_size=8), size=st.integers(400, 1500))
def test_regrouping_keeps_every_sample(lengths: list[int], size: int) -> None:
    samples = np.arange(sum(lengths), dtype=np.float32)
    blocks = np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []
    pieces = list(regroup(blocks, size))
    assert np.array_equal(np.concatenate([*pieces, np.zeros(0)]), samples)
    assert all(len(piece) == size for piece in pieces[:-1])
    assert not pieces or 0 < len(pieces[-1]) <= size


@given(samples=st.integers(1, 3000), size=st.integers(400, 1200))
def test_every_sample_is_heard_by_a_frame(samples: int, size: int) -> None:
    voice = speech(0.2)[:samples]
    filters = np.ones((201, 2))
    silent, mirrored = (
        np.concatenate(list(mel_of_voice(regroup([voice], size), filters, after)))  # type: ignore[arg-type]
        for after in ("silence", "zero")
    )
    assert len(silent) == -(-(samples + 200) // 160)  # the last frame reaches back 200 samples
    assert len(mirrored) == samples // 160
    untouched = max((samples - 200) // 160, 0)  # frames that reach over no end
    assert np.array_equal(silent[:untouched], mirrored[:untouched])


def test_no_numbers_are_silence(encoder: WhisperFeatures, tmp_path: Path) -> None:
    samples = speech(1.0)
    samples[4000:4010] = 0
    broken = samples.copy()
    broken[4000:4010] = [np.nan, np.inf, -np.inf] * 3 + [np.nan]
    assert np.array_equal(features_of(broken, encoder, tmp_path), features_of(samples, encoder, tmp_path))


@pytest.mark.parametrize("samples", [0, 1, 319, 320, 1600])
@pytest.mark.parametrize("audio_spec", [MUSETALK_FEATURES, LATENTSYNC_FEATURES])
def test_the_shortest_voices(folder: Path, tmp_path: Path, samples: int, audio_spec: AudioFeatureSpec) -> None:
    listener = load_whisper(folder, audio_spec, shape=SHAPE)
    file = measure_features([speech(0.2)[:samples]], listener, tmp_path / "voice.npy")
    assert file.steps == samples // 320
    windows = FeatureTrack(file, fps=Fraction(25), frame_count=1, audio_spec=audio_spec).window(0, 3)
    assert windows.shape == (3, 50, 16)
    assert np.isfinite(windows).all()
    assert windows.any() == (file.steps > 0)


def test_the_work_can_be_cancelled(encoder: WhisperFeatures, tmp_path: Path) -> None:
    token = CancelToken()
    done: list[tuple[int, int]] = []

    def on_step(steps: int, total: int) -> None:
        done.append((steps, total))
        token.cancel()

    with pytest.raises(Cancelled):
        measure_features([speech(9.0)], encoder, tmp_path / "voice.npy", on_step=on_step, cancel=token)
    assert done == [(150, 450)]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(encoder: WhisperFeatures, tmp_path: Path) -> None:
    with raises_kind(OutputError, path=tmp_path / "none"):
        measure_features([speech(0.5)], encoder, tmp_path / "none" / "voice.npy")
