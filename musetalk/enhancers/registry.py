"""Which restorer the settings ask for, what it lacks here, and how it is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from musetalk.enhancers.types import FaceEnhancer
from musetalk.errors import CheckpointError, OutOfMemoryError, WeightsError
from musetalk.weights.catalog import GFPGAN
from musetalk.weights.variants import preferred
from musetalk.weights.weight_file import lacking

NONE, BY_SPANDREL, BY_PACKAGE = "none", "gfpgan", "gfpgan-original"  # everything else is a file

_SET = "gfpgan"  # of weights, and their folder
_PACKAGES = ("gfpgan", "basicsr")


def lacks(model: str, models_dir: Path) -> tuple[str, ...]:
    """Return what is missing to restore faces by a restorer, one sentence each with the remedy; empty: nothing.

    Reads no contents, and imports nothing heavy.

    Args:
        model: As the settings name it.
        models_dir: Where weights are.
    """
    if model == NONE:
        return ()
    if model not in {BY_SPANDREL, BY_PACKAGE}:
        if restorer_file(model, models_dir).is_file():
            return ()
        among = " among the models" if Path(model).name == model else ""
        return (f"there is no restorer {_named(model, models_dir)}{among}: put it there, or choose {BY_SPANDREL}",)
    return (*lacking((GFPGAN,), models_dir, _SET), *lacks_packages(model))


def lacks_packages(model: str) -> tuple[str, ...]:
    """Return which packages a restorer is missing, in a sentence with the remedy; empty: none."""
    missing = [name for name in _PACKAGES if find_spec(name) is None] if model == BY_PACKAGE else []
    return (f"{' and '.join(missing)} not installed: pip install -r requirements-gfpgan.txt",) if missing else ()


def restorer_file(model: str, models_dir: Path) -> Path:
    """Return the file that the settings name: a bare name lies in the models' own folder for restorers."""
    if model in {BY_SPANDREL, BY_PACKAGE}:
        return preferred(models_dir / GFPGAN.path)
    return models_dir / _SET / model if Path(model).name == model else Path(model)


def load_enhancer(
    model: str, models_dir: Path, *, device: str = "auto", dtype: str = "auto", batch_size: int | None = None
) -> FaceEnhancer:
    """Load a restorer.

    Args:
        model: As the settings name it; not "none".
        models_dir: Where weights are.
        device: What it runs on.
        dtype: How exactly networks calculate; see `restoring_compute`.
        batch_size: Faces at once; None: as many as help and fit.

    Raises:
        BackendError: Its file is missing, damaged, holds code, or is no restorer that spandrel knows; there is no such
            device; or, for the `gfpgan` package, that cannot be imported.
    """
    from musetalk.enhancers.network_enhancer import restoring_compute  # noqa: PLC0415 - loads torch
    from musetalk.enhancers.spandrel import load_restorer  # noqa: PLC0415 - the same

    compute, path = restoring_compute(device, dtype), restorer_file(model, models_dir)
    try:
        if model == BY_PACKAGE:
            from musetalk.enhancers.gfpgan_package import load_original  # noqa: PLC0415

            return load_original(path, compute, batch_size)
        return load_restorer(path, compute, batch_size)
    except CheckpointError as error:
        own = model not in {BY_SPANDREL, BY_PACKAGE}
        again = "choose another file" if own else f"python -m musetalk weights download {_SET} --replace"
        raise error.called(_named(model, models_dir), again if error.get_again else None) from error
    except (WeightsError, OutOfMemoryError) as error:
        raise error.called(_named(model, models_dir)) from error


def _named(model: str, models_dir: Path) -> str:
    """Return the file as people know it: not where a server keeps its weights."""
    path = restorer_file(model, models_dir)
    return path.relative_to(models_dir).as_posix() if path.is_relative_to(models_dir) else str(path)
