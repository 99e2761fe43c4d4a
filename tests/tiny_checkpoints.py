"""Small checkpoints with filled weights, in the places and the formats of the published ones.

`python -m tests.tiny_checkpoints DIR [PART...]` writes them. Networks are as narrow as their loaders allow; those whose
shapes are fixed (face parsing, S3FD, the encoder of Whisper-tiny) are as large as published. Their values follow from
their names (see `tests/golden/fill.py`), so they are the same everywhere, and mean nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from hybrid.check import stand_ins
from hybrid.unet3d.config import UNet3DConfig
from hybrid.unet3d.unet import UNet3D
from musetalk.faces.parsing_network import BiSeNet
from musetalk.faces.s3fd_network import S3FD
from musetalk.weights.lock import entry_of, record
from tests.golden.fill import fill_state_dict, shapes_of

SEED = 20
UNET, VAE = dict(stand_ins.UNET), dict(stand_ins.VAE)
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
# The encoder as Whisper-tiny has it; the decoder, which is never read, as small as the format allows.
WHISPER = {
    "architectures": ["WhisperForConditionalGeneration"],
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
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
# As narrow as the groups of its norms allow; the loader tells the sizes from the tensors.
UNET3D = UNet3DConfig(channels=(32, 32, 32, 32), layers=1)
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
    """Face parsing."""
    torch.save(_filled(BiSeNet), folder / "79999_iter.pth")


def write_s3fd(folder: Path) -> None:
    """The face detector."""
    torch.save(_filled(S3FD), folder / "s3fd-619a316812.pth")


WRITERS: dict[str, Callable[[Path], None]] = {
    "musetalk": lambda folder: write_unet(folder, "pytorch_model.bin"),
    "musetalkV15": lambda folder: write_unet(folder, "unet.pth"),
    "sd-vae": write_vae,
    "whisper": write_whisper,
    "face-parse-bisent": write_parsing,
    "s3fd": write_s3fd,
    "taesd": write_taesd,
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
            entry = entry_of(digest, path.stat().st_size, "tests.tiny_checkpoints", own=True)
            record(models_dir, PurePosixPath(part, path.name), entry)
            size += path.stat().st_size
    return size


def _filled(build: Callable[[], nn.Module]) -> dict[str, Tensor]:
    with torch.device("meta"):  # no values are drawn that would be thrown away
        network = build()
    return fill_state_dict(shapes_of(network.state_dict()), SEED)


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
