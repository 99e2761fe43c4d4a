"""Which enhancers there are, which one settings ask for, what it lacks here, and how it is loaded."""

from __future__ import annotations

from pathlib import Path

from musetalk.enhancers.built_in import WEIGHT_SET, load_file
from musetalk.enhancers.spec import EnhancerSpec
from musetalk.enhancers.types import FaceEnhancer
from musetalk.errors import CheckpointError, OutOfMemoryError, WeightsError
from musetalk.utils.extensions import ENHANCERS, Registry
from musetalk.weights.part_spec import Place
from musetalk.weights.variants import preferred

NONE = "none"  # what settings say where nothing is to be enhanced; what is neither that nor a name is a file
USUAL = "gfpgan"


class EnhancerRegistry(Registry[EnhancerSpec]):
    """The enhancers that can be chosen by name; see `Registry`. Any other enhancer is chosen by its file."""

    extension, spec_type = ENHANCERS, EnhancerSpec

    def named(self, model: str) -> EnhancerSpec | None:
        """Return the enhancer of that name; None: it is a file.

        Raises:
            PackageError: It is installed and broken.
        """
        is_name = model in self.by_name or any(each.name == model for each in self.broken)
        return self.get(model) if is_name else None

    def lacks(self, model: str, models_dir: Path) -> tuple[str, ...]:
        """Return what is missing to enhance faces by an enhancer, one sentence each with the remedy; empty: nothing.

        Reads no contents, and imports nothing heavy.

        Args:
            model: As the settings name it.
            models_dir: Where weights are.
        """
        spec = None if model == NONE else self.named(model)
        if spec is not None:
            return spec.lacks(models_dir)
        if model == NONE or file_of(model, models_dir).is_file():
            return ()
        among = " among the models" if Path(model).name == model else ""
        file = _shown(file_of(model, models_dir), models_dir)
        return (f"there is no enhancer {file}{among}: put it there, or choose {USUAL}",)

    def lacks_packages(self, model: str) -> tuple[str, ...]:
        """Return which packages an enhancer is missing, in a sentence with the remedy; empty: none."""
        spec = None if model == NONE else self.named(model)
        return () if spec is None else spec.missing()

    def files(self, model: str, models_dir: Path) -> tuple[Path, ...]:
        """Return the files that an enhancer reads; of a bare name, that lie in the models' own folder for enhancers."""
        if (spec := self.named(model)) is None:
            return (file_of(model, models_dir),)
        return tuple(preferred(models_dir / file.path) for file in spec.weights)

    def load(self, model: str, place: Place) -> FaceEnhancer:
        """Load an enhancer.

        Args:
            model: As the settings name it; not "none".
            place: Where it runs.

        Raises:
            BackendError: Its file is missing, damaged, holds code, or is no enhancer that spandrel knows; there is no
                such device; or its package cannot be imported.
        """
        spec = self.named(model)
        try:
            return load_file(file_of(model, place.models_dir), place) if spec is None else spec.load(place)
        except CheckpointError as error:
            again = "choose another file"
            if spec is not None:
                again = f"python -m musetalk weights download {spec.weight_set or spec.name} --replace"
            file = _shown(error.path or Path(model), place.models_dir)
            raise error.called(file, again if error.get_again else None) from error
        except (WeightsError, OutOfMemoryError) as error:
            raise error.called(_shown(error.path or Path(model), place.models_dir)) from error


def file_of(model: str, models_dir: Path) -> Path:
    """Return the file that settings name: a bare name lies in the models' own folder for enhancers."""
    return models_dir / WEIGHT_SET / model if Path(model).name == model else Path(model)


def _shown(path: Path, models_dir: Path) -> str:
    """Return a file as people know it: not where a server keeps its weights."""
    return path.relative_to(models_dir).as_posix() if path.is_relative_to(models_dir) else str(path)
