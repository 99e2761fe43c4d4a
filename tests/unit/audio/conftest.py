from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import WhisperFeatureExtractor, WhisperModel

from musetalk.audio.feature_store import FeatureFile, write_features
from musetalk.audio.whisper import WhisperFeatures, load_whisper
from tests.helpers.whisper_small import SHAPE, build_model


@pytest.fixture(scope="session")
def model() -> WhisperModel:
    return build_model()


@pytest.fixture(scope="session")
def folder(model: WhisperModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whisper")
    model.save_pretrained(path)
    WhisperFeatureExtractor(chunk_length=3).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def encoder(folder: Path) -> WhisperFeatures:
    return load_whisper(folder, shape=SHAPE)


@pytest.fixture(scope="session")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> FeatureFile:
    """Features that say where they come from: [step + 1, state], 40 steps."""
    step, state = np.arange(40)[:, None] + np.zeros(5, int), np.arange(5) + np.zeros((40, 1), int)
    values = np.stack([step + 1, state], axis=2).astype(np.float32)
    return write_features(tmp_path_factory.mktemp("features") / "voice.npy", values.shape, [values])
