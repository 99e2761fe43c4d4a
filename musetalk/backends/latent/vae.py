"""Pictures to latents and back: Stable Diffusion's autoencoder, and a tiny decoder that understands its latents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import nn

from musetalk.backends.latent.upsampling import with_quick_upsampling
from musetalk.errors import PATH, CheckpointError, WeightsError
from musetalk.runtime.checkpoint import built, fill, load_state_dict
from musetalk.runtime.device import Compute
from musetalk.runtime.int8 import in_int8
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.modules import importing
from musetalk.utils.plain_json import read_plain_json
from musetalk.weights import first_of

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, AutoencoderTiny

_Network = TypeVar("_Network", bound=nn.Module)

LATENT_SCALING = 0.18215  # of sd-vae-ft-mse: latents times this have about unit variance
_DOWNLOAD = "download it: python -m musetalk weights download"
# diffusers before 0.18 named the mid-block attention's projections so, and sd-vae-ft-mse was saved with those names.
_WHOLE = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
_DECODER = "decoder.safetensors"  # what decodes alone, for live speech
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def to_pixels(crops: UInt8Array, device: torch.device | None = None) -> torch.Tensor:
    """Crops as networks take them: uint8 RGB [N, S, S, 3] to float32 [N, 3, S, S] from -1 to 1, there or on the CPU."""
    pixels = torch.tensor(crops, device=device).permute(0, 3, 1, 2).float().div_(255)
    return pixels.sub_(0.5).div_(0.5)


def to_crops(pixels: torch.Tensor) -> UInt8Array:
    """The way back, any size: float [N, 3, h, w] from -1 to 1, clipped and rounded, to uint8 RGB [N, h, w, 3]."""
    levels = pixels.float().div(2).add_(0.5).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


def blacken_lower_half(pixels: torch.Tensor) -> torch.Tensor:
    """What MuseTalk's network is shown of the frame it repaints: rows from the middle down are black, which is -1."""
    masked = pixels.clone()
    masked[:, :, pixels.shape[2] // 2 :] = -1
    return masked


class VaeEncoder:
    """Encodes pictures with Stable Diffusion's autoencoder.

    Args:
        vae: A diffusers AutoencoderKL, placed on `compute`. Only its encoder is kept.
        compute: What to run on.
        seed: None encodes to the middle of the distribution: the same every time. A number samples it as upstream
            does, with one fixed draw of noise for all frames, so that results repeat and do not flicker.
    """

    def __init__(self, vae: AutoencoderKL, compute: Compute, seed: int | None = None) -> None:
        self._encoder, self._quant = vae.encoder, vae.quant_conv
        self._compute = compute
        self._seed = seed

    @property
    def network(self) -> nn.Module:
        """What encodes."""
        return self._encoder  # type: ignore[no-any-return]  # diffusers is untyped

    def moments(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance, unscaled: float [N, 3, S, S] to two float [N, 4, S/8, S/8]."""
        # On a CPU one picture's feature maps fill its caches: one at a time is 7 % quicker than two.
        pieces = pixels.chunk(len(pixels)) if self._compute.device.type == "cpu" else (pixels,)
        features = torch.cat([self._quant(self._encoder(self._compute.tensor(piece))) for piece in pieces])
        mean, log_variance = features.chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)  # as diffusers bounds it

    def encode(self, pixels: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Encode pictures.

        Args:
            pixels: float [N, 3, S, S] from -1 to 1.
            noise: float [N, 4, S/8, S/8], in standard deviations; None: as `seed` says.

        Returns:
            float [N, 4, S/8, S/8], scaled, on the device.
        """
        mean, log_variance = self.moments(pixels)
        if noise is None:
            noise = self._noise(mean)
        if noise is not None:
            mean = mean + torch.exp(log_variance / 2) * self._compute.tensor(noise)
        return mean * LATENT_SCALING

    def _noise(self, like: torch.Tensor) -> torch.Tensor | None:
        if self._seed is None:
            return None
        drawn = torch.randn(like.shape[1:], generator=torch.Generator().manual_seed(self._seed))
        return drawn.expand(like.shape)


class LatentDecoder(Protocol):
    """Turns latents into pictures."""

    def decode_rows(self, latents: torch.Tensor, top: int) -> torch.Tensor:
        """Decode the rows from `top` down.

        Args:
            latents: float [N, 4, h, w], scaled.
            top: The first row wanted, in pixels.

        Returns:
            float [N, 3, 8 h - top, 8 w], about -1 to 1, in the network's number type.
        """
        ...


class VaeDecoder:
    """Decodes with Stable Diffusion's autoencoder: the best picture, at eighteen times the work of `TinyDecoder`.

    Its normalisations and its attention span the picture, so that every row costs the whole.

    Args:
        vae: A diffusers AutoencoderKL, placed on `compute`. Only its decoder is kept; on a CPU quicker layers take the
            place of those that upsample, and of those that can multiply in int8 if that is wanted.
        compute: What to run on.
    """

    def __init__(self, vae: AutoencoderKL, compute: Compute) -> None:
        decoder = with_quick_upsampling(vae.decoder) if compute.device.type == "cpu" else vae.decoder
        self._decoder = in_int8(decoder) if compute.int8 else decoder
        self._post_quant = vae.post_quant_conv
        self._compute = compute

    def decode_rows(self, latents: torch.Tensor, top: int) -> torch.Tensor:
        """Decode, and leave out the rows above `top` (see `LatentDecoder`)."""
        scaled = self._compute.tensor(latents / LATENT_SCALING)
        pixels: torch.Tensor = self._decoder(self._post_quant(scaled))
        return pixels[:, :, top:]


class TinyDecoder:
    """Decodes with TAESD, a small network of convolutions alone that was trained on Stable Diffusion's latents.

    No layer of it looks further than its kernel, so rows that nobody asks for need not be computed.

    Args:
        tiny: A diffusers AutoencoderTiny, placed on `compute`. Only its decoder is kept.
        compute: What to run on.
    """

    def __init__(self, tiny: AutoencoderTiny, compute: Compute) -> None:
        # With no normalisation in it, it loses nothing to the layout that is quicker on every device.
        nn.Module.to(tiny.decoder, memory_format=torch.channels_last)
        self._layers: tuple[nn.Module, ...] = tuple(tiny.decoder.layers)
        self._compute = compute

    def decode_rows(self, latents: torch.Tensor, top: int) -> torch.Tensor:
        """Decode the rows from `top` down and what they depend on, stage by stage (see `LatentDecoder`).

        A row that a cut has made wrong (its layer padded where there was picture) is never one that a later row
        depends on.
        """
        taken = self._compute.tensor(latents)  # TAESD takes them scaled
        features = taken.contiguous(memory_format=torch.channels_last)
        features = torch.tanh(features / 3) * 3  # its own soft limit, before the first layer
        first = 0  # the row of the whole map that the features begin with
        for layer, needed in zip(self._layers, self._rows_needed(top), strict=True):
            features = layer(features[:, :, needed - first :])
            first = needed * _growth(layer)
        return features[:, :, top - first :] * 2 - 1

    def _rows_needed(self, top: int) -> list[int]:
        """For each layer, the first row of its input that output rows from `top` down depend on."""
        rows: list[int] = []
        row = top
        for layer in reversed(self._layers):
            row = max(0, row // _growth(layer) - _reach(layer))
            rows.append(row)
        return rows[::-1]


def _growth(layer: nn.Module) -> int:
    """Return how many rows of a layer's output one row of its input makes."""
    return int(cast(float, layer.scale_factor)) if isinstance(layer, nn.Upsample) else 1


def _reach(layer: nn.Module) -> int:
    """Return how many rows up a layer looks, at most: its convolutions one after the other."""
    return sum(part.kernel_size[0] // 2 for part in layer.modules() if isinstance(part, nn.Conv2d))


def load_vae(folder: Path) -> AutoencoderKL:
    """Load Stable Diffusion's autoencoder from a folder in diffusers' format: an AutoencoderKL, float32, on the CPU.

    Args:
        folder: With config.json and diffusion_pytorch_model.safetensors or .bin, or a lean copy of one; or of one's
            decoder alone, which decodes, and raises a `WeightsError` where it is to encode.

    Raises:
        BackendError: A file is missing, damaged, or another network's.
    """
    with importing():
        from diffusers import AutoencoderKL  # noqa: PLC0415 - slow to import

    def build(config: dict[str, Any]) -> AutoencoderKL:
        vae: AutoencoderKL = AutoencoderKL.from_config(config)
        if decodes_only:
            vae.encoder, vae.quant_conv = _LeftOut(folder), _LeftOut(folder)
        return vae

    decodes_only = first_of(folder, *_WHOLE) is None and first_of(folder, _DECODER) is not None
    return _load(folder, build, *([_DECODER] if decodes_only else _WHOLE))


class _LeftOut(nn.Module):
    """Stands for a network that was left out of the weights in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def forward(self, *_: torch.Tensor) -> torch.Tensor:
        """Refuse.

        Raises:
            WeightsError: Always.
        """
        problem = f'the weights in "{PATH}" are for live speech with prepared avatars: they cannot encode faces'
        remedy = (
            "prepare the avatar for this backend and these settings, or download: python -m musetalk weights download"
        )
        raise WeightsError(problem, remedy, path=self._folder)


def load_tiny(folder: Path) -> AutoencoderTiny:
    """Load TAESD from a folder in diffusers' format: an AutoencoderTiny, float32, on the CPU.

    Args:
        folder: With config.json and diffusion_pytorch_model.safetensors or .bin, or a lean copy of one.

    Raises:
        BackendError: A file is missing, damaged, or another network's.
    """
    with importing():
        from diffusers import AutoencoderTiny  # noqa: PLC0415 - slow to import

    return _load(folder, AutoencoderTiny.from_config, *_WHOLE)


def _load(folder: Path, build: Callable[[dict[str, Any]], _Network], *names: str) -> _Network:
    """Build what a folder's configuration says, and fill it from the first of the weights beside that is there."""
    path = weights_in(folder, *names)
    described = folder / "config.json"
    config = read_config(described)
    network = built(described, lambda: build(config))
    fill(network, _with_todays_names(load_state_dict(path)), path)
    return network


def weights_in(folder: Path, *names: str) -> Path:
    """Return the first of the files that a folder has, or the lean copy that stands for it.

    Raises:
        WeightsError: It has none of them.
    """
    path = first_of(folder, *names)
    if path is not None:
        return path
    raise WeightsError(f'"{PATH}" has none of: {", ".join(names)}', _DOWNLOAD, path=folder)


def read_config(path: Path) -> dict[str, Any]:
    """Read a network's configuration.

    Raises:
        WeightsError: There is no such file.
        CheckpointError: It cannot be read, or is no JSON object.
    """
    try:
        config = read_plain_json(path.read_bytes())
    except OSError as error:
        kind = WeightsError if isinstance(error, FileNotFoundError) else CheckpointError
        raise kind(f'"{PATH}" cannot be read', _DOWNLOAD, path=path) from error
    except ValueError as error:
        raise CheckpointError(f'"{PATH}" is no configuration', _DOWNLOAD, path=path) from error
    if not isinstance(config, dict):
        raise CheckpointError(f'"{PATH}" is no configuration', _DOWNLOAD, path=path)
    return config


def _with_todays_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors under the names, and in the shapes, that today's diffusers has for them."""
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        owner, _, leaf = name.rpartition(".")
        parent, _, part = owner.rpartition(".")
        if ".attentions." not in name or part not in _OLD_ATTENTION:
            renamed[name] = tensor
        else:
            flat = tensor.reshape(tensor.shape[:2]) if tensor.ndim == 4 else tensor  # 1 x 1 convolutions once
            renamed[f"{parent}.{_OLD_ATTENTION[part]}.{leaf}"] = flat
    return renamed
