"""Which backends there are, what each needs, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from musetalk.backends.types import FaceGenerator
from musetalk.errors import BackendError
from musetalk.settings import RenderSettings
from musetalk.weights import (
    LATENTSYNC_15,
    LATENTSYNC_16,
    MUSETALK_V1,
    MUSETALK_V15,
    TAESD,
    WEIGHT_SETS,
    WeightFile,
    lacking,
)
from musetalk.weights.catalog import OPTIONAL
from musetalk.weights.variants import lean_path

if TYPE_CHECKING:
    from hybrid.loading import Version as LatentSyncVersion
    from musetalk.backends.musetalk import Version

# MuseTalk's bbox_shift opens the mouth more the larger it is, over some +-9 pixels; the preview has no crop line to
# shift and opens wider instead.
_PIXELS_PER_DOUBLING = 12
_LEAST_OPENING, _MOST_OPENING = 0.25, 2.0


def _all_of_it(_settings: RenderSettings) -> float:
    return 1.0


@dataclass(frozen=True, slots=True)
class GpuCost:
    """What a backend takes of a GPU, for hosts that lend one for as long as was asked for.

    Attributes:
        start_seconds: Until it can paint its first frame: loading it, warming it up.
        seconds_per_frame: For each painted frame of one face, with the settings as they usually are.
        share: Of that work, what other settings take.
    """

    start_seconds: float
    seconds_per_frame: float
    share: Callable[[RenderSettings], float] = _all_of_it

    def of(self, settings: RenderSettings) -> GpuCost:
        """The same with these settings."""
        return replace(self, seconds_per_frame=self.seconds_per_frame * self.share(settings))


def _nothing(_settings: RenderSettings) -> tuple[object, ...]:
    return ()


def _nobody(_settings: RenderSettings) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to paint mouths.

    Attributes:
        name: As settings name it.
        summary: One line for people who choose.
        notice: What every result of it has to be labelled with; empty: nothing.
        lacks: What is missing to run it with these settings, one line each with the remedy; empty: ready.
        load: Makes its generator.
        gpu: What it takes of a GPU; None: it needs none.
        weights: The files it reads.
        depends: What of the settings `load` looks at; a generator is kept until that changes.
        understudies: Who may paint what it cannot, the best first: names of backends.
    """

    name: str
    summary: str
    notice: str
    lacks: Callable[[RenderSettings], tuple[str, ...]]
    load: Callable[[RenderSettings], FaceGenerator]
    gpu: GpuCost | None = None
    weights: tuple[WeightFile, ...] = ()
    depends: Callable[[RenderSettings], tuple[object, ...]] = _nothing
    understudies: Callable[[RenderSettings], tuple[str, ...]] = _nobody


def _load_preview(settings: RenderSettings) -> FaceGenerator:
    from musetalk.backends.preview.generator import PreviewGenerator  # noqa: PLC0415 - loaded when chosen

    opening = 1 + settings.bbox_shift / _PIXELS_PER_DOUBLING
    return PreviewGenerator(opening=min(max(opening, _LEAST_OPENING), _MOST_OPENING))


PREVIEW = Backend(
    name="preview",
    summary="an audio-driven mouth warp: no network, no weights, any machine",
    notice="Preview backend: the mouth is warped to the loudness of the voice, not lip-synced by a network",
    lacks=lambda _settings: (),
    load=_load_preview,
    depends=lambda settings: (settings.bbox_shift,),
)


def _missing(files: tuple[WeightFile, ...], name: str, settings: RenderSettings) -> tuple[str, ...]:
    """What a backend of latents lacks, one line each with the remedy."""
    needed = [file for file in files if file not in OPTIONAL]
    missing = lacking(needed, settings.models_dir, name)
    if settings.network.decoder == "tiny":
        missing += lacking(TAESD, settings.models_dir, "taesd")
    return missing


def _musetalk(version: Version, name: str, summary: str, files: tuple[WeightFile, ...]) -> Backend:
    def load(settings: RenderSettings) -> FaceGenerator:
        from musetalk.backends.musetalk import load_musetalk  # noqa: PLC0415
        from musetalk.runtime.device import choose_compute  # noqa: PLC0415 - loads torch

        network = settings.network
        return load_musetalk(
            settings.models_dir,
            version,
            choose_compute(network.device, network.dtype),
            speech=settings.speech,
            decoder=network.decoder,
            batch=network.batch_size,
            compiled=network.compile,
            seed=network.seed,
        )

    return Backend(
        name=name,
        summary=summary,
        notice="",
        lacks=lambda settings: _missing(files, name, settings),
        load=load,
        depends=lambda settings: (settings.models_dir, settings.network, settings.speech.musetalk_v1),
        gpu=GpuCost(start_seconds=20.0, seconds_per_frame=0.05),
        weights=files,
    )


MUSETALK = (
    _musetalk(
        "v15", "musetalk-v15", "MuseTalk 1.5: a network repaints the lower face, at 256 pixels a face", MUSETALK_V15
    ),
    _musetalk("v1", "musetalk-v1", "MuseTalk 1.0: the first version, for results as it made them", MUSETALK_V1),
)


def _latentsync(version: LatentSyncVersion, summary: str, files: tuple[WeightFile, ...], gpu: GpuCost) -> Backend:
    name = f"latentsync-{version}"

    def load(settings: RenderSettings) -> FaceGenerator:
        from hybrid.loading import load_latentsync  # noqa: PLC0415 - the one place that knows of it
        from musetalk.runtime.device import choose_compute  # noqa: PLC0415

        return load_latentsync(settings, version, choose_compute(settings.network.device, settings.network.dtype))

    def understudies(settings: RenderSettings) -> tuple[str, ...]:
        return () if settings.latentsync.fallback == "error" else tuple(backend.name for backend in MUSETALK)

    return Backend(
        name=name,
        summary=summary,
        notice="",
        lacks=lambda settings: _missing(files, name, settings),
        load=load,
        gpu=gpu,
        weights=files,
        depends=lambda settings: (settings.models_dir, settings.network, settings.latentsync),
        understudies=understudies,
    )


def _of_the_loop(settings: RenderSettings) -> float:
    """How much of 20 guided steps, with clips that share 4 of 16 frames, the settings ask for."""
    wanted = settings.latentsync
    halves = 1 if wanted.guidance == 1 else 2
    return wanted.steps_taken * halves / 40 * 12 / (16 - wanted.overlap)


LATENTSYNC = (
    _latentsync(
        "1.5",
        "LatentSync 1.5 in MuseTalk's pipeline: a video network repaints the mouth, at 256 pixels a face",
        LATENTSYNC_15,
        GpuCost(start_seconds=40.0, seconds_per_frame=0.5, share=_of_the_loop),
    ),
    _latentsync(
        "1.6",
        "LatentSync 1.6 in MuseTalk's pipeline: the same at 512 pixels a face, at several times the work",
        LATENTSYNC_16,
        GpuCost(start_seconds=40.0, seconds_per_frame=2.0, share=_of_the_loop),
    ),
)


class BackendRegistry:
    """The backends that can be chosen, by name.

    Args:
        backends: In the order in which they are listed.
    """

    def __init__(self, backends: tuple[Backend, ...] = (PREVIEW, *MUSETALK, *LATENTSYNC)) -> None:
        self._backends = {backend.name: backend for backend in backends}

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._backends.values())

    def get(self, name: str) -> Backend:
        """The backend of that name.

        Raises:
            BackendError: There is none; lists those there are.
        """
        try:
            return self._backends[name]
        except KeyError as error:
            names = ", ".join(self._backends)
            raise BackendError(f'there is no backend "{name}"', f"choose one of: {names}") from error

    def files(self, models_dir: Path) -> tuple[Path, ...]:
        """Every file of weights that anything here may read, whether it is there or not."""
        sets = (*WEIGHT_SETS.values(), *(backend.weights for backend in self))
        known = dict.fromkeys(choice for files in sets for file in files for choice in (file, *file.alternatives))
        places = [models_dir / file.path for file in known]
        return tuple(dict.fromkeys((*places, *map(lean_path, places))))

    def ready(self, settings: RenderSettings) -> Backend:
        """The backend that the settings name, if it can run, or another one can paint what it cannot.

        Raises:
            BackendError: It is unknown, or lacks something; names all of it.
        """
        backend = self.get(settings.backend)
        if self.understudy(settings) is None:
            check_complete(backend, settings)
        return backend

    def understudy(self, settings: RenderSettings) -> Backend | None:
        """Who paints what the backend that the settings name cannot; None: nobody, so that its errors end the render.

        Raises:
            BackendError: That backend is unknown.
        """
        names = self.get(settings.backend).understudies(settings)
        known = (self._backends[name] for name in names if name in self._backends)
        return next((backend for backend in known if not backend.lacks(settings)), None)


def check_complete(backend: Backend, settings: RenderSettings) -> None:
    """Make sure that a backend has what it needs.

    Raises:
        BackendError: It lacks something; names all of it.
    """
    missing = backend.lacks(settings)
    if missing:
        raise BackendError(f'backend "{backend.name}" cannot run', "; ".join(missing))
