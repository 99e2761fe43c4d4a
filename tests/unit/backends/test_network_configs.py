"""Configurations that describe no network are refused by the file's name, whatever is wrong in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from musetalk.audio.whisper import load_whisper
from musetalk.backends.latent.vae import load_tiny, load_vae
from musetalk.backends.musetalk.generator import load_unet
from musetalk.errors import CheckpointError
from tests.helpers.errors import raises_kind
from tests.helpers.tiny_checkpoints import write_all

LOADERS: dict[str, Callable[[Path], object]] = {
    "musetalkV15/musetalk.json": load_unet,
    "sd-vae/config.json": load_vae,
    "taesd/config.json": load_tiny,
    "whisper/config.json": load_whisper,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_all(folder, ["musetalkV15", "sd-vae", "taesd", "whisper"])
    return folder


@pytest.mark.parametrize(
    ("config", "key", "value"),
    [
        ("musetalkV15/musetalk.json", "down_block_types", ["Foo"]),
        ("musetalkV15/musetalk.json", "norm_num_groups", 7),
        ("sd-vae/config.json", "down_block_types", ["Foo"]),
        ("taesd/config.json", "act_fn", "nope"),
        ("whisper/config.json", "encoder_attention_heads", 7),
        ("whisper/config.json", "activation_function", "nope"),
    ],
)
def test_what_cannot_be_built_is_named(models: Path, config: str, key: str, value: object) -> None:
    path = models / config
    good = path.read_text()
    path.write_text(json.dumps({**json.loads(good), key: value}))
    try:
        with raises_kind(CheckpointError, path=path):
            LOADERS[config](path.parent)
    finally:
        path.write_text(good)
    LOADERS[config](path.parent)
