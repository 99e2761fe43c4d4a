"""Enhancers: which file the settings mean, what is read of it, and how faces go through."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from spandrel.architectures.Compact import Compact
from spandrel.architectures.GFPGAN import GFPGAN
from spandrel.architectures.RestoreFormer import RestoreFormer

from musetalk.enhancers.network_enhancer import (
    NO_MEMORY,
    NetworkEnhancer,
    enhancer_compute,
    gfpgan_enhancement,
    placed,
)
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.enhancers.spandrel import load_spandrel_enhancer
from musetalk.errors import Cancelled, CheckpointError, ComputeError, DeviceError, NotFiniteError, OutOfMemoryError
from musetalk.runtime.device import Compute
from musetalk.utils.arrays import UInt8Array
from musetalk.weights.catalog import GFPGAN as GFPGAN_FILE
from musetalk.weights.export import export
from musetalk.weights.part_spec import Place
from tests.helpers.errors import raises_kind
from tests.helpers.filled import CPU, filled, state_for
from tests.helpers.tiny_checkpoints import DOUBLE_NAME, write_all

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
SMALL: dict[str, Any] = {"out_size": 32, "num_style_feat": 32, "narrow": 1 / 16}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_all(folder, ["gfpgan"])
    return folder


def faces(count: int, side: int, seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def compact(scale: int, channels: int = 3) -> Compact:
    return Compact(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=1, upscale=scale)


def saved(path: Path, held: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(held, path)
    return path


class TestChoice:
    def test_without_an_enhancer_nothing_is_lacking(self, tmp_path: Path) -> None:
        assert EnhancerRegistry().lacks("none", tmp_path) == ()

    def test_the_published_file_is_named_with_its_command(self, tmp_path: Path, models: Path) -> None:
        (sentence,) = EnhancerRegistry().lacks("gfpgan", tmp_path)
        assert "gfpgan/GFPGANv1.4.pth missing (349 MB): python -m musetalk weights download gfpgan" in sentence
        assert EnhancerRegistry().lacks("gfpgan", models) == ()
        assert EnhancerRegistry().files("gfpgan", models) == (models / "gfpgan" / "GFPGANv1.4.pth",)

    def test_a_file_of_another_size_is_not_taken_for_it(self, tmp_path: Path) -> None:
        saved(tmp_path / "gfpgan" / "GFPGANv1.4.pth", {"params_ema": {}})
        (sentence,) = EnhancerRegistry().lacks("gfpgan", tmp_path)
        assert "instead of 348632874" in sentence

    @pytest.mark.parametrize("given", ["folder/mine.pth", "./mine.pth"])
    def test_files_are_taken_as_they_are_given(self, tmp_path: Path, given: str) -> None:
        assert EnhancerRegistry().files(given, tmp_path) == (Path(given),)
        assert EnhancerRegistry().files(str(tmp_path / given), tmp_path) == (tmp_path / given,)

    def test_bare_names_lie_among_the_models(self, tmp_path: Path, models: Path) -> None:
        (sentence,) = EnhancerRegistry().lacks(DOUBLE_NAME, tmp_path)
        assert f"there is no enhancer gfpgan/{DOUBLE_NAME} among the models: put it there" in sentence
        assert EnhancerRegistry().lacks(DOUBLE_NAME, models) == ()

    @pytest.mark.parametrize(
        ("asked", "taken"),
        [
            ("auto", torch.float32),
            ("fp32", torch.float32),
            ("fp16", torch.float32),
            ("int8", torch.float32),
            ("bf16", torch.bfloat16),
        ],
    )
    def test_enhancers_never_run_in_fp16_or_int8(self, asked: str, taken: torch.dtype) -> None:
        assert enhancer_compute("cpu", asked).dtype is taken


class TestLoading:
    def test_gfpgan_loads_in_its_published_shapes_and_from_its_lean_copy(self, models: Path, tmp_path: Path) -> None:
        chosen = EnhancerRegistry().load("gfpgan", Place(models, "cpu"))
        assert (chosen.name, chosen.size, chosen.device) == ("GFPGANv1.4.pth by spandrel (GFPGAN)", 512, "cpu")
        write_all(tmp_path, ["gfpgan"])
        (copy,) = export([GFPGAN_FILE], tmp_path, "fp16")
        (tmp_path / GFPGAN_FILE.path).unlink()
        assert EnhancerRegistry().lacks("gfpgan", tmp_path) == ()
        assert EnhancerRegistry().files("gfpgan", tmp_path) == (tmp_path / copy,)

    @pytest.mark.parametrize(("scale", "size"), [(1, 512), (2, 512), (4, 256)])
    def test_networks_that_enlarge_take_what_they_make_about_a_thousand_of(
        self, tmp_path: Path, scale: int, size: int
    ) -> None:
        nothing = {name: torch.zeros_like(value) for name, value in compact(scale).state_dict().items()}
        chosen = load_spandrel_enhancer(saved(tmp_path / "net.pth", {"params": nothing}), CPU)
        assert (chosen.name, chosen.size) == ("net.pth by spandrel (RealESRGAN Compact)", size)
        seen = faces(1, size)
        # Without weights it repeats pixels: values come through as they are, in the right place and order of colors.
        np.testing.assert_array_equal(chosen.enhance(seen), seen.repeat(scale, axis=1).repeat(scale, axis=2))

    def test_what_it_makes_is_what_spandrel_makes(self, models: Path) -> None:
        chosen = EnhancerRegistry().load(DOUBLE_NAME, Place(models, "cpu"))
        seen = faces(1, chosen.size)
        network = compact(2)
        network.load_state_dict(torch.load(models / "gfpgan" / DOUBLE_NAME, weights_only=True)["params"])
        with torch.inference_mode():
            pixels = network(torch.from_numpy(seen).permute(0, 3, 1, 2).contiguous() / 255)
        expected = pixels.clamp(0, 1).mul(255).permute(0, 2, 3, 1).numpy()
        assert np.abs(chosen.enhance(seen).astype(np.float32) - expected).max() <= 0.51
        assert np.abs(expected - seen.repeat(2, axis=1).repeat(2, axis=2)).mean() > 1

    def test_restoreformer_loads_and_enhances_at_512(self, tmp_path: Path) -> None:
        narrow = RestoreFormer(
            n_embed=16, embed_dim=32, ch=32, ch_mult=(1, 1, 1, 1, 1, 1), num_res_blocks=1, z_channels=32
        )
        path = tmp_path / "former.safetensors"
        save_file(state_for(narrow, 3), path)
        chosen = load_spandrel_enhancer(path, CPU)
        assert (chosen.name, chosen.size) == ("former.safetensors by spandrel (RestoreFormer)", 512)
        enhanced = chosen.enhance(faces(1, 512))
        assert enhanced.shape == (1, 512, 512, 3)
        assert enhanced.std() > 1

    def test_number_types_that_do_not_suit_are_not_taken(self, models: Path) -> None:
        seen, brain = faces(1, 512), Compute(torch.device("cpu"), torch.bfloat16)
        exact, rounded = (
            load_spandrel_enhancer(models / "gfpgan" / DOUBLE_NAME, how).enhance(seen) for how in (CPU, brain)
        )
        difference = np.abs(exact.astype(int) - rounded)
        assert 0 < difference.max() < 8


class TestRefusal:
    @pytest.mark.parametrize(
        ("held", "again", "why"),
        [
            ({"some.weight": torch.zeros(3)}, False, "is no enhancer that spandrel knows"),
            (state_for(GFPGAN(**SMALL), 1), False, "Missing key"),
            (compact(2, channels=1).state_dict(), False, "one picture in colour"),
            ({"body.0.weight": torch.zeros(3), "body.1.weight": torch.zeros(3)}, False, "of another make"),
            (["no tensors"], True, "no tensors by name"),
        ],
        ids=["unknown", "misshapen", "grey", "senseless", "a list"],
    )
    def test_what_is_no_enhancer_is_refused(self, tmp_path: Path, held: object, again: bool, why: str) -> None:
        with raises_kind(CheckpointError, path=tmp_path / "net.pth", get_again=again) as caught:
            load_spandrel_enhancer(saved(tmp_path / "net.pth", held), CPU)
        assert why in caught.value.problem

    def test_code_in_a_file_is_not_run(self, tmp_path: Path) -> None:
        class Bait:
            def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
                return Path.touch, (tmp_path / "bitten",)

        for name, content in {"zip.pth": None, "plain.pth": pickle.dumps(Bait())}.items():
            path = tmp_path / name
            saved(path, {"params": Bait()}) if content is None else path.write_bytes(content)
            with raises_kind(CheckpointError, path=path, get_again=True):
                load_spandrel_enhancer(path, CPU)
        assert not (tmp_path / "bitten").exists()
        touch, where = Bait().__reduce__()
        touch(*where)  # that the bait would bite
        assert (tmp_path / "bitten").exists()

    def test_networks_that_draw_noise_are_refused(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("musetalk.enhancers.spandrel.DRAWS", ("Compact",))  # AuraSR is too large for a test
        with raises_kind(CheckpointError, get_again=False):
            load_spandrel_enhancer(models / "gfpgan" / DOUBLE_NAME, CPU)

    def test_devices_that_are_not_there_are_named(self, models: Path) -> None:
        with raises_kind(DeviceError):
            EnhancerRegistry().load(DOUBLE_NAME, Place(models, "cuda:7"))


@dataclass(frozen=True, slots=True)
class LikeGpu(Compute):
    """The CPU, with the layout that GPUs are given."""

    @property
    def _layout(self) -> torch.memory_format:
        return torch.channels_last


class TestEnhancing:
    def small(self, compute: Compute = CPU, batch: int = 1) -> NetworkEnhancer:
        network = filled(GFPGAN(**SMALL), 5)
        placed(network, compute)
        return NetworkEnhancer(
            gfpgan_enhancement(network, compute), name="small", size=32, compute=compute, batch=batch
        )

    def test_faces_come_out_the_same_each_time_and_in_any_company(self) -> None:
        seen, alone = faces(5, 32), self.small()
        enhanced = alone.enhance(seen)
        assert enhanced.shape == seen.shape
        assert enhanced.std() > 10
        assert len({face.tobytes() for face in enhanced}) == 5
        torch.manual_seed(1)
        np.testing.assert_array_equal(alone.enhance(seen), enhanced)
        np.testing.assert_array_equal(alone.enhance(seen[2:4]), enhanced[2:4])
        together = self.small(batch=4).enhance(seen)
        assert np.abs(together.astype(int) - enhanced).max() <= 1

    def test_the_layout_that_gpus_are_given_does_not_matter(self) -> None:
        seen = faces(2, 32)
        there = LikeGpu(torch.device("cpu"), torch.float32)
        assert there.tensor(torch.zeros(1, 3, 4, 4)).is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_array_equal(self.small(there, 2).enhance(seen), self.small(CPU, 2).enhance(seen))

    def test_brain_floats_differ_little(self) -> None:
        seen = faces(2, 32)
        rounded = self.small(Compute(torch.device("cpu"), torch.bfloat16)).enhance(seen)
        difference = np.abs(rounded.astype(int) - self.small().enhance(seen))
        assert 0 < difference.mean() < 3

    def of(self, network: Callable[[torch.Tensor], torch.Tensor], batch: int = 4) -> NetworkEnhancer:
        return NetworkEnhancer(network, name="made up", size=8, compute=CPU, batch=batch)

    def test_where_memory_runs_out_fewer_faces_are_taken(self) -> None:
        taken: list[int] = []

        def one_fits(pixels: torch.Tensor) -> torch.Tensor:
            taken.append(len(pixels))
            if len(pixels) > 1:
                raise torch.OutOfMemoryError
            return -pixels

        seen = faces(5, 8)
        np.testing.assert_array_equal(self.of(one_fits).enhance(seen), 255 - seen)
        assert taken == [4, 2, 1, 1, 1, 1, 1]

    def test_a_face_that_does_not_fit_is_an_error(self) -> None:
        def none_fits(_pixels: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError

        with raises_kind(OutOfMemoryError, remedy=NO_MEMORY):
            self.of(none_fits).enhance(faces(2, 8))

    def test_a_network_that_does_not_fit_its_pictures_is_an_error(self) -> None:
        def misfit(_pixels: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("The size of tensor a (7) must match the size of tensor b (8)")

        with raises_kind(ComputeError):
            self.of(misfit).enhance(faces(2, 8))

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_what_is_no_number_is_an_error(self, value: float) -> None:
        def spoiled(pixels: torch.Tensor) -> torch.Tensor:
            return pixels.index_fill(0, torch.tensor([1]), value)

        with raises_kind(NotFiniteError):
            self.of(spoiled).enhance(faces(2, 8))

    def test_it_can_be_stopped_between_batches(self) -> None:
        seen, calls = faces(6, 8), []

        def stop_after_two() -> None:
            calls.append(1)
            if len(calls) > 2:
                raise Cancelled

        with pytest.raises(Cancelled):
            self.of(torch.neg, batch=2).enhance(seen, stop_after_two)
        assert len(calls) == 3
