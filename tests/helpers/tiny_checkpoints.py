"""Small checkpoints with filled weights, in the places and the formats of the published ones.

`python -m tests.helpers.tiny_checkpoints DIR [PART...]` writes them. Networks are as narrow as their loaders allow;
those whose shapes are fixed (S3FD, the encoder of Whisper-tiny, GFPGAN) are as large as published. Their values
follow from their names (see `tests/golden/fill.py`), so they are the same everywhere, and mean nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from hybrid.unet3d.config import UNet3DConfig
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.latent import tiny as tiny_latent
from musetalk.backends.musetalk import tiny as tiny_musetalk
from musetalk.faces.detection.s3fd_network import S3FD
from musetalk.faces.parsing.bisenet import BiSeNet
from musetalk.weights.lock import entry_of, record
from tests.golden.fill import fill_state_dict, shapes_of

SEED = 20
PARSING_WIDTH = 8
UNET, VAE = dict(tiny_musetalk.UNET), dict(tiny_latent.VAE)
TAESD = {
    "_class_name": "AutoencoderTiny",
    "_diffusers_version": "0.20.0.dev0",
    "act_fn": "relu",
    "decoder_block_out_channels": [16, 16, 16, 16],
    "encoder_block_out_channels": [16, 16, 16, 16],
    "in_channels": 3,
    "latent_channels": 4,
    "num_decoder_blocks": [1, 1, 1, 1],
    "num_encoder_blocks": [1, 1, 1, 1],
    "out_channels": 3,
    "scaling_factor": 1.0,
    "upsampling_scaling_factor": 2,
}
# The encoder as deep and as wide as Whisper-tiny's, which networks hear, but narrow inside its layers; the decoder as
# small as the format allows, for it is never read.
WHISPER = {
    "architectures": ["WhisperForConditionalGeneration"],
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 64,
    "decoder_layers": 1,
    "decoder_attention_heads": 6,
    "decoder_ffn_dim": 64,
    "max_source_positions": 1500,
    "max_target_positions": 8,
    "num_mel_bins": 80,
    "vocab_size": 20,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
}
# As narrow as the groups of its norms allow, with as few levels as the loader tells from the tensors.
UNET3D = UNet3DConfig(channels=(32, 32), layers=1)
GFPGAN_NAME, DOUBLE_NAME = "GFPGANv1.4.pth", "double.pth"
ROUGHNESS = 0.05  # how much of its own the network that doubles pictures adds
_FEW = 4096  # values up to which a tensor is stored as it is
# How diffusers named attention's projections when the published autoencoder was saved.
_OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def write_unet(folder: Path, name: str) -> None:
    """MuseTalk's UNet: musetalk.json and the file of that name."""
    _write_json(folder / "musetalk.json", UNET)
    torch.save(_filled(lambda: UNet2DConditionModel.from_config(UNET)), folder / name)


def write_vae(folder: Path) -> None:
    """Stable Diffusion's autoencoder, in both formats, with the names of its time."""
    _write_json(folder / "config.json", VAE)
    state = _filled(lambda: AutoencoderKL.from_config(VAE))
    for today, then in _OLD_NAMES.items():
        state = {
            name.replace(f"attentions.0.{today}.", f"attentions.0.{then}."): value for name, value in state.items()
        }
    torch.save(state, folder / "diffusion_pytorch_model.bin")
    save_file(state, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


def write_taesd(folder: Path) -> None:
    """The tiny autoencoder."""
    _write_json(folder / "config.json", TAESD)
    state = _filled(lambda: AutoencoderTiny.from_config(TAESD))
    save_file(state, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


def write_whisper(folder: Path) -> None:
    """Whisper, and how it wants to hear."""
    config = WhisperConfig(**WHISPER)
    config.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    torch.save(_filled(lambda: WhisperForConditionalGeneration(config)), folder / "pytorch_model.bin")


def write_unet3d(folder: Path, *, wrapped: bool) -> None:
    """LatentSync's UNet3D, with its tables: as training saved it, or bare as many processes together save."""
    tables = UNet3D(UNET3D).state_dict()
    state = {**tables, **_filled(lambda: UNet3D(UNET3D))}
    bare = {f"module.{name}": value for name, value in state.items()}
    torch.save({"global_step": 1, "state_dict": state} if wrapped else bare, folder / "latentsync_unet.pt")


def write_parsing(folder: Path) -> None:
    """Face parsing, an eighth as wide as published."""
    torch.save(_filled(lambda: BiSeNet(PARSING_WIDTH)), folder / "79999_iter.pth")


def write_s3fd(folder: Path) -> None:
    """The face detector."""
    torch.save(_filled(S3FD), folder / "s3fd-619a316812.pth")


def write_gfpgan(folder: Path) -> None:
    """GFPGAN in its file's own layout, and a network that doubles pictures: they come out as they were, a bit rough."""
    from spandrel.architectures.Compact import Compact  # noqa: PLC0415 - slow to import
    from spandrel.architectures.GFPGAN import GFPGAN  # noqa: PLC0415

    with torch.device("meta"):
        shapes = shapes_of(GFPGAN().state_dict())
    torch.save({"params_ema": {name: _thrifty(name, shape) for name, shape in shapes.items()}}, folder / GFPGAN_NAME)
    double = _filled(lambda: Compact(num_feat=8, num_conv=1, upscale=2))
    last = max(double, key=lambda name: int(name.split(".")[1])).rpartition(".")[0]
    rough = {name: value * ROUGHNESS if name.startswith(last) else value for name, value in double.items()}
    torch.save({"params": rough}, folder / DOUBLE_NAME)


WRITERS: dict[str, Callable[[Path], None]] = {
    "musetalk": lambda folder: write_unet(folder, "pytorch_model.bin"),
    "musetalkV15": lambda folder: write_unet(folder, "unet.pth"),
    "sd-vae": write_vae,
    "whisper": write_whisper,
    "face-parse-bisent": write_parsing,
    "s3fd": write_s3fd,
    "taesd": write_taesd,
    "gfpgan": write_gfpgan,
    "latentsync-1.5": lambda folder: write_unet3d(folder, wrapped=True),
    "latentsync-1.6": lambda folder: write_unet3d(folder, wrapped=False),
}


def write_all(models_dir: Path, parts: Collection[str] = tuple(WRITERS)) -> int:
    """Write checkpoints, and record them as the user's own, so that backends take them for what they need.

    Args:
        models_dir: Where to.
        parts: Which of `WRITERS`.

    Returns:
        Bytes written.
    """
    size = 0
    for part in parts:
        folder = models_dir / part
        folder.mkdir(parents=True, exist_ok=True)
        WRITERS[part](folder)
        for path in sorted(folder.iterdir()):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            entry = entry_of(digest, path.stat().st_size, "tests.helpers.tiny_checkpoints", own=True)
            record(models_dir, PurePosixPath(part, path.name), entry)
            size += path.stat().st_size
    return size


def _filled(build: Callable[[], nn.Module]) -> dict[str, Tensor]:
    with torch.device("meta"):  # no values are drawn that would be thrown away
        network = build()
    return fill_state_dict(shapes_of(network.state_dict()), SEED)


def _thrifty(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor whose values serve many places each, where it is large: a file holds as few of them as it has rows.

    Each place's value is that of the sum of its indices; so a kernel's rows are one row, moved on. As neighbours are
    alike then, sums of them are larger than fresh draws': half the scale keeps activations near unit size.
    """
    count = sum(shape) - len(shape) + 1
    if math.prod(shape) <= _FEW or len(shape) == 1:
        return fill_state_dict({name: shape}, SEED)[name]
    scale = math.prod(shape[1:]) ** -0.5 / 2 if name.endswith("weight") else 1.0
    values = fill_state_dict({f"{name}.values": (count,)}, SEED)[f"{name}.values"] * scale
    return values.as_strided(shape, (1,) * len(shape))


def _write_json(path: Path, held: dict[str, Any]) -> None:
    path.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write small checkpoints with filled weights.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(WRITERS)}; all if none is named")
    given = parser.parse_args()
    write_all(given.folder, given.parts or tuple(WRITERS))


if __name__ == "__main__":
    main()
