"""LatentSync's network: read in every form it comes in, refused by name where it does not fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from hybrid.unet3d.config import Motion, UNet3DConfig, config_of
from hybrid.unet3d.loading import load_unet3d, place_unet3d
from hybrid.unet3d.unet import UNet3D
from musetalk.errors import BackendError, CheckpointError, WeightsError
from musetalk.weights.variants import FROM_SIZE, MADE_FROM
from tests.helpers.errors import raises_kind
from tests.helpers.filled import CPU
from tests.hybrid.parts import SMALL, inputs

pytestmark = pytest.mark.usefixtures("one_thread")
TABLE = "pos_encoder.pe"


def shapes(config: UNet3DConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in UNet3D(config).state_dict().items()}


def same(unet: UNet3D, state: dict[str, Tensor]) -> bool:
    ours = unet.state_dict()
    return ours.keys() == state.keys() and all(torch.equal(ours[name], state[name]) for name in ours)


@pytest.mark.parametrize("form", ["bare", "wrapped", "module", "wrapped module", "safetensors"])
def test_every_form_of_a_checkpoint_is_read(tmp_path: Path, state: dict[str, Tensor], form: str) -> None:
    path = tmp_path / ("latentsync_unet.safetensors" if form == "safetensors" else "latentsync_unet.pt")
    held = {f"module.{name}": tensor for name, tensor in state.items()} if "module" in form else state
    if form == "safetensors":
        save_file(held, path)
    else:
        torch.save({"global_step": 7, "state_dict": held} if "wrapped" in form else held, path)
    unet = load_unet3d(path)
    assert same(unet, state)
    assert unet.config == SMALL
    assert same(load_unet3d(tmp_path), state)


def test_a_lean_copy_stands_for_its_original(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "latentsync_unet.pt"
    torch.save({"nothing": torch.ones(1)}, path)
    said = {MADE_FROM: path.name, FROM_SIZE: str(path.stat().st_size)}
    lean = tmp_path / "latentsync_unet.lean.safetensors"
    save_file({name: tensor.half() for name, tensor in state.items()}, lean, metadata=said)
    os.utime(path, ns=(0, 0))
    unet = load_unet3d(path)
    assert same(unet, {name: tensor.half().float() for name, tensor in state.items()})


def test_placed_on_a_cpu_it_says_the_same(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "latentsync_unet.safetensors"
    save_file(state, path)
    with torch.inference_mode():
        placed, plain = (unet(*inputs()) for unet in (place_unet3d(path, CPU), load_unet3d(path)))
    assert torch.allclose(placed, plain, atol=1e-4)


def test_numbers_may_be_made_narrower_as_they_are_read(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "latentsync_unet.safetensors"
    save_file(state, path)
    unet = load_unet3d(path, dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in unet.state_dict().values()} == {torch.bfloat16}
    sample, timestep, audio = inputs()
    with torch.inference_mode():
        narrow = unet(sample.bfloat16(), timestep, audio.bfloat16())
        wide = load_unet3d(path)(sample, timestep, audio)
    assert narrow.dtype == torch.bfloat16
    assert float((narrow.float() - wide).abs().max()) < 0.1


def test_tables_that_an_export_left_out_are_computed(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "latentsync_unet.safetensors"
    save_file({name: tensor for name, tensor in state.items() if not name.endswith(TABLE)}, path)
    assert same(load_unet3d(path), state)


def test_tensors_that_it_has_no_place_for_are_left_out_and_said(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = tmp_path / "latentsync_unet.safetensors"
    save_file({**state, "head.weight": torch.zeros(2), "motion_scale": torch.ones(1)}, path)
    said: list[str] = []
    assert same(load_unet3d(path, note=said.append), state)
    [sentence] = said
    assert sentence.startswith("latentsync_unet.safetensors holds tensors that UNet3D has no place for")
    assert "head.weight, motion_scale" in sentence


def test_what_is_wrong_is_named_tensor_by_tensor(tmp_path: Path, state: dict[str, Tensor]) -> None:
    wrong = {**state, "conv_in.weight": torch.zeros(32, 8, 3, 3), "head.weight": torch.zeros(2)}
    del wrong["mid_block.resnets.1.conv2.bias"]
    path = tmp_path / "latentsync_unet.safetensors"
    save_file(wrong, path)
    with pytest.raises(BackendError) as caught:
        load_unet3d(path)
    said = str(caught.value)
    assert "missing mid_block.resnets.1.conv2.bias" in said
    assert "unexpected head.weight" in said
    assert "conv_in.weight 32x8x3x3 instead of 32x13x3x3" in said


@pytest.mark.parametrize("other", [{"scale": ()}, {"down_blocks.0.resnets.0.norm2.weight": (33,)}])
def test_a_stranger_is_held_against_the_published_network(tmp_path: Path, other: dict[str, tuple[int, ...]]) -> None:
    path = tmp_path / "latentsync_unet.safetensors"
    save_file({name: torch.zeros(shape) for name, shape in other.items()}, path)
    assert config_of(other) == UNet3DConfig(motion="none")
    with raises_kind(CheckpointError, path=path) as caught:
        load_unet3d(path)
    assert "conv_in.weight" in caught.value.tensors


def test_a_folder_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    with raises_kind(WeightsError, path=tmp_path):
        load_unet3d(tmp_path)
    with raises_kind(WeightsError, path=tmp_path / "latentsync_unet.pt"):
        load_unet3d(tmp_path / "latentsync_unet.pt")


@pytest.mark.parametrize(
    ("channels", "layers", "motion", "positions"),
    [((32, 32), 1, "all", 32), ((64, 32, 96), 2, "decoder", 24), ((32, 64), 3, "none", 24)],
)
def test_sizes_are_told_from_tensors(channels: tuple[int, ...], layers: int, motion: Motion, positions: int) -> None:
    config = UNet3DConfig(channels, layers, motion=motion, positions=positions)
    assert config_of(shapes(config)) == config


@pytest.mark.parametrize("version", ["latentsync-1.5", "latentsync-1.6"])
def test_the_small_checkpoints_load(models: Path, version: str) -> None:
    unet = load_unet3d(models / version / "latentsync_unet.pt")
    assert unet.config.motion == "all"
    assert not any(tensor.is_meta for tensor in (*unet.parameters(), *unet.buffers()))
    with torch.inference_mode():
        assert bool(unet(*inputs()).isfinite().all())
