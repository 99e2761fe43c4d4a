"""GFPGAN by spandrel against upstream's results, with filled weights (`tests/golden/fill.py`) for trained ones."""

from __future__ import annotations

import json

import pytest
import torch
from spandrel import MAIN_REGISTRY
from spandrel.architectures.GFPGAN import GFPGAN

from musetalk.enhancers.network_enhancer import gfpgan_enhancement
from tests.golden.read import GOLDEN, Golden, read_golden
from tests.helpers.filled import CPU, golden_state, holding

pytestmark = pytest.mark.usefixtures("one_thread")
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read_golden("gfpgan_tiny.npz")


def network(golden: Golden, case: str) -> GFPGAN:
    facts = golden["meta"]["cases"][case]
    return holding(lambda: GFPGAN(**facts["config"]), golden_state({"meta": facts}))


def off_by(ours: torch.Tensor, golden: Golden, key: str) -> float:
    theirs = torch.from_numpy(golden[key])
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


def test_the_published_names_and_shapes_load_strictly() -> None:
    published = json.loads((GOLDEN / "gfpgan_keys.json").read_text(encoding="utf-8"))
    shapes = published["state_dict"]
    assert len(shapes) == published["keys"] == 285
    with torch.device("meta"):
        described = MAIN_REGISTRY.load({name: torch.empty(shape) for name, shape in shapes.items()})
    assert described.architecture.id == "GFPGAN"
    assert {name: list(value.shape) for name, value in described.model.state_dict().items()} == shapes
    for broken in ({**shapes, "stranger.weight": [1]}, {**shapes, "final_conv.bias": [255]}):
        with torch.device("meta"), pytest.raises(RuntimeError, match=r"stranger|final_conv"):
            MAIN_REGISTRY.load({name: torch.empty(shape) for name, shape in broken.items()})


@pytest.mark.parametrize("case", ["a", "b"])
def test_the_network_gives_upstreams_pictures(golden: Golden, case: str) -> None:
    seen = torch.from_numpy(golden[f"{case}.input"])
    with torch.inference_mode():
        enhanced, steps = network(golden, case)(seen, return_rgb=True, randomize_noise=False)
    assert len(steps) == sum(key.startswith(f"{case}.rgb") for key in golden)
    assert off_by(enhanced, golden, f"{case}.output") <= TOLERANCE
    assert max(off_by(step, golden, f"{case}.rgb{i}") for i, step in enumerate(steps)) <= TOLERANCE


@pytest.mark.parametrize("case", ["a", "b"])
def test_it_is_called_as_the_pictures_were_made(golden: Golden, case: str) -> None:
    enhance = gfpgan_enhancement(network(golden, case), CPU)
    with torch.inference_mode():
        for seed in (0, 1):  # the noise is the stored one, whatever was drawn before
            torch.manual_seed(seed)
            enhanced = enhance(torch.from_numpy(golden[f"{case}.input"]))
            assert off_by(enhanced, golden, f"{case}.output") <= TOLERANCE
