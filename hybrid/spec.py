"""LatentSync as a `BackendSpec`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hybrid.options import LatentSyncOptions, Version
from musetalk.backends.latent.missing import decoder_missing
from musetalk.backends.latent.work import DECODE, ENCODE, LARGE
from musetalk.backends.spec import BackendSpec, GpuCost, NetworkWork
from musetalk.backends.types import FaceGenerator
from musetalk.weights.catalog import LATENTSYNC_15, LATENTSYNC_16
from musetalk.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from musetalk.backends.check import BackendCheck


_STEP_GFLOP, _LARGE_STEP = 238.4, 4.33  # a frame at 256 pixels, one half of guidance; times as much at 512 (hybrid.md)
_SHALLOW = 0.37  # of a step's time that is left where its deep features are those of the step before
_USUAL_STEPS = 40 * 16 / 12  # 20 with guidance, of clips that share 4 of 16 frames


def _loop_steps(options: LatentSyncOptions) -> float:
    """Return how often the network sees a frame: twice a step with guidance, and again where clips share it.

    A step that takes its deep features from the one before counts as its share.
    """
    wanted = options.latentsync
    whole = -(-wanted.steps_taken // wanted.cache)  # rounded up
    steps = whole + _SHALLOW * (wanted.steps_taken - whole)
    return steps * (1 if wanted.guidance == 1 else 2) * 16 / (16 - wanted.overlap)


def _share_of_the_loop(options: LatentSyncOptions) -> float:
    return _loop_steps(options) / _USUAL_STEPS


def _work(options: LatentSyncOptions, version: Version) -> NetworkWork:
    large = version == "1.6"  # paints at 512 pixels
    pictures = (2 * ENCODE + DECODE[options.network.decoder]) * (LARGE if large else 1.0)
    return NetworkWork(25.0, pictures, _STEP_GFLOP * (_LARGE_STEP if large else 1.0), _loop_steps(options))


def _falls_back(options: LatentSyncOptions) -> bool:
    return options.latentsync.fallback != "error"


def _spec(
    version: Version,
    summary: str,
    weights: tuple[WeightFile, ...],
    seconds_per_frame: float,
    check_steps: int,
    quality: int,
) -> BackendSpec[LatentSyncOptions]:
    def load(options: LatentSyncOptions) -> FaceGenerator:
        from hybrid.loading import load_latentsync  # noqa: PLC0415 - loads torch
        from musetalk.runtime.device import choose_compute  # noqa: PLC0415

        return load_latentsync(options, version, choose_compute(options.network.device, options.network.dtype))

    def tiny(options: LatentSyncOptions) -> FaceGenerator:
        from hybrid.tiny import tiny_latentsync  # noqa: PLC0415
        from musetalk.runtime.device import choose_compute  # noqa: PLC0415

        return tiny_latentsync(options, version, choose_compute(options.network.device, options.network.dtype))

    def check() -> BackendCheck:
        from hybrid.check import LatentSyncCheck  # noqa: PLC0415

        return LatentSyncCheck(check_steps)

    return BackendSpec(
        f"latentsync-{version}",
        summary,
        load,
        LatentSyncOptions.of,
        tiny=tiny,
        check=check,
        weights=weights,
        missing=decoder_missing,
        gpu=GpuCost(40.0, seconds_per_frame, _share_of_the_loop),
        work=partial(_work, version=version),
        quality=quality,
        ui_groups=frozenset({"network", "latentsync", "margin", "own-mask"}),
        fallbacks=("musetalk-v15", "musetalk-v1"),
        falls_back=_falls_back,
        live=False,
    )


V15 = _spec(
    "1.5",
    "LatentSync 1.5 in MuseTalk's pipeline: a video network repaints the mouth, at 256 pixels a face",
    LATENTSYNC_15,
    seconds_per_frame=0.5,
    check_steps=2,
    quality=40,
)
V16 = _spec(
    "1.6",
    "LatentSync 1.6 in MuseTalk's pipeline: the same at 512 pixels a face, at several times the work",
    LATENTSYNC_16,
    seconds_per_frame=2.0,
    check_steps=1,  # at 512 pixels each takes four times as long
    quality=50,
)
