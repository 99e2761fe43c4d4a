"""Features on disk: files, and the cache of voices that were heard before."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from musetalk.audio.feature_store import FeatureCache, FeatureFile, write_features
from musetalk.audio.features import measure_features
from musetalk.audio.types import Seams
from musetalk.audio.whisper import WhisperFeatures
from musetalk.utils.arrays import Float32Array
from tests.helpers.whisper_small import blocks_of, speech

pytestmark = pytest.mark.usefixtures("one_thread")


def test_half_a_file_is_refused(numbered: FeatureFile, tmp_path: Path) -> None:
    content = numbered.path.read_bytes()
    for length in (0, 5, 60, len(content) - 1):
        (tmp_path / "cut.npy").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"."):
            FeatureFile.open(tmp_path / "cut.npy")
    np.save(tmp_path / "other.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="no features"):
        FeatureFile.open(tmp_path / "other.npy")


def test_values_beyond_half_precision_stay_finite(tmp_path: Path) -> None:
    written = write_features(tmp_path / "f.npy", (1, 1, 2), [np.array([[[1e9, -1e9]]], np.float32)])
    assert written.read(0, 1).tolist() == [[[65504.0, -65504.0]]]


class Counting:
    """An encoder that counts how often it works."""

    def __init__(self, encoder: WhisperFeatures) -> None:
        self.audio_spec, self.filters, self.fingerprint = encoder.audio_spec, encoder.filters, encoder.fingerprint
        self.window_steps, self.states, self.width = encoder.window_steps, encoder.states, encoder.width
        self._encoder = encoder
        self.calls = 0

    def encode(self, mel: Float32Array) -> Float32Array:
        self.calls += 1
        return self._encoder.encode(mel)


def test_a_voice_is_encoded_once(encoder: WhisperFeatures, tmp_path: Path) -> None:
    counting, cache = Counting(encoder), FeatureCache(tmp_path / "cache")
    samples = speech(1.0)

    def measure(name: str, voice: Float32Array = samples, seams: Seams = "smooth") -> FeatureFile:
        return measure_features(blocks_of(voice, 5000), counting, tmp_path / name, seams=seams, cache=cache)

    first = measure("a.npy")
    second = measure("b.npy")
    assert counting.calls == 1
    assert second.path == tmp_path / "b.npy"
    assert second.path.read_bytes() == first.path.read_bytes()
    measure("c.npy", speech(1.0, seed=1))
    measure("d.npy", seams="upstream")
    counting.fingerprint = "other"
    measure("e.npy")
    assert counting.calls == 4
    shutil.rmtree(tmp_path / "cache")
    assert second.read(0, 1).any()  # what was handed out stays


def test_each_way_of_hearing_is_kept_apart(encoder: WhisperFeatures, tmp_path: Path) -> None:
    cache, calls = FeatureCache(tmp_path / "cache"), []
    ways: list[tuple[Seams, int, range | None]] = [("smooth", 8, None), ("live", 8, None), ("live", 9, None)]
    for number, (seams, ahead, wanted) in enumerate([*ways, ("live", 8, range(5, 7))] * 2):
        counting, path = Counting(encoder), tmp_path / f"{number}.npy"
        voice = [speech(0.5)]
        measure_features(voice, counting, path, seams=seams, lookahead_steps=ahead, wanted=wanted, cache=cache)
        calls.append(counting.calls)
    assert calls[4:] == [0, 0, 0, 0]
    assert 0 < calls[3] < calls[1]


def test_a_damaged_entry_is_measured_again(encoder: WhisperFeatures, tmp_path: Path) -> None:
    counting, cache = Counting(encoder), FeatureCache(tmp_path / "cache")
    measure_features([speech(0.5)], counting, tmp_path / "a.npy", cache=cache).path.unlink()
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    measured = measure_features([speech(0.5)], counting, tmp_path / "b.npy", cache=cache)
    assert counting.calls == 2
    assert FeatureFile.open(kept).steps == measured.steps == 25


def test_the_cache_is_bounded_and_forgets_what_was_used_longest_ago(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    values = np.ones((10, 5, 16), np.float32)
    source = write_features(tmp_path / "f.npy", values.shape, [values])
    size = source.path.stat().st_size
    cache = FeatureCache(folder, max_bytes=2 * size)
    folder.mkdir()
    (folder / "notes.txt").write_text("not ours")
    for age, key in enumerate(("a", "b")):
        source.path.unlink(missing_ok=True)
        cache.store(key, write_features(source.path, values.shape, [values]))
        kept = folder / f"features-{key}.npy"
        os.utime(kept, ns=(age, age))
    assert cache.fetch("a", tmp_path / "got.npy") is not None  # now "b" is the oldest
    cache.store("c", write_features(source.path, values.shape, [values]))
    assert sorted(path.name for path in folder.iterdir()) == ["features-a.npy", "features-c.npy", "notes.txt"]
    assert cache.fetch("b", tmp_path / "none.npy") is None
    FeatureCache(folder, max_bytes=size - 1).store("d", source)
    assert not (folder / "features-d.npy").exists()


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(encoder: WhisperFeatures, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = FeatureCache(tmp_path / "file" / "cache")
    file = measure_features([speech(0.5)], encoder, tmp_path / "voice.npy", cache=cache)
    assert file.read(0, 25).any()
