"""What MuseTalk's networks are given, held against what they were trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from musetalk.backends.check import Finding, WatchedClip, judged, shape_of
from musetalk.backends.latent.check import ENCODER, encoded_finding, networks_of, unlike
from musetalk.backends.latent.positional_encoding import position_table
from musetalk.backends.musetalk.generator import MuseTalkDenoiser
from musetalk.backends.types import FaceGenerator

UNET = "unet"
_CHANNELS = 8


class MuseTalkCheck:
    """A `BackendCheck`: the lower half is hidden in black, timestep 0, a voice with positions."""

    settings: Mapping[str, Any] = {}  # as fast with any

    def networks(self, generator: FaceGenerator) -> Mapping[str, nn.Module]:
        """Return its encoder and its UNet."""
        encoder, denoiser = networks_of(generator, MuseTalkDenoiser)
        return {ENCODER: encoder, UNET: denoiser.network}

    def findings(self, clip: WatchedClip) -> list[Finding]:
        """Return what they were given."""
        size = clip.crops.shape[1]
        lower = torch.zeros(size, size, dtype=torch.bool)
        lower[size // 2 :] = True
        return [encoded_finding(clip, lower, -1.0, "lower half black (-1)"), *_of_the_unet(clip)]


def _of_the_unet(clip: WatchedClip) -> list[Finding]:
    own = [call.given for call in clip.calls if call.network == UNET]
    if not own:
        return [Finding("sample", "the network was never called", failed=True)]
    samples, timesteps, heard = zip(*own, strict=True)
    sample, audio, times = torch.cat(samples), torch.cat(heard), {int(time) for time in timesteps}
    channels = sample.shape[1] == _CHANNELS
    problems = [] if channels else [f"it takes {_CHANNELS} channels"]
    if channels and torch.equal(sample[:, :4], sample[:, 4:]):
        problems.append("nothing was hidden from it")
    told = torch.tensor(clip.speech) + position_table(*clip.speech.shape[1:])
    return [
        judged("sample", f"{shape_of(sample)} = lower half black 4 + crop 4, in {len(own)} calls", problems),
        judged("timestep", ", ".join(map(str, times)), [] if times == {0} else ["it was trained on 0 alone"]),
        judged("audio", f"{shape_of(audio)}: voice + positions", unlike(audio, told, "voice with its positions")),
    ]
