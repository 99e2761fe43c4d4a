"""How far LatentSync's cheaper loops end from dearer ones, on the network of the golden data; run by `hybrid`.

python -m benchmarks.hybrid_quality        a minute; prints its part of hybrid.md
"""

from __future__ import annotations

import sys
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.common import table
from benchmarks.hybrid_work import FULL
from hybrid.conditioning import format_for_musetalk
from hybrid.sampler import FAST, PUBLISHED, Sampler, Sampling
from musetalk.backends.latent.tiny import tiny_autoencoder
from musetalk.runtime.device import Compute
from tests.unit.hybrid.test_golden_denoise import conditions
from tests.unit.hybrid.test_golden_unet3d import Golden

_CPU = Compute(torch.device("cpu"), torch.float32)
_CACHES = (2, 3, 4, 5, 10)


class _Loops:
    """Runs the loop in some ways on the golden network, and says how near their ends are to each other."""

    def __init__(self, many: int) -> None:
        self._golden = Golden("latentsync_denoise.safetensors")
        self._decoder = tiny_autoencoder(_CPU)[1]
        self._many = many
        self._ends: dict[Sampling, Tensor] = {}

    @property
    def exact(self) -> Sampling:
        """The published loop in so many steps that more would change nothing."""
        return replace(PUBLISHED, steps=self._many)

    def row(self, name: str, one: Sampling, other: Sampling) -> list[str]:
        ends = [self._end(each) for each in (one, other)]
        pictures = [self._decoder.decode_rows(format_for_musetalk(end), 0).float() for end in ends]
        return [name, *(f"{_psnr(*pair):.1f}" for pair in (ends, pictures))]

    def _end(self, sampling: Sampling) -> Tensor:
        if sampling not in self._ends:
            length = self._golden.meta["frames_per_batch"]
            sampler = Sampler(self._golden.unet, _CPU, replace(sampling, clip_length=length))
            self._ends[sampling] = sampler.sample(*conditions(self._golden))
        return self._ends[sampling]


def _psnr(one: Tensor, other: Tensor) -> float:
    """In dB, against the range that the second's values have."""
    return float(10 * torch.log10((other.max() - other.min()) ** 2 / ((one - other) ** 2).mean()))


@torch.inference_mode()
def quality_text(many: int) -> str:
    """Return the part of the page."""
    loops = _Loops(many)
    presets = [
        loops.row(f"published (DDIM, {PUBLISHED.steps})", PUBLISHED, loops.exact),
        loops.row(f"fast (DPM-Solver++, {FAST.steps})", FAST, loops.exact),
        loops.row(f"DDIM, {FAST.steps}", replace(PUBLISHED, steps=FAST.steps), loops.exact),
    ]
    between = [loops.row("fast against published", FAST, PUBLISHED)]
    caches = [loops.row(f"published, cache {n}", replace(PUBLISHED, cache=n), PUBLISHED) for n in _CACHES]
    caches += [loops.row(f"fast, cache {n}", replace(FAST, cache=n), FAST) for n in _CACHES[:2]]
    fewer = [loops.row(f"DDIM, {n}", replace(PUBLISHED, steps=n), PUBLISHED) for n in (13, 11)]
    return f"""## What cheaper loops change

On the network of the golden data, small and with drawn weights, which upstream's loop was compared with: 8 frames of
16 x 16 latents, guided. PSNR in dB of the latents that the loops end with, and of what a small decoder with drawn
weights makes of them, both against their range. What trained networks make of it, no such figure tells: these change
less, or more, from step to step.

Against DDIM in {many} steps, where steps are next to infinitely small, and the presets against each other:

{table(["loop", "latents", "pictures"], presets + between)}
`latentsync.cache`, against the same loop with all computed at every step; and, against the published loop, fewer steps
that cost as much as it does with cache 2 and 3:

{table(["loop", "latents", "pictures"], caches + fewer)}"""


if __name__ == "__main__":
    sys.stdout.write(quality_text(FULL.many_steps))
