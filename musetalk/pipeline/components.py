"""What a render works with besides its inputs: detector, parser, speech encoder, generator; loaded once and leased."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from musetalk.audio.feature_store import FeatureCache
from musetalk.audio.types import AudioFeatureSpec, SpeechEncoder
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend, ConfiguredBackend
from musetalk.backends.types import FaceGenerator, GeneratorSpec
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.enhancers.types import FaceEnhancer
from musetalk.errors import BackendError, OutOfMemoryError, PackageError, WeightsError, about
from musetalk.faces.detection.registry import DetectorRegistry, detector_notes
from musetalk.faces.types import FaceDetector
from musetalk.frame_steps.registry import ChosenStep, FrameStepRegistry, LoadedStep, naming
from musetalk.pipeline.findings import Findings, Reading
from musetalk.pipeline.parse import FaceLandmarker, FaceParser, FaceReaders
from musetalk.progress import RenderRun, noop
from musetalk.runtime.device_queue import DeviceQueue
from musetalk.runtime.leases import ComponentStore, Leases, Wanted
from musetalk.settings import (
    PARSED_SHAPES,
    ComponentSettings,
    DetectorSettings,
    EnhanceSettings,
    FrameStepChoice,
    MaskSettings,
    NetworkSettings,
    RenderSettings,
)
from musetalk.utils.files import cache_folder
from musetalk.utils.stopping import ends_by, left_alone
from musetalk.weights import lacking
from musetalk.weights.catalog import FACE_PARSING, LANDMARKS
from musetalk.weights.hub import check_endpoint
from musetalk.weights.part_spec import Place

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")
_Given = ParamSpec("_Given")


@dataclass(frozen=True, slots=True)
class Components:
    """What one render works with.

    Attributes:
        detector: Finds faces.
        generator: Paints mouths.
        parser: Parses faces; None: nothing here needs it, or its weights are not there.
        landmarker: Finds landmarks of faces; None: nothing here asks for them, or its weights are not there.
        reading: What is to be known of planned faces; they may have been read before, and then nothing here does.
        encoder: Hears the voice; None: the generator listens to the envelope.
        features: Where features of voices are kept.
        notes: What the user should know of the choice, a sentence each.
        look_notes: Those of them that are about finding and reading faces; none where that was done before.
        backend: The name of what paints.
        fallback_reason: Why it is another backend than the settings name; empty: it is that one.
        fallback_kind: The kind of the error behind that.
        fallback: Loads what generates what the backend cannot; None: nothing does.
        enhancer: Enhances painted faces; None: nothing does.
        make_room: Lets go of what lies in memory and nobody uses, and returns its names; for where memory runs out.
        frame_steps: What is done to finished frames, in this order.
        compiled: Whether networks are compiled, which their first calls wait for.
    """

    detector: FaceDetector
    generator: FaceGenerator
    parser: FaceParser | None = None
    landmarker: FaceLandmarker | None = None
    reading: Reading = field(default_factory=Reading)
    encoder: SpeechEncoder | None = None
    features: FeatureCache | None = None
    notes: tuple[str, ...] = ()
    look_notes: tuple[str, ...] = ()
    backend: str = ""
    fallback_reason: str = ""
    fallback_kind: str = ""
    fallback: Callable[[], Components] | None = None
    enhancer: FaceEnhancer | None = None
    make_room: Callable[[], Sequence[str]] = tuple
    frame_steps: tuple[LoadedStep, ...] = ()
    compiled: bool = False

    @property
    def readers(self) -> FaceReaders:
        """What looks at planned faces before they are painted, and what for."""
        aligner = self.generator.spec.aligner
        return FaceReaders(self.parser, self.landmarker, aligner, five=self.reading.five)


@dataclass(frozen=True, slots=True)
class ComponentChoice:
    """What a render is to work with, of which nothing is missing; nothing is loaded yet. From `ComponentLoader.check`.

    Attributes:
        backend: What paints, and what does in its place where it cannot.
        settings: What is loaded beside that.
        found: What is known of the source, which nothing is loaded to look for; None: nothing is.
    """

    backend: ConfiguredBackend
    settings: ComponentSettings
    found: Findings | None = None


class ComponentLoader:
    """Loads what renders work with, and lends it to them. Safe to share between threads.

    Args:
        registry: The backends that settings may name.
        detector: What finds faces; None: as the settings say.
        loaded: Called, in the thread that works with it, when all is loaded, and with it the libraries that it needs.
    """

    def __init__(
        self,
        registry: BackendRegistry,
        detector: FaceDetector | None = None,
        loaded: Callable[[], None] = noop,
    ) -> None:
        self._registry = registry
        self._detector = detector
        self._loaded = loaded
        self._detectors, self._enhancers, self._steps = DetectorRegistry(), EnhancerRegistry(), FrameStepRegistry()
        self._store = ComponentStore()
        self._queue = DeviceQueue()

    def check(self, settings: RenderSettings, found: Findings | None = None) -> ComponentChoice:
        """Return what settings ask for, if the backend (or its fallback) and all else can run; loads nothing.

        Args:
            settings: Of the render.
            found: What is known of the source: what looks for that, and prepares it, need not be there.

        Raises:
            BackendError: It is unknown, or something is missing (`WeightsError`, `PackageError`); names all of it.
            SettingsError: The settings name a frame step that there is not, or options that it has not.
        """
        backend = self._registry.configured(settings)
        reading = None if found is None else found.prepared(backend.name)
        backend = replace(backend, prepared=reading is not None)
        backend.check_ready()
        if backend.gpu is not None and settings.network.device != "auto":
            left_alone(lambda: _device(settings.network.device))
        steps = self._steps.chosen(settings.all_frame_steps)
        parsed = settings.mask.shape in PARSED_SHAPES or bool(settings.mask.occlusion)
        asked = [FACE_PARSING] if parsed and not (reading and reading.labels) else []
        missing = lacking(asked, settings.models_dir, "faces")
        detectors, enhancers, models_dir = self._detectors, self._enhancers, settings.models_dir
        missing += detectors.lacks(settings.detector, models_dir) if self._detector is None and found is None else ()
        missing += enhancers.lacks(settings.enhance.model, models_dir) if settings.enhance.wanted else ()
        missing += tuple(line for step in steps for line in step.spec.lacks(models_dir))
        if missing:
            packages = {
                *(line for step in steps for line in step.spec.missing()),
                *detectors.lacks_packages(settings.detector),
                *enhancers.lacks_packages(settings.enhance.model),
            }
            kind = PackageError if packages.issuperset(missing) else WeightsError
            with about("settings"):
                raise kind("the settings ask for what is not there", "; ".join(missing))
        return ComponentChoice(backend, settings.components, found)

    @contextmanager
    def detector(self, wanted: DetectorSettings, device: str, models_dir: Path) -> Iterator[FaceDetector]:
        """Lend, for as long as the `with` block runs, what finds faces; see `DetectorRegistry.taken`.

        Args:
            wanted: Which, and how it looks.
            device: What it runs on where it is a network, as settings say it.
            models_dir: Where weights are.

        Raises:
            BackendError: It cannot be loaded.
            Cancelled: The work was to end (see `stopping.ends_by`); what loads is left to itself.
        """
        with self._store.leases() as leases:
            yield self._lent(left_alone(lambda: self._load_detector(leases, wanted, device, models_dir)))

    @contextmanager
    def turn(self, chosen: ComponentChoice, run: RenderRun) -> Iterator[None]:
        """Wait until the device is free for the networks that were chosen; see `DeviceQueue.turn`.

        What works with them is to be called inside the `with` block, so that all that it held is gone at its end.

        Args:
            chosen: What the work is done with.
            run: Is told of the waiting, which it counts as a stage of its own; what ends it, ends that.

        Raises:
            BackendError: The device is not there.
            Cancelled: The work was to end.
        """
        with ExitStack() as turn:
            with ends_by(run.cancel.check):
                if networks := self._networks(chosen.backend, chosen.settings):
                    device = left_alone(lambda: str(_device(chosen.settings.network.device)))
                    waited = turn.enter_context(self._queue.turn(device, networks, run.wait))
                    if waited:
                        run.clock.add("wait", waited)
            yield

    @contextmanager
    def lease(self, chosen: ComponentChoice, run: RenderRun | None = None) -> Iterator[Components]:
        """Lend, for as long as the `with` block runs, all that was chosen.

        Where the backend cannot be loaded, it is its fallback's.

        Args:
            chosen: What the work is done with.
            run: Is told what is to be known of what is in memory.

        Raises:
            BackendError: Something is missing or cannot be loaded.
            Cancelled: The work was to end (see `stopping.ends_by`); what loads is left to itself.
        """
        with self._store.leases(None if run is None else run.say) as leases:
            yield self._lent(left_alone(lambda: self._load(leases, chosen.backend, chosen.settings, chosen.found)))

    def work(self, work: Callable[..., _T], chosen: ComponentChoice, run: RenderRun) -> _T:
        """Return what `work` makes of `components`, which are lent to it alone; see `lease`."""
        with self.lease(chosen, run) as components:
            return work(components=components)

    def release(self) -> None:
        """Free everything that is not leased, and the rest as soon as its leases end. Does not wait."""
        self._store.release()

    def _lent(self, loaded: _T) -> _T:
        self._loaded()
        return loaded

    def _networks(self, backend: ConfiguredBackend, wanted: ComponentSettings) -> Mapping[str, Hashable]:
        """Return the large networks of a render, by kind, as far as they are known before they are loaded."""
        if backend.fallback is not None and backend.lacks():
            backend = backend.fallback
        networks: dict[str, Hashable] = {}
        if backend.gpu is not None:
            networks[_generator_kind(backend)] = (backend.spec.load, backend.options)
        if wanted.enhance.wanted:
            network, model = wanted.network, wanted.enhance.model
            networks["enhancer"] = (model, wanted.models_dir, network.device, network.dtype, network.batch_size)
        for step in self._steps.chosen(wanted.frame_steps):
            if step.spec.weights:
                networks[_step_kind(step)] = (step.spec.load, step.options)
        return networks

    def _load_detector(self, leases: Leases, wanted: DetectorSettings, device: str, models_dir: Path) -> FaceDetector:
        if self._detector is not None:
            return self._detector
        spec = self._detectors.taken(wanted, models_dir)
        named = wanted.model_copy(update={"name": spec.name})  # one that "auto" took is the same when it is named
        return _leased(leases, "detector", spec.load, named, Place(models_dir, device))

    def _load(
        self, leases: Leases, backend: ConfiguredBackend, wanted: ComponentSettings, found: Findings | None
    ) -> Components:
        fallback, device = backend.fallback, wanted.network.device

        def stand_in(other: ConfiguredBackend) -> Components:
            """Load a fallback; it stays beside that of the backend that it stands in for."""
            return self._assemble(leases, other.spec, _generator(leases, other, device, beside=True), wanted, found)

        try:
            backend.check_complete()
            generator = _generator(leases, backend, device)
        except BackendError as error:
            if fallback is None:
                raise
            reason, kind = str(error), error.kind
        else:
            further = None if fallback is None else partial(left_alone, partial(stand_in, fallback))
            ready = replace(self._assemble(leases, backend.spec, generator, wanted, found), fallback=further)
            enhancer = self._enhancer(leases, wanted.enhance, wanted.network, wanted.models_dir)
            return replace(ready, enhancer=enhancer)
        ready = stand_in(fallback)
        enhancer = self._enhancer(leases, wanted.enhance, wanted.network, wanted.models_dir)
        return replace(ready, fallback_reason=reason, fallback_kind=kind, enhancer=enhancer)

    def _assemble(
        self,
        leases: Leases,
        backend: AnyBackend,
        generator: FaceGenerator,
        wanted: ComponentSettings,
        found: Findings | None,
    ) -> Components:
        models_dir, network, spec = wanted.models_dir, wanted.network, generator.spec
        device, audio_spec, enhanced = network.device, spec.audio_spec, wanted.enhance.wanted
        given = spec.framing == "halved" and found is not None and found.crops(backend.name) is not None
        parsed = _needs_labels(wanted.mask, spec, given=given)
        reading = Reading(parsed or enhanced, (spec.framing != "square" and not given) or enhanced, enhanced)
        look = found is None or not found.covers(backend.name, reading)
        parser = self._parser(leases, device, models_dir) if reading.labels and look else None
        landmarker = self._landmarker(leases, device, models_dir) if reading.landmarks and look else None
        known = self._detector is not None or found is not None
        look_notes = [] if known else detector_notes(wanted.detector, models_dir)
        notes = [*spec.notes, *_published_notes(wanted.beside_the_look)]
        if parser is None and parsed and look:
            missing = lacking([FACE_PARSING], models_dir, "faces")[0]
            drawn = "crops and masks follow" if landmarker is None else "masks follow"
            look_notes.append(f"faces are not parsed: {drawn} the boxes ({missing})")
        if LANDMARKS.state(models_dir) == "damaged" and reading.landmarks and look:
            look_notes.append(f"no landmarks were looked for: {lacking([LANDMARKS], models_dir, 'landmarks')[0]}")
        if audio_spec is not None and network.decoder == "tiny":
            notes.append("faces were decoded by TAESD: quicker, and softer than by Stable Diffusion's own decoder")
        place = Place(models_dir, device, network.dtype)
        return Components(
            self._load_detector(leases, wanted.detector, device, models_dir) if found is None else found.detector,
            generator,
            parser,
            landmarker,
            reading,
            None if audio_spec is None else self._encoder(leases, audio_spec, device, models_dir),
            None if audio_spec is None else FeatureCache(cache_folder() / "features"),
            (*look_notes, *notes),
            tuple(look_notes),
            backend.name,
            make_room=leases.make_room,
            frame_steps=self._frame_steps(leases, wanted.frame_steps, place),
            compiled=network.compile,
        )

    def _frame_steps(self, leases: Leases, wanted: Sequence[FrameStepChoice], place: Place) -> tuple[LoadedStep, ...]:
        return tuple(_frame_step(leases, each, place) for each in self._steps.chosen(wanted))

    def _parser(self, leases: Leases, device: str, models_dir: Path) -> FaceParser | None:
        if FACE_PARSING.state(models_dir) != "ready":
            return None
        from musetalk.faces.parsing.parser import load_parser  # noqa: PLC0415 - loads torch

        return _leased(leases, "parser", load_parser, models_dir / FACE_PARSING.path, _device(device))

    def _landmarker(self, leases: Leases, device: str, models_dir: Path) -> FaceLandmarker | None:
        if LANDMARKS.state(models_dir) != "ready":
            return None
        from musetalk.faces.landmarks.fan import load_landmarks  # noqa: PLC0415 - loads torch

        return _leased(leases, "landmarker", load_landmarks, models_dir / LANDMARKS.path, _device(device))

    def _enhancer(
        self, leases: Leases, wanted: EnhanceSettings, network: NetworkSettings, models_dir: Path
    ) -> FaceEnhancer | None:
        if not wanted.wanted:
            return None
        place = Place(models_dir, network.device, network.dtype, network.batch_size)
        return _leased(leases, "enhancer", self._enhancers.load, wanted.model, place)

    def _encoder(self, leases: Leases, audio_spec: AudioFeatureSpec, device: str, models_dir: Path) -> SpeechEncoder:
        from musetalk.audio.whisper import load_whisper  # noqa: PLC0415 - loads torch

        return _leased(leases, "encoder", load_whisper, models_dir / "whisper", audio_spec, device=str(_device(device)))


def _generator(leases: Leases, backend: ConfiguredBackend, device: str, *, beside: bool = False) -> FaceGenerator:
    """Return what a backend paints with; `beside`: as a fallback, which takes the place of no other."""
    kind, load = _generator_kind(backend), backend.spec.load
    fits = None if backend.gpu is None else partial(_fits, backend, device)
    wanted = Wanted(kind, _key(load, backend.options), backend.name, beside, fits)
    return leases.take(wanted, partial(_loaded, kind, partial(load, backend.options)))


def _fits(backend: ConfiguredBackend, device: str) -> bool:
    """Return whether as much memory is free as a backend's weights have on disk: where a CPU has less, it swaps."""
    from musetalk.runtime.device import free_memory  # noqa: PLC0415 - loads torch

    files = (backend.models_dir / file.path for file in backend.spec.needed)
    return sum(file.stat().st_size for file in files if file.is_file()) <= free_memory(_device(device))


def _generator_kind(backend: ConfiguredBackend) -> str:
    """Return of which one generator stays in memory: one without networks pushes out none that took long to load."""
    return "light generator" if backend.gpu is None else "generator"


def _frame_step(leases: Leases, chosen: ChosenStep, place: Place) -> LoadedStep:
    with naming(chosen.spec):
        return LoadedStep(chosen, _leased(leases, _step_kind(chosen), chosen.spec.load, chosen.options, place))


def _step_kind(step: ChosenStep) -> str:
    return f"frame step {step.spec.name}"


def _leased(
    leases: Leases, kind: str, load: Callable[_Given, _T], /, *given: _Given.args, **named: _Given.kwargs
) -> _T:
    """Return what `load` makes of what it is given."""
    return leases.take(
        Wanted(kind, _key(load, *given, **named)), partial(_loaded, kind, partial(load, *given, **named))
    )


def _key(load: Callable[..., object], *given: object, **named: object) -> object:
    """Under which the result of such a call is kept: all that it depends on, and no more."""
    return load, given, named


def _loaded(kind: str, load: Callable[[], _T]) -> _T:
    """Return what `load` makes.

    Raises:
        OutOfMemoryError: There is not enough memory for it.
        DownloadError: The environment keeps libraries from being imported.
    """
    try:
        return load()
    except ValueError:
        check_endpoint()
        raise
    except (RuntimeError, MemoryError) as error:
        from musetalk.runtime.device import is_out_of_memory  # noqa: PLC0415 - loads torch

        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"there is not enough memory to load the {kind}", "close other programs, or choose another device"
        ) from error


def _published_notes(others: Sequence[str] | None) -> list[str]:
    if others is None:
        return []
    but = f", but for {', '.join(others)}, which {'was' if len(others) == 1 else 'were'} set otherwise"
    return [
        "this is the published look: colours, sharpness, masks and boxes are as the published programs leave them"
        f"{but if others else ''}"
    ]


def _needs_labels(wanted: MaskSettings, spec: GeneratorSpec, *, given: bool) -> bool:
    """Return whether faces have to be parsed; `given`: their crops are there, and masks where none is named."""
    if given:
        return wanted.shape in PARSED_SHAPES or bool(wanted.occlusion)
    return spec.framing != "square" or wanted.shape_of(spec.mask) in PARSED_SHAPES or bool(wanted.occlusion)


def _device(name: str) -> torch.device:
    from musetalk.runtime.device import choose_compute  # noqa: PLC0415 - loads torch

    return choose_compute(name, "fp32").device
