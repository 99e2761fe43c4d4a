"""The latent generator: faces painted as latents by a denoiser, between an encoder and a decoder that all share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Protocol

import torch

from musetalk.backends.latent.vae import LatentDecoder, VaeEncoder, blacken_lower_half, to_crops, to_pixels
from musetalk.backends.types import Clip, GeneratorSpec, KeptLatents
from musetalk.errors import BackendError, NotFiniteError, OutOfMemoryError
from musetalk.progress import never_stop
from musetalk.runtime.device import LESS_MEMORY, Batches, Compute, out_of_memory_as
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.lru_cache import LRUCache

_SCALE = 8  # from the side of latents to that of their crop
CACHE_BYTES = 128 * 2**20  # 4096 frames of 256 x 256 in float32


class Denoiser(Protocol):
    """The surgical call: what is swapped between MuseTalk and LatentSync."""

    def denoise(self, latents: torch.Tensor, audio: torch.Tensor, clip: Clip) -> torch.Tensor:
        """Paint the mouths of one clip. Called inside `torch.inference_mode`.

        Args:
            latents: float [N, 8, h, w], scaled, on the device: the masked crop, then the crop.
            audio: float32 [N, 50, 384] on the device: Whisper features, without positions.
            clip: What they were made from; tells and is told how the work goes on.

        Returns:
            float [N, 4, h, w], scaled, on the device.
        """
        ...


@dataclass(frozen=True, slots=True)
class LatentOptions:
    """How a latent generator works through its clips.

    Attributes:
        crop_size: Side of the crops in pixels, a multiple of 8.
        clip_length: Most frames in one clip.
        encode_batch: Frames encoded at once; each is two pictures.
        decode_batch: Frames decoded at once.
        cache_bytes: Most memory for the latents of frames seen before.
        together: Most frames of several clips in one call, where the denoiser takes such (see `FrameLatentGenerator`).
    """

    crop_size: int
    clip_length: int
    encode_batch: int = 1
    decode_batch: int = 1
    cache_bytes: int = CACHE_BYTES
    together: int = 8

    @classmethod
    def on(cls, compute: Compute, crop_size: int, clip_length: int, frames: int) -> LatentOptions:
        """With `frames` at once on a GPU; one at a time on a CPU, where more are no faster, and take memory."""
        gpu = compute.device.type != "cpu"
        batches = (max(1, frames // 2), frames) if gpu else (1, 1)  # what is encoded is two pictures a frame
        return cls(crop_size, clip_length, *batches)


class LatentGenerator:
    """Paints mouths with a denoiser. A `FaceGenerator` for "features".

    A crop's latents depend on nothing but its pixels, so they are kept under a digest of these: a source frame that
    is shown again, in this render or the next, is not encoded again.

    Args:
        encoder: Crops to latents.
        decoder: Latents to crops.
        denoiser: What paints.
        compute: What all three run on.
        options: Sizes.
        spec: How the denoiser sees and hears.
        mask: What the denoiser is not to see is taken out of float [N, 3, S, S] by it, which returns a copy.
        paste: Puts what is kept of the crops back around what was painted: from both, uint8 RGB [N, S, S, 3], to that;
            None: nothing does, and a mask decides what shows.
    """

    def __init__(
        self,
        encoder: VaeEncoder,
        decoder: LatentDecoder,
        denoiser: Denoiser,
        compute: Compute,
        options: LatentOptions,
        spec: GeneratorSpec,
        mask: Callable[[torch.Tensor], torch.Tensor] = blacken_lower_half,
        paste: Callable[[UInt8Array, UInt8Array], UInt8Array] | None = None,
    ) -> None:
        self._paste = paste
        self._encoder, self._decoder, self._denoiser, self._mask = encoder, decoder, denoiser, mask
        self._compute, self._options = compute, options
        self._spec = replace(spec, masked_input=lambda crop: to_crops(mask(to_pixels(crop[None])))[0])
        self._cache = LatentCache(options.cache_bytes)
        self._encoding, self._decoding = Batches(options.encode_batch), Batches(options.decode_batch)

    @property
    def encoder(self) -> VaeEncoder:
        """What makes latents of crops."""
        return self._encoder

    @property
    def denoiser(self) -> Denoiser:
        """What paints."""
        return self._denoiser

    @property
    def crop_size(self) -> int | None:
        """Side of the crops in pixels."""
        return self._options.crop_size

    @property
    def clip_length(self) -> int:
        """Most frames in one clip."""
        return self._options.clip_length

    @property
    def spec(self) -> GeneratorSpec:
        """The input that its denoiser takes."""
        return self._spec

    @property
    def device(self) -> str:
        """What it runs on."""
        return str(self._compute.device)

    def generate(self, clip: Clip) -> UInt8Array:
        """Return the clip's crops speaking: uint8 RGB [N, S, S, 3].

        Raises:
            ComputeError: Memory ran out, or the networks' numbers are none.
        """
        with self._computing("there is not enough memory to paint a clip"):
            audio = torch.tensor(clip.speech).to(self._compute.device)
            latents = self._compute.tensor(self._source_latents(clip.crops, clip.check, clip.kept))
            painted = finite(self._denoiser.denoise(latents, audio, clip))
            decoded = self._decoded(painted, clip.first_row, clip.check)
        return self._placed(clip, [rows for batch in decoded for rows in batch])

    def latents(self, crops: UInt8Array, check: Callable[[], None] = never_stop) -> tuple[list[bytes], Float32Array]:
        """Encode crops: their digests, and float32 [N, 8, h, w]; see `EncodesCrops`.

        Raises:
            ComputeError: Memory ran out, or the network's numbers are none.
        """
        with self._computing("there is not enough memory to encode faces"):
            encoded = finite(self._source_latents(crops, check, None))
        return [crop_digest(crop) for crop in crops], encoded.float().numpy()

    def _source_latents(self, crops: UInt8Array, check: Callable[[], None], kept: KeptLatents | None) -> torch.Tensor:
        """Latents of the masked crops and of the crops: float [N, 8, h, w], on the CPU."""
        digests = [crop_digest(crop) for crop in crops]
        known: dict[bytes, torch.Tensor] = {}
        for digest in dict.fromkeys(digests):
            own = None if kept is None else _fitting(kept.get(digest), crops.shape[1])
            latents = self._cache.get(digest) if own is None else torch.from_numpy(own)
            if latents is not None:
                known[digest] = latents
        missing = {digest: row for row, digest in enumerate(digests) if digest not in known}
        rows = list(missing.values())
        encoded = self._encoding.run(lambda start, stop: self._encode(crops[rows[start:stop]]), len(rows), check)
        for digest, latents in zip(missing, (each for batch in encoded for each in batch), strict=True):
            known[digest] = self._cache.put(digest, latents)
        return torch.stack([known[digest] for digest in digests])

    def _encode(self, crops: UInt8Array) -> torch.Tensor:
        pixels = to_pixels(crops, self._compute.device)
        both = self._encoder.encode(torch.cat([self._mask(pixels), pixels]))
        return torch.cat(both.chunk(2), dim=1).cpu()

    def _decoded(self, latents: torch.Tensor, top: int, check: Callable[[], None]) -> list[UInt8Array]:
        """Decode latents, some at a time: uint8 RGB [n, S - top, S, 3], from row `top` down."""
        return self._decoding.run(
            lambda start, stop: to_crops(finite(self._decoder.decode_rows(latents[start:stop], top))),
            len(latents),
            check,
        )

    def _placed(self, clip: Clip, painted: Sequence[UInt8Array]) -> UInt8Array:
        """Return the clip's crops with what was painted of each, from its `first_row` down, in them."""
        result = clip.crops.copy()
        for crop, rows in zip(result, painted, strict=True):
            crop[clip.first_row :] = rows
        return result if self._paste is None else self._paste(result, clip.crops)

    @staticmethod
    @contextmanager
    def _computing(no_memory: str) -> Iterator[None]:
        """Run networks inside the `with` block; `no_memory` is told where memory runs out."""
        with out_of_memory_as(OutOfMemoryError(no_memory, LESS_MEMORY)), torch.inference_mode():
            yield


def crop_digest(crop: UInt8Array) -> bytes:
    """Return what crops are told apart by: their pixels'."""
    return blake2b(crop.tobytes(), digest_size=16).digest()


def _fitting(kept: Float32Array | None, side: int) -> Float32Array | None:
    """Return kept latents as they are.

    Raises:
        BackendError: They are not those of a crop of this side.
    """
    if kept is not None and kept.shape[1:] != (side // _SCALE, side // _SCALE):
        raise BackendError(
            f"kept latents are {list(kept.shape)}, not those of crops of {side} pixels", "make them again"
        )
    return kept


def finite(values: torch.Tensor) -> torch.Tensor:
    """The same values.

    Raises:
        NotFiniteError: Some, of which pixels would be made, are NaN or infinite.
    """
    if not bool(torch.isfinite(values).all()):
        raise NotFiniteError(
            "the network's result is not a number", "choose the number type bf16 or fp32, or verify the weights"
        )
    return values


class LatentCache(LRUCache[bytes, torch.Tensor]):
    """Latents by the digest of their pixels; those not used for longest go first. Safe to share between threads.

    Args:
        most_bytes: What all together may take; at least the newest is kept.
    """

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes, lambda latents: latents.nbytes)

    def put(self, digest: bytes, latents: torch.Tensor) -> torch.Tensor:
        """Keep a copy of latents and return it."""
        own = latents.clone()  # a view would keep its whole batch alive
        self.keep(digest, own)
        return own
