"""The enhancers that come with the program by name: GFPGAN, run by spandrel or by its own package."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from musetalk.enhancers.spec import EnhancerSpec
from musetalk.enhancers.types import FaceEnhancer
from musetalk.weights.catalog import GFPGAN
from musetalk.weights.part_spec import Place
from musetalk.weights.variants import preferred

WEIGHT_SET = "gfpgan"  # of weights, and their folder
_PACKAGES = ("gfpgan", "basicsr")


def load_file(path: Path, place: Place) -> FaceEnhancer:
    """Load the enhancer in a file, of any architecture that spandrel knows.

    Raises:
        BackendError: It is missing, damaged, holds code, or is no enhancer; or there is no such device.
    """
    from musetalk.enhancers.network_enhancer import enhancer_compute  # noqa: PLC0415 - loads torch
    from musetalk.enhancers.spandrel import load_spandrel_enhancer  # noqa: PLC0415 - the same

    return load_spandrel_enhancer(path, enhancer_compute(place.device, place.dtype), place.batch_size)


def _by_spandrel(place: Place) -> FaceEnhancer:
    return load_file(preferred(place.models_dir / GFPGAN.path), place)


def _by_package(place: Place) -> FaceEnhancer:
    from musetalk.enhancers.gfpgan_package import load_original  # noqa: PLC0415 - loads torch
    from musetalk.enhancers.network_enhancer import enhancer_compute  # noqa: PLC0415 - the same

    compute = enhancer_compute(place.device, place.dtype)
    return load_original(preferred(place.models_dir / GFPGAN.path), compute, place.batch_size)


def _lacks_packages() -> tuple[str, ...]:
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    return (f"{' and '.join(missing)} not installed: pip install -r requirements-gfpgan.txt",) if missing else ()


BY_SPANDREL = EnhancerSpec("gfpgan", _by_spandrel, weights=(GFPGAN,), weight_set=WEIGHT_SET)
BY_PACKAGE = EnhancerSpec(
    "gfpgan-original", _by_package, weights=(GFPGAN,), weight_set=WEIGHT_SET, missing=_lacks_packages
)
