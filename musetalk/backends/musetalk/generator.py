"""MuseTalk: one step of a 2D UNet that listens to Whisper features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch

from musetalk.audio.types import MUSETALK_FEATURES, MUSETALK_V1_FEATURES
from musetalk.backends.latent.autoencoder import DecoderName, frames_at_once, load_autoencoder
from musetalk.backends.latent.frames import FrameLatentGenerator
from musetalk.backends.latent.generator import LatentOptions
from musetalk.backends.latent.positional_encoding import position_table
from musetalk.backends.latent.vae import read_config, weights_in
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.errors import PATH, CheckpointError
from musetalk.runtime.checkpoint import built, fill, load_state_dict
from musetalk.runtime.device import Batches, Compute
from musetalk.runtime.int8 import in_int8
from musetalk.settings import V1Speech
from musetalk.utils.modules import importing

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

Version: TypeAlias = Literal["v1", "v15"]

CROP_SIZE = 256
AUDIO_CHANNELS = 384  # of each of Whisper-tiny's hidden states
_FOLDERS: dict[Version, str] = {"v1": "musetalk", "v15": "musetalkV15"}
_WEIGHTS = ("unet.safetensors", "unet.pth", "pytorch_model.bin")
_CPU_CLIP, _GPU_CLIP = 8, 16
_MOST_TOGETHER = 8  # frames of several clips: live, more would keep the first one waiting
_COMPILED_CPU_BATCH = 2  # of the UNet: nobody could stop more of them for seconds, since compiled it has no stop points


def spec_of(version: Version, v1_speech: V1Speech = "released") -> GeneratorSpec:
    """Return the spec of a version. Both were trained on the same crops.

    1.5 sees and shows more below the chin.
    """
    if version == "v15":
        return GeneratorSpec(MUSETALK_FEATURES, "halved", margin_below=True, mask="jaw", per_frame=True)
    audio_spec = MUSETALK_V1_FEATURES if v1_speech == "released" else MUSETALK_FEATURES
    return GeneratorSpec(audio_spec, "halved", margin_below=False, mask="raw", per_frame=True)


class MuseTalkDenoiser:
    """One call of MuseTalk's UNet at timestep 0. Frames do not depend on each other.

    Args:
        unet: A diffusers UNet2DConditionModel, placed on `compute`; where int8 is wanted, layers that can multiply so
            are replaced.
        compute: What to run on.
        batch: Frames at once.
    """

    def __init__(self, unet: UNet2DConditionModel, compute: Compute, batch: int) -> None:
        self._unet, self._compute = in_int8(unet) if compute.int8 else unet, compute
        self._batches = Batches(batch)
        self._timestep = torch.zeros(1, dtype=torch.long, device=compute.device)

    @property
    def network(self) -> UNet2DConditionModel:
        """What paints."""
        return self._unet

    def denoise(self, latents: torch.Tensor, audio: torch.Tensor, clip: Clip) -> torch.Tensor:
        """Paint the mouths of one clip (see `Denoiser`); its crops are not looked at."""
        return self.denoise_frames(latents, audio, clip.check)

    def denoise_frames(self, latents: torch.Tensor, audio: torch.Tensor, check: Callable[[], None]) -> torch.Tensor:
        """Paint mouths in frames of any clips (see `FrameDenoiser`)."""
        heard = self._compute.tensor(audio + position_table(*audio.shape[1:]).to(audio.device))
        shown = self._compute.tensor(latents)
        parts = self._batches.run(
            lambda start, stop: self._call(shown[start:stop], heard[start:stop]), len(shown), check
        )
        return torch.cat(parts)

    def _call(self, latents: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        painted: torch.Tensor = self._unet(latents, self._timestep, encoder_hidden_states=audio, return_dict=False)[0]
        return painted


def load_unet(folder: Path) -> UNet2DConditionModel:
    """Load MuseTalk's UNet: a UNet2DConditionModel, float32, on the CPU.

    Args:
        folder: With musetalk.json and unet.pth (v1.5) or pytorch_model.bin (v1).

    Raises:
        BackendError: A file is missing, damaged, or another network's.
    """
    with importing():
        from diffusers import UNet2DConditionModel  # noqa: PLC0415 - slow to import

    path = weights_in(folder, *_WEIGHTS)
    config = read_config(folder / "musetalk.json")
    unet: UNet2DConditionModel = built(folder / "musetalk.json", lambda: UNet2DConditionModel.from_config(config))
    takes = (unet.config.in_channels, unet.config.out_channels, unet.config.cross_attention_dim)
    if takes != (8, 4, AUDIO_CHANNELS):
        raise CheckpointError(
            f'"{PATH}" is not MuseTalk\'s: in, out and audio channels are {takes}',
            f"8, 4 and {AUDIO_CHANNELS} are right; download it: python -m musetalk weights download",
            path=folder / "musetalk.json",
        )
    fill(unet, load_state_dict(path), path)
    return unet


def load_musetalk(
    models_dir: Path,
    version: Version,
    compute: Compute,
    *,
    v1_speech: V1Speech = "released",
    decoder: DecoderName = "sd",
    batch: int | None = None,
    compiled: bool = False,
    seed: int | None = None,
) -> FrameLatentGenerator:
    """Load MuseTalk's generator.

    Args:
        models_dir: Where weights lie: musetalk/ or musetalkV15/, sd-vae/, and taesd/ for the tiny decoder.
        version: "v1" or "v15".
        compute: What to run on.
        v1_speech: How MuseTalk 1.0 hears (see `SpeechSettings`).
        decoder: "sd" (Stable Diffusion's) or "tiny" (TAESD: far quicker, softer).
        batch: Frames at once, and in a clip; None: as many as help and fit, of several clips no more than 8.
        compiled: Whether torch compiles the networks: minutes at the first clip, quicker from then on.
        seed: See `VaeEncoder`.

    Raises:
        BackendError: A file is missing, damaged, or another network's.
        DeviceError: The networks are to be compiled, which int8 does not allow.
    """
    autoencoder = load_autoencoder(models_dir, compute, decoder, seed)
    unet = compute.place(load_unet(models_dir / _FOLDERS[version]))
    if compiled:
        compute.compile(*autoencoder.networks, unet)
    on_gpu = compute.device.type != "cpu"
    frames = batch or frames_at_once(compute, CROP_SIZE, _GPU_CLIP if on_gpu else _CPU_CLIP)
    options = replace(
        LatentOptions.on(compute, CROP_SIZE, frames, frames), together=batch or min(frames, _MOST_TOGETHER)
    )
    stoppable = on_gpu or not compiled
    denoiser = MuseTalkDenoiser(unet, compute, frames if stoppable else min(frames, _COMPILED_CPU_BATCH))
    spec = replace(spec_of(version, v1_speech), notes=compute.notes)
    return FrameLatentGenerator(autoencoder.encoder, autoencoder.decoder, denoiser, compute, options, spec)
