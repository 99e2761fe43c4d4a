"""A small Whisper, voices for it, and what it makes of them by transformers' own means."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

from musetalk.audio.features import measure_features
from musetalk.audio.types import Seams
from musetalk.audio.whisper import WhisperFeatures
from musetalk.utils.arrays import Float32Array

RATE = 16_000
SHAPE = (5, 16)  # Whisper tiny's four layers, but narrow
WINDOW = 150  # steps: 3 s instead of 30
HALF = 2.0**-11  # relative error of half precision


def build_model() -> WhisperModel:
    """Whisper with all its parts, small: positions count for nothing, weights are large enough for context to count."""
    config = WhisperConfig(
        vocab_size=20,
        d_model=SHAPE[1],
        encoder_layers=SHAPE[0] - 1,
        encoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        max_source_positions=WINDOW,
        max_target_positions=8,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = WhisperModel(config).eval()
        with torch.no_grad():
            for name, value in model.encoder.named_parameters():
                if value.ndim > 1:
                    value.normal_(std=1.0 / value[0].numel() ** 0.5)
                if name.startswith("embed_positions"):
                    value.zero_()
    return model


def copy_of(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def speech(seconds: float, seed: int = 0) -> Float32Array:
    """Noise of changing color that swells four times a second; never quiet for long."""
    generator = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    noise = generator.normal(size=len(t))
    color = np.convolve(noise, np.ones(8) / 8, mode="same")
    tone = np.sin(2 * np.pi * (300 + 200 * np.sin(1.3 * t)) * t)
    return ((0.05 * noise + 0.1 * color + 0.2 * tone) * (0.6 + 0.4 * np.sin(8 * np.pi * t))).astype(np.float32)


def blocks_of(samples: Float32Array, size: int = 64_000) -> Iterator[Float32Array]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def features_of(samples: Float32Array, encoder: WhisperFeatures, path: Path, seams: Seams = "smooth") -> Float32Array:
    file = measure_features(blocks_of(samples), encoder, path / "voice.npy", seams=seams)
    return file.read(0, file.steps)


def reference(model: WhisperModel, samples: Float32Array) -> Float32Array:
    """What MuseTalk computes for one segment, by transformers' own means: float32 [WINDOW, 5, 16]."""
    extractor = WhisperFeatureExtractor(chunk_length=3)
    mel = extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features
    with torch.inference_mode():
        states = model.encoder(mel, output_hidden_states=True).hidden_states
    return torch.stack(states, dim=2)[0].numpy()


def assert_same(found: Float32Array, wanted: Float32Array) -> None:
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=HALF, atol=5e-4)
