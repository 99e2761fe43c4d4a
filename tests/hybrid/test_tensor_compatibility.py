"""What LatentSync's network is given, shape by shape, and the mistakes that are told: the naive hand-over first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from hybrid.conditioning import Conditioning, conditioning_of
from hybrid.drop_in import format_for_latentsync, format_for_musetalk, surgical_unet3d_inference
from hybrid.mask import hide_painted, keep_mask, latent_mask
from hybrid.sampler import Sampler
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.latent.vae import to_pixels
from tests.helpers.filled import CPU, filled
from tests.helpers.tiny_checkpoints import UNET3D
from tests.hybrid.parts import (
    LATENT,
    SIDE,
    ZERO,
    MuseTalk,
    Recorder,
    Shrinker,
    clip,
    crops,
    musetalks_latents,
    network_of,
    tools,
    voice,
)

pytestmark = pytest.mark.usefixtures("one_thread")
PLAIN = replace(UNET3D, motion="none")


@pytest.mark.parametrize("fallback", [None, MuseTalk()])
def test_the_naive_handover_is_an_error_and_no_fallback(fallback: MuseTalk | None) -> None:
    """What forks do: MuseTalk's 8 channels to a network of 13. It never ends as MuseTalk's result."""
    heard = voice(2)
    with pytest.raises(ValueError, match=r"8 channels .* hand over face_crops"):
        surgical_unet3d_inference(
            musetalks_latents(2), heard, ZERO, fallback, tools=tools(Recorder()), fallback_audio=heard
        )
    unet = filled(UNet3D(PLAIN), 3)
    with pytest.raises(ValueError, match=r"takes 13 channels .* not 8"):
        unet(musetalks_latents(2).transpose(0, 1)[None], ZERO, heard)
    assert fallback is None or fallback.calls == 0


def test_the_network_gets_its_thirteen_channels() -> None:
    network, pictures = Recorder(), crops(5)
    done = surgical_unet3d_inference(musetalks_latents(5), voice(5), ZERO, tools=tools(network), face_crops=pictures)
    assert done.shape == (5, 4, LATENT, LATENT)
    sample = network.seen[0]
    assert sample.shape == (1, 13, 16, LATENT, LATENT)
    pixels, encoder = to_pixels(pictures), Shrinker()
    assert torch.equal(sample[0, 4, 0], torch.tensor(latent_mask(SIDE)))
    assert torch.allclose(sample[0, 5:9, :5].transpose(0, 1), encoder.encode(hide_painted(pixels)))
    assert torch.allclose(sample[0, 9:, :5].transpose(0, 1), encoder.encode(pixels))


def test_latents_of_its_own_are_taken_as_they_are() -> None:
    known = format_for_latentsync(crops(3), Shrinker())
    own = torch.cat([known.masked, known.reference], dim=1)[0].transpose(0, 1)
    given, encoded = (
        surgical_unet3d_inference(own, voice(3), ZERO, tools=tools(Recorder(value=0.1)), **which)  # type: ignore[arg-type]
        for which in ({"own_latents": True}, {"face_crops": crops(3)})
    )
    assert torch.equal(given, encoded)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"latent_batch": torch.zeros(2, 4, LATENT, LATENT)}, "latent_batch must be"),
        ({"audio_features": voice(3)}, "audio_features must be"),
        ({"face_crops": crops(3)}, "face_crops must be"),
        ({"face_crops": crops(2)[:, :32, :32]}, "face_crops must be"),
        ({"fallback_audio": None}, "fallback_unet needs fallback_audio"),
        ({"own_latents": True}, "come without face_crops"),
        ({"face_crops": crops(2).astype(np.float32)}, "crops must be uint8"),
    ],
)
def test_mistakes_are_told_and_never_swallowed(change: dict[str, object], told: str) -> None:
    musetalk = MuseTalk()
    call: dict[str, object] = {
        "latent_batch": musetalks_latents(2),
        "audio_features": voice(2),
        "timesteps": ZERO,
        "fallback_unet": musetalk,
        "tools": tools(Recorder()),
        "face_crops": crops(2),
        "fallback_audio": voice(2),
        **change,
    }
    with pytest.raises(ValueError, match=told):
        surgical_unet3d_inference(**call)  # type: ignore[arg-type]
    assert musetalk.calls == 0


def test_latents_of_other_shapes_are_refused() -> None:
    denoiser = tools(Recorder()).denoiser
    with pytest.raises(ValueError, match=r"latents must be \[N, 8, h, w\]"):
        denoiser.denoise(torch.zeros(2, 4, 8, 8), voice(2), clip(2))
    with pytest.raises(ValueError, match="beside"):
        denoiser.denoise(torch.zeros(2, 8, 8, 8), voice(3), clip(3))


@pytest.mark.parametrize(
    ("sample", "audio", "problem"),
    [
        ((1, 8, 3, 8, 8), (3, 50, 384), "13 channels .* not 8"),
        ((3, 13, 8, 8), (3, 50, 384), r"\[3, 13, 8, 8\]"),
        ((2, 13, 3, 8, 8), (3, 50, 384), r"\[6, 50, 384\], .*not \[3, 50, 384\]"),
        ((1, 13, 3, 8, 8), (3, 50, 512), r"not \[3, 50, 512\]"),
        ((1, 13, 25, 8, 8), (25, 50, 384), "25 frames are more than the 24"),
        ((1, 13, 3, 8, 7), (3, 50, 384), "8 x 7"),
    ],
)
def test_wrong_inputs_are_named(
    state: dict[str, Tensor], sample: tuple[int, ...], audio: tuple[int, ...], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        network_of(state)(torch.zeros(sample), torch.tensor(1), torch.zeros(audio))


class PickingEncoder:
    """Latents are the pixels at their upper left corners, and their mean: anyone can say what they should be."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def encode(self, pixels: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        self.calls.append(len(pixels))
        corners = pixels[:, :, ::8, ::8]
        return torch.cat([corners, corners.mean(dim=1, keepdim=True)], dim=1)


def some_crops(frames: int = 3, size: int = 256) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (frames, size, size, 3), np.uint8)


@pytest.mark.parametrize("size", [256, 512])
def test_thirteen_channels_in_their_order(size: int) -> None:
    crops = some_crops(3, size)
    made = format_for_latentsync(crops, PickingEncoder(), seed=5)
    joined = torch.cat([made.start(range(3)), made.known(range(3))], dim=1)
    side = size // 8
    assert joined.shape == (1, 13, 3, side, side)
    whole = to_pixels(crops)[:, :, ::8, ::8]
    keep = torch.tensor(latent_mask(size))
    torch.testing.assert_close(joined[0, 4].unbind(0)[2], keep)
    torch.testing.assert_close(joined[0, 5:8].transpose(0, 1), whole * keep)
    torch.testing.assert_close(joined[0, 9:12].transpose(0, 1), whole)
    assert (joined[0, :4, 0] == joined[0, :4, 2]).all()  # one frame's noise for all
    assert 0.8 < float(joined[0, :4, 0].std()) < 1.2


def test_painted_pixels_are_grey_before_encoding() -> None:
    class Keeping(PickingEncoder):
        seen: torch.Tensor

        def encode(self, pixels: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
            self.seen = pixels
            return super().encode(pixels, noise)

    encoder = Keeping()
    format_for_latentsync(np.zeros((1, 256, 256, 3), np.uint8), encoder)
    hidden, whole = encoder.seen
    painted = torch.tensor(keep_mask() == 0).expand(3, -1, -1)
    assert (hidden[painted] == 0).all()
    assert (hidden[~painted] == -1).all()
    assert (whole == -1).all()


def test_batches_change_nothing_but_their_size() -> None:
    crops = some_crops(5)
    one, two = PickingEncoder(), PickingEncoder()
    a, b = format_for_latentsync(crops, one, batch=1), format_for_latentsync(crops, two, batch=2)
    assert (one.calls, two.calls) == ([2] * 5, [4, 4, 2])
    assert torch.equal(a.masked, b.masked)
    assert torch.equal(a.reference, b.reference)


def test_noise_is_of_the_seed_or_as_given() -> None:
    crops = some_crops(2)
    first, again, other = (format_for_latentsync(crops, PickingEncoder(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.noise, again.noise)
    assert not torch.equal(first.noise, other.noise)
    given = torch.randn(1, 4, 2, 32, 32)
    assert torch.equal(format_for_latentsync(crops, PickingEncoder(), noise=given).noise, given)


def test_frames_come_back_in_order() -> None:
    latents = torch.randn(5, 4, 8, 8)
    made = conditioning_of(latents, latents)
    assert torch.equal(format_for_musetalk(made.reference), latents)
    assert (made.frames, made.mask.shape) == (5, (1, 1, 5, 8, 8))
    assert torch.equal(made.known([4, 0])[0, 5:].transpose(0, 1), latents[[4, 0]])


def test_musetalks_latents_are_no_crops() -> None:
    latents = torch.zeros(2, 8, 32, 32)
    with pytest.raises(ValueError, match=r"\[2, 8, 32, 32\].*MuseTalk"):
        format_for_latentsync(latents, PickingEncoder())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\[2, 8, 32, 32\].*MuseTalk"):
        conditioning_of(latents, latents)


@pytest.mark.parametrize(
    ("crops", "told"),
    [
        (np.zeros((2, 256, 256, 3), np.float32), "float32"),
        (np.zeros((256, 256, 3), np.uint8), r"\[256, 256, 3\]"),
        (np.zeros((0, 256, 256, 3), np.uint8), r"\[0, 256"),
        (np.zeros((2, 256, 200, 3), np.uint8), r"\[2, 256, 200, 3\]"),
        (np.zeros((2, 3, 256, 256), np.uint8), r"\[2, 3, 256, 256\]"),
        (np.zeros((2, 100, 100, 3), np.uint8), r"\[2, 100, 100, 3\]"),
    ],
)
def test_other_crops_are_refused(crops: np.ndarray, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        format_for_latentsync(crops, PickingEncoder())


@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (1, 4, 3, 8, 8), (1, 8, 2, 8, 8), (1, 4, 2, 8, 9)])
def test_other_noise_is_refused(shape: tuple[int, ...]) -> None:
    latents = torch.zeros(2, 4, 8, 8)
    with pytest.raises(ValueError, match="noise must be"):
        conditioning_of(latents, latents, noise=torch.zeros(shape))


def test_parts_must_fit_each_other() -> None:
    one, two = torch.zeros(1, 4, 2, 8, 8), torch.zeros(1, 4, 3, 8, 8)
    mask = torch.zeros(1, 1, 2, 8, 8)
    with pytest.raises(ValueError, match=r"masked must be \[1, 4, 2, 8, 8\]"):
        Conditioning(one, mask, two, one)
    with pytest.raises(ValueError, match=r"reference must be \[1, 4, f, h, w\], not \[2, 8, 8, 8\]"):
        Conditioning(one, mask, one, torch.zeros(2, 8, 8, 8))
    with pytest.raises(ValueError, match="mask must be"):
        Conditioning(one, one, one, one)
    with pytest.raises(ValueError, match="one shape"):
        conditioning_of(torch.zeros(2, 4, 8, 8), torch.zeros(3, 4, 8, 8))
    with pytest.raises(ValueError, match=r"audio must be \[2, 50, 384\] .* not \[3, 50, 384\]"):
        Sampler(Recorder(), CPU).sample(Conditioning(one, mask, one, one), voice(3))


@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (2, 4, 3, 8, 8), (1, 8, 3, 8, 8)])
def test_results_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must be"):
        format_for_musetalk(torch.zeros(shape))


def test_no_more_voices_are_silent_than_there_are(state: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="of 1 clips of audio, 2 cannot be silent"):
        network_of(state)(torch.zeros(1, 13, 3, 8, 8), torch.tensor(1), torch.zeros(3, 50, 384), silent=2)
