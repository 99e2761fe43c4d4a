"""From clips to painted crops through latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from musetalk.audio.types import MUSETALK_FEATURES
from musetalk.backends.latent.frames import FrameLatentGenerator, LatentFrame, filled_up
from musetalk.backends.latent.generator import Denoiser, LatentCache, LatentGenerator, LatentOptions
from musetalk.backends.latent.vae import VaeDecoder, VaeEncoder, to_crops, to_pixels
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.types import Clip, GeneratorSpec, PaintsFrames
from musetalk.errors import NotFiniteError
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.settings import RenderSettings
from tests.helpers.errors import raises_kind
from tests.helpers.filled import CPU, filled

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE = 64
TRAITS = GeneratorSpec(MUSETALK_FEATURES, "halved")
FACE = FaceSample(0, FaceBox(8, 8, 56, 56, 1), MouthShape(32, 44, 9, 0))


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    return filled(
        AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            norm_num_groups=4,
        ),
        seed=11,
    )


class Louder:
    """A denoiser: the reference latents, shifted by how loud the voice is."""

    def denoise(self, latents: torch.Tensor, audio: torch.Tensor, clip: Clip) -> torch.Tensor:
        assert latents.shape[:2] == (len(clip.crops), 8)
        return latents[:, 4:] + audio.mean(dim=(1, 2))[:, None, None, None]


class LouderFrames(Louder):
    """The same, for frames of any clips."""

    def denoise_frames(self, latents: torch.Tensor, audio: torch.Tensor, check: Callable[[], None]) -> torch.Tensor:
        check()
        return latents[:, 4:] + audio.mean(dim=(1, 2))[:, None, None, None]


class CountingEncoder(VaeEncoder):
    def __init__(self, vae: AutoencoderKL, seed: int | None = None) -> None:
        super().__init__(vae, CPU, seed)
        self.pictures = 0

    def moments(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.pictures += len(pixels)
        return super().moments(pixels)


def generator(
    vae: AutoencoderKL, encoder: VaeEncoder | None = None, denoiser: Denoiser | None = None, **options: int
) -> LatentGenerator:
    sizes = LatentOptions(SIZE, **{"clip_length": 8, **options})
    return LatentGenerator(
        encoder or VaeEncoder(vae, CPU), VaeDecoder(vae, CPU), denoiser or Louder(), CPU, sizes, TRAITS
    )


def crops_of(*seeds: int) -> np.ndarray:
    """A picture per seed, the same for the same seed. Read-only, as a clip's crops may be."""
    pictures = [np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8) for seed in seeds]
    crops = np.stack(pictures)
    crops.setflags(write=False)
    return crops


def clip_of(*seeds: int, loud: float = 0.0) -> Clip:
    speech = np.full((len(seeds), 50, 384), loud, np.float32)
    return Clip(crops_of(*seeds), speech, (FACE,) * len(seeds))


def test_it_says_what_it_takes(vae: AutoencoderKL) -> None:
    made = generator(vae, clip_length=5)
    assert (made.crop_size, made.clip_length, made.device) == (SIZE, 5, "cpu")
    assert replace(made.spec, masked_input=None) == TRAITS


def test_what_its_network_is_shown_can_be_looked_at(vae: AutoencoderKL) -> None:
    masked = generator(vae).spec.masked_input
    assert masked is not None
    [crop] = clip_of(1).crops
    np.testing.assert_array_equal(masked(crop)[: SIZE // 2], crop[: SIZE // 2])
    assert not masked(crop)[SIZE // 2 :].any()


def test_what_is_kept_may_be_put_back_around_what_was_painted(vae: AutoencoderKL) -> None:
    def left_half(painted: np.ndarray, crops: np.ndarray) -> np.ndarray:
        return np.concatenate([painted[:, :, : SIZE // 2], crops[:, :, SIZE // 2 :]], axis=2)

    parts = VaeEncoder(vae, CPU), VaeDecoder(vae, CPU), Louder(), CPU, LatentOptions(SIZE, clip_length=8), TRAITS
    clip = clip_of(1, 2)
    whole, pasted = LatentGenerator(*parts).generate(clip), LatentGenerator(*parts, paste=left_half).generate(clip)
    np.testing.assert_array_equal(pasted[:, :, : SIZE // 2], whole[:, :, : SIZE // 2])
    np.testing.assert_array_equal(pasted[:, :, SIZE // 2 :], clip.crops[:, :, SIZE // 2 :])


def test_the_voice_changes_the_picture_and_nothing_else_does(vae: AutoencoderKL) -> None:
    made = generator(vae)
    quiet, loud = made.generate(clip_of(1, 2, 3)), made.generate(clip_of(1, 2, 3, loud=2))
    assert quiet.shape == (3, SIZE, SIZE, 3)
    assert quiet.dtype == np.uint8
    assert not np.array_equal(quiet, loud)
    assert np.array_equal(quiet, generator(vae).generate(clip_of(1, 2, 3)))


@pytest.mark.parametrize("sizes", [(1, 1), (2, 3), (8, 8)])
def test_batches_do_not_show(vae: AutoencoderKL, sizes: tuple[int, int]) -> None:
    clip = clip_of(1, 2, 3, 4, 5)
    made = generator(vae, encode_batch=sizes[0], decode_batch=sizes[1]).generate(clip)
    alone = np.concatenate([generator(vae).generate(clip_of(seed)) for seed in (1, 2, 3, 4, 5)])
    assert np.abs(made.astype(int) - alone).max() <= 1


def test_a_source_frame_is_encoded_once_however_often_it_is_shown(vae: AutoencoderKL) -> None:
    encoder = CountingEncoder(vae)
    made = generator(vae, encoder)
    forth = made.generate(clip_of(1, 2, 3))
    back = made.generate(clip_of(3, 2, 1))
    still = made.generate(clip_of(4, 4, 4))
    assert encoder.pictures == 4 * 2  # masked and whole
    assert np.array_equal(forth, back[::-1])
    assert np.array_equal(still[0], still[2])


def test_a_small_cache_forgets_but_changes_nothing(vae: AutoencoderKL) -> None:
    encoder = CountingEncoder(vae)
    made = generator(vae, encoder, cache_bytes=1)
    first = made.generate(clip_of(1, 2))
    assert np.array_equal(first, made.generate(clip_of(1, 2)))
    assert encoder.pictures == 2 * 2 + 1 * 2  # the newest was kept


def test_rows_above_the_first_are_the_sources(vae: AutoencoderKL) -> None:
    clip = clip_of(1, 2)
    whole, below = generator(vae).generate(clip), generator(vae).generate(replace(clip, first_row=24))
    assert np.array_equal(below[:, :24], clip.crops[:, :24])
    assert np.array_equal(below[:, 24:], whole[:, 24:])
    assert not np.array_equal(whole[:, :24], clip.crops[:, :24])


def test_sampling_repeats_and_differs_from_the_mode(vae: AutoencoderKL) -> None:
    pixels = to_pixels(crops_of(1, 1))
    with torch.inference_mode():
        mode = VaeEncoder(vae, CPU).encode(pixels)
        sampled = VaeEncoder(vae, CPU, seed=3).encode(pixels)
        again = VaeEncoder(vae, CPU, seed=3).encode(pixels)
        other = VaeEncoder(vae, CPU, seed=4).encode(pixels)
    assert torch.equal(sampled, again)
    assert torch.allclose(sampled[0], sampled[1], atol=1e-6)  # no flicker between equal frames
    assert float((sampled - mode).abs().max()) > 1e-3
    assert float((sampled - other).abs().max()) > 1e-3


def test_numbers_that_overflow_are_an_error_not_a_black_mouth(vae: AutoencoderKL) -> None:
    class Broken:
        def denoise(self, latents: torch.Tensor, audio: torch.Tensor, clip: Clip) -> torch.Tensor:
            return latents[:, 4:] * float("nan")

    with raises_kind(NotFiniteError):
        generator(vae, denoiser=Broken()).generate(clip_of(1))


def test_another_mask_is_what_the_denoiser_does_not_see(vae: AutoencoderKL) -> None:
    class MaskedOnly:
        def denoise(self, latents: torch.Tensor, audio: torch.Tensor, clip: Clip) -> torch.Tensor:
            return latents[:, :4]

    def gray(pixels: torch.Tensor) -> torch.Tensor:
        return pixels * 0

    parts = (VaeEncoder(vae, CPU), VaeDecoder(vae, CPU), MaskedOnly(), CPU, LatentOptions(SIZE, clip_length=2), TRAITS)
    made = LatentGenerator(*parts, mask=gray).generate(clip_of(1, 2))
    assert np.array_equal(made[0], made[1])


def test_the_cache_keeps_what_was_used_last() -> None:
    cache = LatentCache(2 * 4 * 10)
    for name in (b"a", b"b"):
        cache.put(name, torch.full((10,), float(name[0])))
    assert cache.get(b"a") is not None
    cache.put(b"c", torch.zeros(10))
    assert cache.get(b"b") is None
    kept = cache.get(b"a")
    assert kept is not None
    assert float(kept[0]) == float(b"a"[0])


def test_the_cache_does_not_grow_by_putting_the_same_again() -> None:
    cache = LatentCache(2 * 4 * 10)
    cache.put(b"a", torch.zeros(10))
    for _ in range(5):
        cache.put(b"b", torch.zeros(10))
    assert cache.get(b"a") is not None


def test_pixels_come_back_as_they_were() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    assert np.array_equal(to_crops(to_pixels(levels)), levels)


def test_who_speaks_live_is_known_before_it_is_loaded() -> None:
    for spec in BackendRegistry():
        assert spec.tiny is not None
        generator = spec.tiny(spec.configured(RenderSettings()).options)
        assert spec.live is (generator.spec.min_clip == 1)


def test_frames_of_several_clips_come_out_of_one_call_as_of_calls_of_their_own(vae: AutoencoderKL) -> None:
    sizes = LatentOptions(SIZE, clip_length=8)
    made = FrameLatentGenerator(VaeEncoder(vae, CPU), VaeDecoder(vae, CPU), LouderFrames(), CPU, sizes, TRAITS)
    assert isinstance(made, PaintsFrames)
    clips = clip_of(1, 2, loud=1), replace(clip_of(2, 3), first_row=24), replace(clip_of(4), first_row=8)
    frames = [made.prepare(clip) for clip in clips]
    painted = made.forward(
        [frame for own in zip(*frames, strict=False) for frame in own] + [frames[0][1], frames[1][1]]
    )
    for place, clip in enumerate(clips):
        own = [painted[place], *painted[3 + place : 4 + place]][: len(clip.crops)]
        np.testing.assert_array_equal(made.finish(clip, own), made.generate(clip))


def test_a_generator_of_clips_paints_no_single_frames(vae: AutoencoderKL) -> None:
    assert not isinstance(generator(vae), PaintsFrames)


@pytest.mark.parametrize(
    ("count", "most", "size"), [(1, 8, 1), (2, 8, 2), (3, 8, 4), (5, 8, 8), (8, 8, 8), (4, 6, 6), (3, 6, 3)]
)
def test_calls_are_filled_up_to_few_sizes(count: int, most: int, size: int) -> None:
    frames = [LatentFrame(torch.zeros(8, 1, 1), np.zeros((50, 384), np.float32), row) for row in range(count)]
    filled = filled_up(frames, most)
    assert filled[:count] == frames
    assert [frame.top for frame in filled[count:]] == [count - 1] * (size - count)
