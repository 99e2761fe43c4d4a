"""Which backends there are: those built in, and those of other packages that are installed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from musetalk.backends.spec import AnyBackend, BackendSpec, ConfiguredBackend
from musetalk.errors import BackendError, PackageError
from musetalk.settings import AUTO, RenderSettings
from musetalk.weights import WEIGHT_SETS, WeightFile
from musetalk.weights.variants import lean_path

GROUP = "musetalk.backends"
# By name, "module:attribute", in the order in which they are listed. A package adds its own by an entry point of GROUP
# that says the same.
BUILT_IN: Mapping[str, str] = {
    "preview": "musetalk.backends.preview.spec:PREVIEW",
    "musetalk-v15": "musetalk.backends.musetalk.spec:V15",
    "musetalk-v1": "musetalk.backends.musetalk.spec:V1",
    "latentsync-1.5": "hybrid.spec:V15",
    "latentsync-1.6": "hybrid.spec:V16",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BrokenBackend:
    """What is installed as a backend and is none that can be used.

    Attributes:
        name: Under which it is installed.
        place: Where it should be: "module:attribute".
        why: What went wrong.
    """

    name: str
    place: str
    why: str


class BackendRegistry:
    """The backends that can be chosen, by name.

    Args:
        backends: In the order in which they are listed; None: those built in, and those installed.
    """

    def __init__(self, backends: Iterable[AnyBackend] | None = None) -> None:
        self._backends: dict[str, AnyBackend] = {}
        self._broken: list[BrokenBackend] = []
        if backends is None:
            self._find()
        else:
            self._backends = {backend.name: backend for backend in backends}

    def __iter__(self) -> Iterator[AnyBackend]:
        return iter(self._backends.values())

    @property
    def broken(self) -> tuple[BrokenBackend, ...]:
        """What is installed and cannot be used."""
        return tuple(self._broken)

    def get(self, name: str) -> AnyBackend:
        """Return the backend of that name.

        Raises:
            BackendError: There is none, which lists those there are.
            PackageError: It is installed and broken.
        """
        if name in self._backends:
            return self._backends[name]
        broken = next((each for each in self._broken if each.name == name), None)
        if broken is not None:
            problem = f'the backend "{name}" is installed and cannot be used ({broken.place}: {broken.why})'
            raise PackageError(problem, "mend or remove the package that it comes from")
        raise BackendError(f'there is no backend "{name}"', f"choose one of: {', '.join(self._backends)}")

    def weight_sets(self) -> dict[str, tuple[WeightFile, ...]]:
        """Return all files that anything here reads, by backend or by what else they are for."""
        return {**WEIGHT_SETS, **{backend.name: backend.weights for backend in self if backend.weights}}

    def files(self, models_dir: Path) -> tuple[Path, ...]:
        """Return every file of weights that anything here may read, whether it is there or not."""
        known = dict.fromkeys(
            choice for files in self.weight_sets().values() for file in files for choice in (file, *file.alternatives)
        )
        places = [models_dir / file.path for file in known]
        return tuple(dict.fromkeys((*places, *map(lean_path, places))))

    def configured(self, settings: RenderSettings) -> ConfiguredBackend:
        """Return the backend that the settings name, with the best ready one of those that may paint what it cannot.

        Raises:
            BackendError: It is unknown.
        """
        spec = self.get(settings.backend)
        backend = spec.configured(settings)
        falls_back = spec.falls_back is None or spec.falls_back(backend.options)
        names = [name for name in spec.fallbacks if name in self._backends] if falls_back else []
        others = (self._backends[name].configured(settings) for name in names)
        return replace(backend, fallback=next((other for other in others if not other.lacks()), None))

    def _find(self) -> None:
        own = [EntryPoint(name, place, GROUP) for name, place in BUILT_IN.items()]
        for entry in (*own, *entry_points(group=GROUP)):
            try:
                backend = _spec_at(entry)
                if entry.name == AUTO:
                    raise ValueError("that name says that one is to be chosen")  # noqa: TRY301
                if entry.name in self._backends:
                    raise ValueError("there is another backend of that name")  # noqa: TRY301 - one way to be broken
            except Exception as error:  # noqa: BLE001 - importing somebody else's code can end in any way
                why = f"{type(error).__name__}: {' '.join(str(error).split())}"
                _log.warning('the backend "%s" (%s) cannot be used: %s', entry.name, entry.value, why)
                self._broken.append(BrokenBackend(entry.name, entry.value, why))
            else:
                self._backends[backend.name] = backend


def _spec_at(entry: EntryPoint) -> AnyBackend:
    """Return what an entry point names.

    Raises:
        Exception: Whatever its import ends with.
        TypeError: It is no backend.
        ValueError: It has another name.
    """
    found = entry.load()
    if not isinstance(found, BackendSpec):
        raise TypeError(f"it is a {type(found).__name__}, no BackendSpec")
    if found.name != entry.name:
        raise ValueError(f'it calls itself "{found.name}"')
    return found
