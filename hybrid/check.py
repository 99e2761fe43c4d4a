"""Checks that LatentSync's networks get the input they were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from hybrid.denoiser import LatentSyncDenoiser
from hybrid.mask import keep_mask, latent_mask
from hybrid.unet3d.config import IN_CHANNELS
from musetalk.backends.check import Finding, NetworkCall, WatchedClip, counted, judged, shape_of
from musetalk.backends.latent.check import ENCODER, encoded_finding, networks_of, unlike
from musetalk.backends.types import FaceGenerator
from musetalk.utils.arrays import Float32Array

UNET3D = "unet3d"
_CLOSE = 2e-2  # of values from 0 to 1: what half precision leaves of them, twice over


class LatentSyncCheck:
    """A `BackendCheck`: 13 channels in their order, the mask's pixels hidden in grey, guidance from silence.

    Args:
        steps: Of the loop. Two are enough to see it go on; the published 20 take a CPU half an hour.
    """

    def __init__(self, steps: int = 2) -> None:
        self._steps = steps

    @property
    def settings(self) -> Mapping[str, Any]:
        """A short loop."""
        return {"latentsync": {"steps": self._steps}}

    def networks(self, generator: FaceGenerator) -> Mapping[str, nn.Module]:
        """Return its encoder and its UNet3D.

        Raises:
            TypeError: It is no generator of LatentSync's.
        """
        encoder, denoiser = networks_of(generator, LatentSyncDenoiser)
        if not isinstance(denoiser.network, nn.Module):
            raise TypeError(f"{type(denoiser.network).__name__} is no network")
        return {ENCODER: encoder, UNET3D: denoiser.network}

    def findings(self, clip: WatchedClip) -> list[Finding]:
        """Return what they were given."""
        painted = torch.tensor(keep_mask(clip.crops.shape[1]) == 0)
        encoded = encoded_finding(clip, painted, 0.0, "painted pixels grey (0)")
        return [encoded, *_of_the_unet(clip)]


def _of_the_unet(clip: WatchedClip) -> list[Finding]:
    own = [call for call in clip.calls if call.network == UNET3D]
    if not own:
        return [Finding("sample", "the network was never called", failed=True)]
    sample, _, audio = own[0].given
    times, steps = list(dict.fromkeys(int(call.given[1]) for call in own)), clip.options.latentsync.steps_taken
    reach = f"{times[0]} ... {times[-1]}" if len(times) > 1 else str(times[0])
    return [
        judged(
            "sample",
            f"{shape_of(sample)} = noise 4 + mask 1 + masked image 4 + reference 4, {counted(len(own), 'call')}",
            _sample_problems(own, clip.crops.shape[1]),
        ),
        judged(
            "timesteps",
            f"{reach} ({counted(len(times), 'step')})",
            [] if len(times) == steps else [f"{len(times)} timesteps instead of {steps}"],
        ),
        judged("audio", f"{shape_of(audio)}: silence | voice", _audio_problems(audio, clip.speech)),
    ]


def _sample_problems(calls: Sequence[NetworkCall], size: int) -> list[str]:
    first = calls[0].given[0]
    if first.ndim != 5 or first.shape[1] != IN_CHANNELS:
        return [f"it takes [b, {IN_CHANNELS}, f, h, w]"]
    problems = []
    if not torch.equal(first[:, :4], first[:1, :4, :1].expand_as(first[:, :4])):
        problems.append("frames do not begin with one frame's noise")
    mask = torch.tensor(latent_mask(size))
    if first.shape[-2:] != mask.shape or not torch.allclose(first[:, 4], mask.expand_as(first[:, 4]), atol=_CLOSE):
        problems.append("the fifth channel is not the mask")
    if torch.equal(first[:, 5:9], first[:, 9:]):
        problems.append("nothing was hidden from it")
    alike = [call.given[0] for call in calls if call.given[0].shape == first.shape]
    if not all(torch.equal(sample[:, 4:], first[:, 4:]) for sample in alike):
        problems.append("what it is told of the clip changed on the way")
    return problems


def _audio_problems(audio: torch.Tensor, speech: Float32Array) -> list[str]:
    voice = torch.tensor(speech)
    if audio.shape != (2 * len(voice), *voice.shape[1:]):
        return [f"expected {[2 * len(voice), *voice.shape[1:]]}"]
    silence, heard = audio.chunk(2)
    problems = [] if not silence.any() else ["its first half is not silent"]
    return problems + unlike(heard, voice, "voice")
