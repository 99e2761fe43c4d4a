from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hybrid.unet3d.unet import UNet3D
from musetalk.lipsync import LipSync
from musetalk.utils.arrays import UInt8Array
from tests.golden.fill import fill_state_dict, shapes_of
from tests.helpers.media import decode
from tests.hybrid.parts import SMALL
from tests.hybrid.renders import settings


@pytest.fixture(autouse=True)
def tidy(no_child_left: None) -> None:
    """Most tests here render, or start programs that do; what was heard of the voices has no part in what they show."""


@pytest.fixture(scope="package")
def engine() -> LipSync:
    """Keeps what it loaded, what it encoded, and that memory ran out: tests of that have one of their own."""
    return LipSync()


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Weights of a small network, with its tables."""
    unet = UNet3D(SMALL)
    return {**unet.state_dict(), **fill_state_dict(shapes_of(unet.state_dict()), 5)}


@pytest.fixture(scope="module")
def by_musetalk(
    film: Path, words: Path, bare_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[UInt8Array]:
    """The film as MuseTalk 1.5 makes it."""
    out = tmp_path_factory.mktemp("musetalk") / "out.mp4"
    LipSync().render(film, words, out, settings(bare_models, "musetalk-v15"))
    return list(decode(out))
