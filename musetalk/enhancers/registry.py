"""Which restorer the settings ask for, what it lacks here, and how it is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from musetalk.enhancers.types import FaceEnhancer
from musetalk.errors import BackendError
from musetalk.settings import RenderSettings
from musetalk.weights.catalog import GFPGAN
from musetalk.weights.variants import preferred
from musetalk.weights.weight_file import lacking

NONE, BY_SPANDREL, BY_PACKAGE = "none", "gfpgan", "gfpgan-original"  # everything else is a file

_SET = "gfpgan"  # of weights, and their folder
_PACKAGES = ("gfpgan", "basicsr")


def lacks(settings: RenderSettings) -> tuple[str, ...]:
    """What is missing to restore faces with these settings, one sentence each with the remedy; empty: nothing.

    Reads no contents, and imports nothing heavy.
    """
    model = settings.enhance.model
    if model == NONE:
        return ()
    if model not in {BY_SPANDREL, BY_PACKAGE}:
        if restorer_file(settings).is_file():
            return ()
        among = " among the models" if Path(model).name == model else ""
        return (f"there is no restorer {_named(settings)}{among}: put it there, or choose {BY_SPANDREL}",)
    missing = lacking((GFPGAN,), settings.models_dir, _SET)
    packages = [name for name in _PACKAGES if find_spec(name) is None] if model == BY_PACKAGE else []
    if packages:
        missing += (f"{' and '.join(packages)} not installed: pip install -r requirements-gfpgan.txt",)
    return missing


def depends(settings: RenderSettings) -> tuple[object, ...]:
    """What of the settings `load_enhancer` looks at; a restorer is kept until that changes."""
    network = settings.network
    return settings.enhance.model, settings.models_dir, network.device, network.dtype, network.batch_size


def restorer_file(settings: RenderSettings) -> Path:
    """The file that the settings name: a bare name lies in the models' own folder for restorers."""
    model, folder = settings.enhance.model, settings.models_dir
    if model in {BY_SPANDREL, BY_PACKAGE}:
        return preferred(folder / GFPGAN.path)
    return folder / _SET / model if Path(model).name == model else Path(model)


def load_enhancer(settings: RenderSettings) -> FaceEnhancer:
    """Load the restorer that the settings ask for; one that is not "none".

    Raises:
        BackendError: Its file is missing, damaged, holds code, or is no restorer that spandrel knows; there is no such
            device; or, for the `gfpgan` package, that cannot be imported.
    """
    from musetalk.enhancers.spandrel import load_restorer, restoring_compute  # noqa: PLC0415 - loads torch
    from musetalk.runtime.checkpoint import AGAIN  # noqa: PLC0415

    network = settings.network
    compute, path = restoring_compute(network), restorer_file(settings)
    try:
        if settings.enhance.model == BY_PACKAGE:
            from musetalk.enhancers.gfpgan import load_original  # noqa: PLC0415

            return load_original(path, compute, network.batch_size)
        return load_restorer(path, compute, network.batch_size)
    except BackendError as error:
        own = settings.enhance.model not in {BY_SPANDREL, BY_PACKAGE}
        again = "choose another file" if own else f"python -m musetalk weights download {_SET} --replace"
        remedy = again if error.remedy == AGAIN else error.remedy
        raise BackendError(error.problem.replace(str(path), _named(settings)), remedy) from error


def _named(settings: RenderSettings) -> str:
    """The file as people know it: not where a server keeps its weights."""
    path, folder = restorer_file(settings), settings.models_dir
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
