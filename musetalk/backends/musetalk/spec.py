"""MuseTalk 1.0 and 1.5 as `BackendSpec`s."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from musetalk.backends.latent.missing import decoder_missing
from musetalk.backends.latent.work import DECODE, ENCODE
from musetalk.backends.spec import BackendSpec, GpuCost, NetworkWork, UiGroup
from musetalk.backends.types import FaceGenerator
from musetalk.settings import NetworkSettings, RenderSettings, V1Speech
from musetalk.weights.catalog import MUSETALK_V1, MUSETALK_V15, OPTIONAL, SD_VAE, SD_VAE_DECODER
from musetalk.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from musetalk.backends.check import BackendCheck
    from musetalk.backends.musetalk.generator import Version

_UNET_GFLOP = 177.8  # a frame, counted by benchmarks/ (networks.md)


@dataclass(frozen=True, slots=True)
class MuseTalkOptions:
    """What loading MuseTalk depends on.

    Attributes:
        models_dir: Where weights lie.
        network: How networks run.
        v1_speech: How version 1.0 hears.
    """

    models_dir: Path
    network: NetworkSettings
    v1_speech: V1Speech

    @classmethod
    def of(cls, settings: RenderSettings) -> MuseTalkOptions:
        """Pick them from the settings of a render."""
        return cls(settings.models_dir, settings.network, settings.speech.musetalk_v1)


def _work(options: MuseTalkOptions) -> NetworkWork:
    return NetworkWork(start_seconds=12.0, gflop=_UNET_GFLOP + ENCODE + DECODE[options.network.decoder])


def _streaming(weights: tuple[WeightFile, ...]) -> tuple[WeightFile, ...]:
    """Return what is read to speak with faces that are parsed and encoded: nothing that does either."""
    kept = tuple(file for file in weights if file not in OPTIONAL and file != SD_VAE[1])
    return (*kept, SD_VAE_DECODER)


def _check() -> BackendCheck:
    from musetalk.backends.musetalk.check import MuseTalkCheck  # noqa: PLC0415 - loads torch

    return MuseTalkCheck()


def _spec(
    version: Version, summary: str, weights: tuple[WeightFile, ...], quality: int, *further_groups: UiGroup
) -> BackendSpec[MuseTalkOptions]:
    def load(options: MuseTalkOptions) -> FaceGenerator:
        from musetalk.backends.musetalk.generator import load_musetalk  # noqa: PLC0415 - loads torch
        from musetalk.runtime.device import choose_compute  # noqa: PLC0415

        network = options.network
        return load_musetalk(
            options.models_dir,
            version,
            choose_compute(network.device, network.dtype),
            v1_speech=options.v1_speech,
            decoder=network.decoder,
            batch=network.batch_size,
            compiled=network.compile,
            seed=network.seed,
        )

    def tiny(options: MuseTalkOptions) -> FaceGenerator:
        from musetalk.backends.musetalk.tiny import tiny_musetalk  # noqa: PLC0415
        from musetalk.runtime.device import choose_compute  # noqa: PLC0415

        return tiny_musetalk(version, choose_compute(options.network.device, options.network.dtype), options.v1_speech)

    return BackendSpec(
        f"musetalk-{version}",
        summary,
        load,
        MuseTalkOptions.of,
        tiny=tiny,
        check=_check,
        weights=weights,
        streaming=_streaming(weights),
        missing=decoder_missing,
        gpu=GpuCost(start_seconds=20.0, seconds_per_frame=0.05),
        work=_work,
        quality=quality,
        ui_groups=frozenset({"network", "parsed-mask", *further_groups}),
    )


V15 = _spec(
    "v15",
    "MuseTalk 1.5: a network repaints the lower face, at 256 pixels a face",
    MUSETALK_V15,
    30,
    "margin",
    "jaw-mask",
)
V1 = _spec("v1", "MuseTalk 1.0: the first version, for results as it made them", MUSETALK_V1, 20)
