"""`BackendSpec`: the description of a backend; light to import, so that all backends can be listed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from musetalk.backends.types import FaceGenerator
from musetalk.errors import BackendError, SettingsError, WeightsError
from musetalk.settings import RenderSettings, problems_in, said_of
from musetalk.utils.extensions import settings_key
from musetalk.weights.catalog import OPTIONAL
from musetalk.weights.weight_file import WeightFile, lacking

if TYPE_CHECKING:
    from musetalk.backends.check import BackendCheck

OWN = "backend_options"  # the setting that holds what backends of other packages are told of their own settings
Options = TypeVar("Options", bound=Hashable)
# "network", "latentsync": the settings of that name. "margin": `extra_margin`. How its mask is shaped where settings
# leave that to it, and so which of the mask's settings say anything: "parsed-mask", "jaw-mask" (which is parsed, too),
# or "own-mask"; none of them: drawn.
UiGroup: TypeAlias = Literal["network", "latentsync", "margin", "parsed-mask", "jaw-mask", "own-mask"]


@dataclass(frozen=True, slots=True)
class GpuCost:
    """What a backend takes of a GPU, for hosts that lend one for as long as was asked for.

    Attributes:
        start_seconds: Until it can paint its first frame: loading it, warming it up.
        seconds_per_frame: For each painted frame of one face, with the settings as they usually are.
        share: Of that work, what a backend's other options take; None: as much with any.
    """

    start_seconds: float
    seconds_per_frame: float
    share: Callable[[Any], float] | None = None

    def of(self, options: object) -> GpuCost:
        """Return the same with a backend's options as its settings have them."""
        if self.share is None:
            return self
        return replace(self, seconds_per_frame=self.seconds_per_frame * self.share(options))


@dataclass(frozen=True, slots=True)
class NetworkWork:
    """What a backend's networks have to do, for how long a render should take where none was made yet.

    Attributes:
        start_seconds: Until they are loaded.
        gflop: For each frame of one face, once.
        step_gflop: For each frame, by one step of the loop in which it is refined.
        steps: Of that loop, frames that are seen twice included; costs of single steps are what is learned.
    """

    start_seconds: float
    gflop: float
    step_gflop: float = 0.0
    steps: float = 1.0


_USUAL_WORK = NetworkWork(start_seconds=12.0, gflop=1350.0)  # of a backend that says no more: as much as MuseTalk's


@dataclass(frozen=True, slots=True)
class BackendSpec(Generic[Options]):
    """A way to paint mouths.

    Attributes:
        name: As settings name it.
        summary: One line for people who choose.
        load: Loads its generator. It is given its options and nothing else.
        options: Picks from the settings what `load` looks at: a frozen value, under which the loaded generator is kept,
            so that it is loaded again when, and only when, that changes. None: nothing, `load` gets None. What else
            depends on settings is asked with the same options.
        own_settings: A model of settings of its own (frozen, each with a default), for a backend of another package:
            they are options, keys of files and widgets as all others are. `own` returns them; where `options` is None,
            `load` gets them.
        tiny: Makes a like generator around small networks of the real classes, filled with drawn numbers: for the
            doctor and for tests, where its weights are not here. None: there is no such thing.
        check: What the doctor holds its networks' calls to. None: nothing is known of networks.
        notice: What every result of it has to be labelled with; empty: nothing.
        weights: The files it reads.
        optional: Those of them that it can do without.
        streaming: The files that it reads to speak live, where a source was prepared for it before; what is read of a
            file besides may be left out of it. None: it does not say.
        missing: What else is missing with its options, one line each with the remedy. None: nothing ever is.
        gpu: What it takes of a GPU. None: it needs none, and has no networks whose work would have to be reckoned with.
        work: What its networks have to do. None: as much as MuseTalk's where `gpu` is given, else nothing.
        quality: How good its lips are beside others', for `auto`, which takes the highest that is ready and quick
            enough: 0 for what is no lip-sync, to 100. None: it is never taken unless it is named.
        ui_groups: Which settings the page shows with it, of those that not every backend heeds.
        fallbacks: Who may paint what it cannot, the best first: names of backends.
        falls_back: Whether its options let them. None: always.
        live: Whether it can paint a voice while that arrives: not where it needs clips of many frames.
    """

    name: str
    summary: str
    load: Callable[[Options], FaceGenerator]
    options: Callable[[RenderSettings], Options] | None = None
    own_settings: type[BaseModel] | None = None
    tiny: Callable[[Options], FaceGenerator] | None = None
    check: Callable[[], BackendCheck] | None = None
    notice: str = ""
    weights: tuple[WeightFile, ...] = ()
    optional: tuple[WeightFile, ...] = OPTIONAL
    streaming: tuple[WeightFile, ...] | None = None
    missing: Callable[[Options], tuple[str, ...]] | None = None
    gpu: GpuCost | None = None
    work: Callable[[Options], NetworkWork] | None = None
    quality: int | None = None
    ui_groups: frozenset[UiGroup] = frozenset()
    fallbacks: tuple[str, ...] = ()
    falls_back: Callable[[Options], bool] | None = None
    live: bool = True

    def configured(self, settings: RenderSettings) -> ConfiguredBackend:
        """Return it with its part of a render's settings, and without a fallback: see `BackendRegistry.configured`."""
        options = self.own(settings.backend_options) if self.options is None else self.options(settings)
        return ConfiguredBackend(self, options, settings.models_dir)

    def own(self, options: Mapping[str, Mapping[str, Any]]) -> Any:  # noqa: ANN401 - whatever model it has
        """Return its own settings; None: it has none.

        Args:
            options: What a render says of backends' own settings, by the key of each.

        Raises:
            SettingsError: One is unknown, or out of range.
        """
        key = settings_key(self.name)
        said = options.get(key, {})
        if self.own_settings is None:
            if said:
                raise _no_such(key, said)
            return None
        try:
            return self.own_settings.model_validate(said)
        except ValidationError as error:
            told = problems_in(error)
            raise SettingsError(
                f'unusable settings of the backend "{self.name}" ({said_of(told)})',
                "correct the value or leave it out",
                names=tuple(f"{OWN}.{key}.{name}" for name, _ in told),
            ) from error

    @property
    def groups(self) -> frozenset[str]:
        """Which settings the page shows with it: `ui_groups`, and its own."""
        own = () if self.own_settings is None else (own_group(settings_key(self.name)),)
        return self.ui_groups.union(own)

    @property
    def needed(self) -> tuple[WeightFile, ...]:
        """The weights that it cannot do without."""
        return tuple(file for file in self.weights if file not in self.optional)

    def missing_weights(self, models_dir: Path, *, prepared: bool = False) -> tuple[str, ...]:
        """Return which weights are missing, one line each with the remedy; empty: none that it cannot do without.

        Args:
            models_dir: Where weights are.
            prepared: Whether it is for a source that was prepared for it.
        """
        if prepared and self.streaming is not None and all(one.state(models_dir) == "ready" for one in self.streaming):
            return ()
        return lacking(self.needed, models_dir, self.name)


def own_group(key: str) -> str:
    """Return the group, beside those of `ui_groups`, of what only one backend has, by the key of its settings."""
    return f"own-{''.join(letter if letter.isalnum() else '-' for letter in key)}"


def _no_such(key: str, said: Mapping[str, object]) -> SettingsError:
    names = [f"{OWN}.{key}.{name}" for name in said] or [f"{OWN}.{key}"]
    return SettingsError(f"there is no setting {', '.join(names)}", "leave it out", names=names)


def check_own_settings(backends: Mapping[str, AnyBackend], options: Mapping[str, Mapping[str, Any]]) -> None:
    """Make sure that what a render says of backends' own settings is about backends that there are, and can be.

    Args:
        backends: Those there are, by name.
        options: What it says, by the key of each.

    Raises:
        SettingsError: It is not.
    """
    by_key = {settings_key(name): backend for name, backend in backends.items()}
    for key, said in options.items():
        if key not in by_key:
            raise _no_such(key, said)
        by_key[key].own(options)


AnyBackend: TypeAlias = BackendSpec[Any]


@dataclass(frozen=True, slots=True)
class ConfiguredBackend:
    """A backend with its part of a render's settings.

    Attributes:
        spec: The backend.
        options: What its `load` and `tiny` are given.
        models_dir: Where weights are.
        fallback: What paints what it cannot; None: nothing does, so that its errors end the render.
        prepared: Whether the source was prepared for it, so that it can do without what prepares.
    """

    spec: AnyBackend
    options: Any
    models_dir: Path
    fallback: ConfiguredBackend | None = None
    prepared: bool = False

    @property
    def name(self) -> str:
        """As settings name it."""
        return self.spec.name

    @property
    def gpu(self) -> GpuCost | None:
        """What it takes of a GPU with these options; None: it needs none."""
        return None if self.spec.gpu is None else self.spec.gpu.of(self.options)

    @property
    def work(self) -> NetworkWork | None:
        """What its networks have to do with these options; None: it has none."""
        if self.spec.work is not None:
            return self.spec.work(self.options)
        return None if self.spec.gpu is None else _USUAL_WORK

    def lacks(self) -> tuple[str, ...]:
        """Return what is missing to run it, one line each with the remedy; empty: ready."""
        further = () if self.spec.missing is None else self.spec.missing(self.options)
        return self.spec.missing_weights(self.models_dir, prepared=self.prepared) + further

    def check_complete(self) -> None:
        """Make sure that it has what it needs itself.

        Raises:
            WeightsError: It lacks files of weights; names all that it lacks.
            BackendError: It lacks something else.
        """
        missing = self.lacks()
        if missing:
            ready = all(file.state(self.models_dir) == "ready" for file in self.spec.weights)
            kind = BackendError if ready else WeightsError
            raise kind(f'backend "{self.name}" cannot run', "; ".join(missing))

    def check_ready(self) -> None:
        """Make sure that it can run, or that its fallback can.

        Raises:
            BackendError: Neither can; names all that it lacks.
        """
        if self.fallback is None:
            self.check_complete()
