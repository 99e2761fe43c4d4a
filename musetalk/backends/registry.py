"""Which backends there are: those built in, and those of other packages that are installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from musetalk.backends.spec import AnyBackend, BackendSpec, ConfiguredBackend, check_own_settings
from musetalk.errors import BackendError
from musetalk.settings import RenderSettings
from musetalk.utils.extensions import BACKENDS, Registry
from musetalk.weights import WEIGHT_SETS, WeightFile
from musetalk.weights.variants import lean_path


class BackendRegistry(Registry[AnyBackend]):
    """The backends that can be chosen, by name; see `Registry`."""

    extension, spec_type, unknown = BACKENDS, BackendSpec, BackendError

    def weight_sets(self) -> dict[str, tuple[WeightFile, ...]]:
        """Return all files that anything here reads, by backend or by what else they are for."""
        return {**WEIGHT_SETS, **{backend.name: backend.weights for backend in self if backend.weights}}

    def files(self, models_dir: Path) -> tuple[Path, ...]:
        """Return every file of weights that anything here may read, whether it is there or not."""
        known = dict.fromkeys(
            choice
            for files in (*self.weight_sets().values(), *(backend.streaming or () for backend in self))
            for file in files
            for choice in (file, *file.alternatives)
        )
        places = [models_dir / file.path for file in known]
        return tuple(dict.fromkeys((*places, *map(lean_path, places))))

    def configured(self, settings: RenderSettings) -> ConfiguredBackend:
        """Return the backend that the settings name, with the best ready one of those that may paint what it cannot.

        Raises:
            BackendError: It is unknown.
            SettingsError: What is said of backends' own settings cannot be.
        """
        check_own_settings(self.by_name, settings.backend_options)
        spec = self.get(settings.backend)
        backend = spec.configured(settings)
        falls_back = spec.falls_back is None or spec.falls_back(backend.options)
        names = [name for name in spec.fallbacks if name in self.by_name] if falls_back else []
        others = (self.by_name[name].configured(settings) for name in names)
        return replace(backend, fallback=next((other for other in others if not other.lacks()), None))
