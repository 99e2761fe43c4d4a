"""Whisper's encoder from the files that it is published in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import WhisperFeatureExtractor, WhisperModel

from musetalk.audio.types import LATENTSYNC_FEATURES
from musetalk.audio.whisper import WhisperFeatures, load_whisper, whisper_lacks
from musetalk.errors import CheckpointError, WeightsError
from tests.helpers.errors import raises_kind
from tests.helpers.whisper_small import SHAPE, WINDOW, assert_same, copy_of, features_of, reference, speech

pytestmark = pytest.mark.usefixtures("one_thread")


def test_features_are_those_of_transformers(model: WhisperModel, encoder: WhisperFeatures, tmp_path: Path) -> None:
    samples = speech(2.5)
    assert_same(features_of(samples, encoder, tmp_path), reference(model, samples)[:125])


def test_a_bin_file_gives_the_same_encoder(
    model: WhisperModel, folder: Path, encoder: WhisperFeatures, tmp_path: Path
) -> None:
    published = copy_of(folder, tmp_path / "whisper")
    (published / "model.safetensors").unlink()
    # As published: the names start with "model.", and the decoder's part lies beside.
    torch.save({f"model.{name}": value for name, value in model.state_dict().items()}, published / "pytorch_model.bin")
    assert whisper_lacks(published) == ()
    loaded = load_whisper(published, shape=SHAPE)
    assert loaded.fingerprint == encoder.fingerprint
    mel = np.random.default_rng(0).normal(size=(80, 2 * WINDOW)).astype(np.float32)
    assert np.array_equal(loaded.encode(mel), encoder.encode(mel))


def test_half_precision_files_are_heard_in_single_precision(model: WhisperModel, folder: Path, tmp_path: Path) -> None:
    halved = copy_of(folder, tmp_path / "whisper")
    save_file({name: value.half() for name, value in model.state_dict().items()}, halved / "model.safetensors")
    config = json.loads((halved / "config.json").read_text())
    (halved / "config.json").write_text(json.dumps({**config, "torch_dtype": "float16", "dtype": "float16"}))
    mel = np.random.default_rng(0).normal(size=(80, 2 * WINDOW)).astype(np.float32)
    found = load_whisper(halved, shape=SHAPE).encode(mel)
    assert found.dtype == np.float32
    assert (found != found.astype(np.float16)).any()


def test_loading_draws_no_random_numbers(folder: Path) -> None:
    state = torch.random.get_rng_state()
    load_whisper(folder, shape=SHAPE)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_latentsync_hears_the_last_state_before_the_closing_norm(
    folder: Path, model: WhisperModel, encoder: WhisperFeatures
) -> None:
    loaded = load_whisper(folder, LATENTSYNC_FEATURES, shape=SHAPE)
    mel = np.random.default_rng(0).normal(size=(80, 2 * WINDOW)).astype(np.float32)
    before, after = loaded.encode(mel), encoder.encode(mel)
    assert np.array_equal(before[:, :4], after[:, :4])
    with torch.inference_mode():
        normed = model.encoder.layer_norm(torch.from_numpy(before[:, 4])).numpy()
    np.testing.assert_allclose(normed, after[:, 4], atol=1e-5)
    assert np.abs(before[:, 4] - after[:, 4]).max() > 0.1
    assert loaded.fingerprint != encoder.fingerprint


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    broken = copy_of(folder, tmp_path / "whisper")
    (broken / name).unlink()
    assert len(whisper_lacks(broken)) == 1
    with raises_kind(WeightsError, path=broken) as caught:
        load_whisper(broken, shape=SHAPE)
    assert str(broken / name) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\x00\xff" * 50])
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_damaged_file_is_named(folder: Path, tmp_path: Path, name: str, content: bytes) -> None:
    broken = copy_of(folder, tmp_path / "whisper")
    (broken / name).write_bytes(content)
    with raises_kind(CheckpointError, path=broken / name):
        load_whisper(broken, shape=SHAPE)


def test_another_model_is_refused(folder: Path, tmp_path: Path, model: WhisperModel) -> None:
    with raises_kind(CheckpointError, path=folder / "config.json"):
        load_whisper(folder)
    broken = copy_of(folder, tmp_path / "whisper")
    WhisperFeatureExtractor().save_pretrained(broken)
    with raises_kind(CheckpointError, path=broken / "preprocessor_config.json"):
        load_whisper(broken, shape=SHAPE)
    broken = copy_of(folder, tmp_path / "other")
    state = {f"encoder.{name}": value for name, value in model.encoder.state_dict().items() if "layers.2" not in name}
    save_file(state, broken / "model.safetensors")
    with raises_kind(CheckpointError, path=broken / "model.safetensors") as caught:
        load_whisper(broken, shape=SHAPE)
    assert {name[: len("layers.2")] for name in caught.value.tensors} == {"layers.2"}


def test_published_configuration_is_understood(folder: Path, tmp_path: Path) -> None:
    """The published preprocessor carries its filters and its processor's name along."""
    published = copy_of(folder, tmp_path / "whisper")
    path = published / "preprocessor_config.json"
    values = json.loads(path.read_text())
    values |= {"mel_filters": [[0.0]], "processor_class": "WhisperProcessor", "n_samples": 48_000}
    path.write_text(json.dumps(values))
    assert load_whisper(published, shape=SHAPE).filters.shape == (201, 80)
