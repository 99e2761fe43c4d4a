"""The naive hand-over: MuseTalk's 8 channels where LatentSync's network takes 13."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hybrid.conditioning import conditioning_of
from hybrid.denoiser import LatentSyncDenoiser, SurgicalTools, surgical_unet3d_inference
from hybrid.sampler import NoisePredictor, Sampling
from hybrid.unet3d.unet import UNet3D
from musetalk.doctor.findings import Finding, Findings
from musetalk.doctor.tiny_networks import UNET3D, filled
from musetalk.runtime.device import Compute

_FRAMES, _SIDE = 2, 8
_CPU = Compute(torch.device("cpu"), torch.float32)


def check_naive_handover(network: NoisePredictor | None = None) -> Findings:
    """Hand MuseTalk's latents over, in each of the ways that are easily tried; each has to be refused.

    Args:
        network: What stands where LatentSync's does; None: a small one of the real class.
    """
    called = list[str]()
    unet3d = filled(UNet3D(UNET3D)).eval() if network is None else network
    latents = torch.zeros(_FRAMES, 8, _SIDE, _SIDE)
    audio, zero = torch.zeros(_FRAMES, 50, 384), torch.zeros((), dtype=torch.long)

    def musetalk(sample: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor, ...]:
        called.append("MuseTalk's network")
        return (sample[:, :4],)

    def through_the_call() -> torch.Tensor:
        tools = SurgicalTools(LatentSyncDenoiser(unet3d, _CPU, Sampling(steps=1)), _NoEncoder(), _CPU)
        return surgical_unet3d_inference(latents, audio, zero, musetalk, tools=tools, fallback_audio=audio)

    with torch.inference_mode():
        lines = (
            _tried("to the network", lambda: unet3d(latents.transpose(0, 1)[None], zero, audio)),
            _tried("through the surgical call", through_the_call),
            _tried("as conditioning", lambda: conditioning_of(latents, latents)),
        )
    silent = Finding("silent fallback", "MuseTalk's network painted instead, and nobody was told", failed=True)
    none = Finding("silent fallback", "none: MuseTalk's network was not called")
    return Findings("Naive hand-over: MuseTalk's 8 channels", (*lines, silent if called else none))


def _tried(name: str, hand_over: Callable[[], object]) -> Finding:
    try:
        hand_over()
    except ValueError as error:
        return Finding(name, f"refused: {error}")
    except RuntimeError as error:  # torch's own words for shapes that do not fit
        return Finding(name, f"ended somewhere inside: {' '.join(str(error).split())}", failed=True)
    return Finding(name, "accepted", failed=True)


class _NoEncoder:
    """An encoder that is not to be reached."""

    def encode(self, pixels: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        raise RuntimeError(f"{list(pixels.shape)} was encoded, although nobody handed over crops")
