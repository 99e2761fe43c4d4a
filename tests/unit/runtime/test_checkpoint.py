"""Checkpoints: read in every form they come in, never run, and refused by name when they do not fit."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor, nn

from musetalk.errors import CheckpointError, WeightsError
from musetalk.runtime.checkpoint import fill, load_state_dict
from tests.helpers.errors import raises_kind

AGAIN = "python -m musetalk weights download"


def tensors() -> dict[str, Tensor]:
    return {"0.weight": torch.arange(6.0).reshape(2, 3), "0.bias": torch.tensor([0.5, -1.0])}


def zipped(held: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(held, buffer)
    return buffer.getvalue()


def legacy(held: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(held, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def small_module() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2))


def same(state: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return state.keys() == expected.keys() and all(torch.equal(state[name], expected[name]) for name in expected)


class Bait:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


def assert_live(bait: Bait, content: bytes) -> None:
    """That whoever unpickles a file calls what the bait says; does that call."""
    pickled = pickle.dumps(bait)
    assert "REDUCE" in {operation.name for operation, _, _ in pickletools.genops(pickled)}
    call, arguments = bait.__reduce__()
    for held in (pickled, content):
        assert call.__name__.encode() in held
        assert bait.path.name.encode() in held
    call(*arguments)


@pytest.mark.parametrize("write", [zipped, legacy])
def test_what_torch_saved_is_read(tmp_path: Path, write: Callable[[object], bytes]) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(write(tensors()))
    assert same(load_state_dict(path), tensors())


def test_safetensors_are_read(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(tensors(), path)
    assert same(load_state_dict(path), tensors())


def test_wrappings_are_taken_off(tmp_path: Path) -> None:
    wrapped = {"global_step": 7, "state_dict": {f"module.{name}": value for name, value in tensors().items()}}
    path = tmp_path / "net.pt"
    path.write_bytes(zipped(wrapped))
    assert same(load_state_dict(path), tensors())


def test_a_module_that_is_only_part_of_the_network_keeps_its_name(tmp_path: Path) -> None:
    state = {"module.weight": torch.ones(2), "head.weight": torch.ones(3)}
    path = tmp_path / "net.pth"
    path.write_bytes(zipped(state))
    assert same(load_state_dict(path), state)


@pytest.mark.parametrize("write", [zipped, legacy, pickle.dumps])
def test_code_in_a_file_is_never_run(tmp_path: Path, write: Callable[[object], bytes]) -> None:
    ran, path = tmp_path / "code was run", tmp_path / "net.pth"
    content = write({**tensors(), "extra": Bait(ran)})
    path.write_bytes(content)
    with raises_kind(CheckpointError, path=path, get_again=True):
        load_state_dict(path)
    assert not ran.exists()
    assert_live(Bait(ran), content)
    assert ran.exists()


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><title>404</title>", b"PK\x03\x04", bytes(200)])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with raises_kind(CheckpointError, path=path, get_again=True):
        load_state_dict(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("name", "write"), [("a.pth", zipped), ("a.pth", legacy), ("a.safetensors", save)])
def test_files_cut_short_are_named(tmp_path: Path, name: str, write: Callable[..., bytes], share: float) -> None:
    path, whole = tmp_path / name, write(tensors())
    path.write_bytes(whole[: int(len(whole) * share)])
    with raises_kind(CheckpointError, path=path, get_again=True):
        load_state_dict(path)


@given(
    place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), write=st.sampled_from([zipped, legacy, save])
)
def test_damage_is_an_error_with_a_remedy_or_goes_unseen(
    tmp_path_factory: pytest.TempPathFactory, place: float, value: int, write: Callable[..., bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / ("damaged.safetensors" if write is save else "damaged.pth")
    content = bytearray(write(tensors()))
    content[int(place * len(content))] = value
    path.write_bytes(content)
    try:
        assert all(isinstance(value, Tensor) for value in load_state_dict(path).values())
    except CheckpointError as error:
        assert error.get_again


@pytest.mark.parametrize("held", [torch.ones(2), [torch.ones(2)], {}, {"state_dict": {}}, {"a": torch.ones(1), "b": 3}])
def test_files_that_hold_other_things_are_named(tmp_path: Path, held: object) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(zipped(held))
    with raises_kind(CheckpointError, path=path):
        load_state_dict(path)


def test_a_pickled_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "whole.pth"
    path.write_bytes(zipped(small_module()))
    with raises_kind(CheckpointError, path=path):
        load_state_dict(path)


def test_a_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    with raises_kind(WeightsError, path=tmp_path / "none.pth") as caught:
        load_state_dict(tmp_path / "none.pth")
    assert AGAIN in caught.value.remedy


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_module_is_filled_in_its_own_dtypes(device: str) -> None:
    with torch.device(device):
        module = small_module()
    fill(module, {name: value.half() for name, value in tensors().items()}, Path("net.pth"))
    assert same(module.state_dict(), tensors())
    assert all(value.dtype == torch.float32 for value in module.state_dict().values())


def test_a_filled_module_shares_nothing_with_the_state() -> None:
    with torch.device("meta"):
        module = small_module()
    state = tensors()
    fill(module, state, Path("net.pth"))
    state["0.bias"].zero_()
    assert same(module.state_dict(), tensors())


def test_what_does_not_fit_is_listed_and_changes_nothing() -> None:
    module = nn.Sequential(nn.Linear(3, 2), *(nn.Linear(1, 1) for _ in range(5)))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = {"0.weight": torch.ones(2, 4), "0.bias": torch.ones(2), "head.scale": torch.ones(1)}
    with raises_kind(CheckpointError, path=Path("net.pth")) as caught:
        fill(module, state, Path("net.pth"))
    text = caught.value.problem
    assert "net.pth does not fit Sequential" in text
    assert "missing 1.weight, 1.bias, 2.weight, 2.bias, and 6 more" in text
    assert "unexpected head.scale" in text
    assert "misshapen 0.weight 2x4 instead of 2x3" in text
    assert AGAIN in caught.value.remedy
    assert same(module.state_dict(), before)


def test_optional_tensors_may_be_missing_but_not_misshapen() -> None:
    module = small_module()
    bias = module.state_dict()["0.bias"].clone()
    fill(module, {"0.weight": tensors()["0.weight"]}, Path("net.pth"), optional={"0.bias"})
    assert same(module.state_dict(), {"0.weight": tensors()["0.weight"], "0.bias": bias})
    with raises_kind(CheckpointError, tensors=("0.bias",)):
        fill(module, {**tensors(), "0.bias": torch.ones(3)}, Path("net.pth"), optional={"0.bias"})
