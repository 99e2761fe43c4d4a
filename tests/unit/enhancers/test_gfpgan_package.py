"""The `gfpgan` package behind the enhancers' protocol: stand-ins that break as it does, and itself where installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torchvision.transforms.functional import rgb_to_grayscale

from musetalk.enhancers.gfpgan_package import original_class
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.errors import CheckpointError, PackageError
from musetalk.utils.arrays import UInt8Array
from musetalk.weights.part_spec import Place
from tests.golden.read import read_golden
from tests.helpers.errors import raises_kind
from tests.helpers.filled import golden_state, holding
from tests.helpers.tiny_checkpoints import GFPGAN_NAME, write_all

GONE = "torchvision.transforms.functional_tensor"
PACKAGES = ("gfpgan", "basicsr", "facexlib")
INSTALLED = all(find_spec(name) is not None for name in PACKAGES)

# As the real ones: whoever imports the architecture imports basicsr's data, and that the module that is gone.
SOURCES = {
    "basicsr/__init__.py": "from .data import degradations\n",
    "basicsr/data/__init__.py": "",
    "basicsr/data/degradations.py": f"from {GONE} import rgb_to_grayscale\n",
    "gfpgan/__init__.py": "from .archs import *\n",
    "gfpgan/archs/__init__.py": "import basicsr\n",
    "gfpgan/archs/gfpganv1_clean_arch.py": """
import torch


class GFPGANv1Clean(torch.nn.Module):
    def __init__(self, **config):
        super().__init__()
        self.config = config
        self.weight = torch.nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x, return_latents=False, return_rgb=True, randomize_noise=True, **kwargs):
        assert (self.config["out_size"], self.config["different_w"], self.config["sft_half"]) == (512, True, True)
        noise = torch.randn_like(x) if randomize_noise else 0
        return x * self.weight + noise, [x] if return_rgb else []
""",
}


def forget() -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in PACKAGES:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    forget()
    assert find_spec(GONE) is None  # or there is nothing to mend, and this file can go
    yield
    forget()
    assert GONE not in sys.modules


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the packages, in a folder that is looked at first."""
    for name, source in SOURCES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def checkpoint(models: Path, **tensors: torch.Tensor) -> Path:
    path = models / "gfpgan" / GFPGAN_NAME
    path.parent.mkdir()
    torch.save({"params_ema": tensors, "params": {}}, path)
    return models


def faces(count: int = 1) -> UInt8Array:
    return np.random.default_rng(0).integers(0, 256, (count, 512, 512, 3), dtype=np.uint8)


def test_the_packages_break_without_the_mending(packages: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="functional_tensor"):
        importlib.import_module("gfpgan.archs.gfpganv1_clean_arch")


def test_the_import_is_mended_and_the_mending_taken_away(packages: Path) -> None:
    assert original_class().__name__ == "GFPGANv1Clean"
    assert sys.modules["basicsr.data.degradations"].rgb_to_grayscale is rgb_to_grayscale
    assert GONE not in sys.modules


def test_somebody_elses_mending_stays(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = ModuleType(GONE)
    theirs.rgb_to_grayscale = len  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, GONE, theirs)
        original_class()
        assert sys.modules["basicsr.data.degradations"].rgb_to_grayscale is len
        assert sys.modules[GONE] is theirs


def test_faces_go_through_the_packages_network_without_new_noise(packages: Path, tmp_path: Path) -> None:
    halves = torch.tensor([1.0, 0.5, -1.0])[:, None, None]
    enhancer = EnhancerRegistry().load("gfpgan-original", Place(checkpoint(tmp_path, weight=halves), "cpu"))
    assert (enhancer.name, enhancer.size, enhancer.device) == (f"{GFPGAN_NAME} by the gfpgan package", 512, "cpu")
    seen = faces(2)
    enhanced = enhancer.enhance(seen)
    np.testing.assert_array_equal(enhanced[..., 0], seen[..., 0])
    assert np.abs(enhanced[..., 1] - (63.75 + seen[..., 1] / 2)).max() <= 0.51
    np.testing.assert_array_equal(enhanced[..., 2], 255 - seen[..., 2])


def test_another_networks_file_is_refused(packages: Path, tmp_path: Path) -> None:
    with raises_kind(CheckpointError, tensors=("weight", "bias")):
        EnhancerRegistry().load("gfpgan-original", Place(checkpoint(tmp_path, bias=torch.zeros(1)), "cpu"))


def test_missing_packages_are_told_before_and_when_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all(tmp_path, ["gfpgan"])
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)  # as if they were not installed
    assert EnhancerRegistry().lacks("gfpgan-original", tmp_path) == (
        "gfpgan and basicsr not installed: pip install -r requirements-gfpgan.txt",
    )
    with raises_kind(PackageError):
        EnhancerRegistry().load("gfpgan-original", Place(tmp_path, "cpu"))


def test_packages_that_are_there_are_not_imported_to_find_out(packages: Path, tmp_path: Path) -> None:
    write_all(tmp_path, ["gfpgan"])
    assert EnhancerRegistry().lacks("gfpgan-original", tmp_path) == ()
    assert not {"gfpgan", "basicsr"} & set(sys.modules)


@pytest.mark.parametrize("broken", ["import nothing_like_it", "{}['key']", "import torch\ntorch.not_there_any_more"])
def test_packages_that_break_otherwise_are_told(packages: Path, tmp_path: Path, broken: str) -> None:
    (packages / "basicsr" / "data" / "degradations.py").write_text(broken, encoding="utf-8")
    with raises_kind(PackageError):
        EnhancerRegistry().load("gfpgan-original", Place(tmp_path, "cpu"))
    assert GONE not in sys.modules


@pytest.mark.skipif(not INSTALLED, reason="needs requirements-gfpgan.txt")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ["a", "b"])
def test_the_real_package_gives_upstreams_pictures(case: str) -> None:
    golden = read_golden("gfpgan_tiny.npz")
    facts = golden["meta"]["cases"][case]
    make = original_class()
    network = holding(lambda: make(**facts["config"]), golden_state({"meta": facts}))
    with torch.inference_mode():
        enhanced, _ = network(torch.from_numpy(golden[f"{case}.input"]), return_rgb=False, randomize_noise=False)
    np.testing.assert_allclose(enhanced.numpy(), golden[f"{case}.output"], atol=1e-4, rtol=0)
