"""Lean copies of weights, and what they stand for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath

import torch
from safetensors.torch import load_file, save_file

from musetalk.errors import OutputError, WeightsError
from musetalk.weights import MUSETALK_V15, HubPlace, WeightFile, first_of, preferred, verify
from musetalk.weights.catalog import SD_VAE, SD_VAE_DECODER, WHISPER
from musetalk.weights.export import export, export_streaming
from tests.helpers.errors import raises_kind
from tests.helpers.hub import on_hub


class TestExport:
    TENSORS = {  # noqa: RUF012 - read only
        "encoder.weight": torch.linspace(-1, 1, 12).reshape(3, 4),
        "encoder.bias": torch.tensor([0.1, 0.2, 0.3]),
        "encoder.huge": torch.full((2, 2), 1e6),
        "encoder.count": torch.tensor(7),
        "decoder.weight": torch.ones(3, 3),
    }

    def exported(self, models: Path, dtype: str = "fp16") -> tuple[WeightFile, Path]:
        place = HubPlace("some/net", "net.pth")
        file = WeightFile(PurePosixPath("net/net.pth"), place, "MIT", used=("encoder.",))
        (models / "net").mkdir(exist_ok=True)
        torch.save(self.TENSORS, models / file.path)
        assert export([file], models, dtype) == (PurePosixPath("net/net.lean.safetensors"),)  # type: ignore[arg-type]
        return file, models / "net/net.lean.safetensors"

    def test_copies_hold_what_is_used_in_half_the_space(self, tmp_path: Path) -> None:
        _, copy = self.exported(tmp_path)
        held = load_file(copy)
        assert set(held) == {name for name in self.TENSORS if name.startswith("encoder.")}
        assert held["encoder.weight"].dtype == torch.float16
        assert torch.equal(held["encoder.weight"], self.TENSORS["encoder.weight"].half())
        for name in ("encoder.bias", "encoder.huge", "encoder.count"):  # small, beyond fp16, or no fractions
            assert held[name].dtype == self.TENSORS[name].dtype
            assert torch.equal(held[name], self.TENSORS[name])

    def test_fp32_copies_are_exact(self, tmp_path: Path) -> None:
        _, copy = self.exported(tmp_path, "fp32")
        held = load_file(copy)
        assert all(torch.equal(value, self.TENSORS[name]) for name, value in held.items())

    def test_views_of_one_memory_are_written_apart(self, tmp_path: Path) -> None:
        whole = torch.arange(8.0).reshape(2, 4)
        file = on_hub("some/net/net.pth")
        (tmp_path / "net").mkdir()
        torch.save({"upper": whole[:1], "turned": whole.t()}, tmp_path / file.path)
        export([file], tmp_path, "fp16")
        held = load_file(preferred(tmp_path / file.path))
        assert torch.equal(held["turned"].float(), whole.t())

    def test_copies_are_preferred_while_they_stand_for_the_original(self, tmp_path: Path) -> None:
        file, copy = self.exported(tmp_path)
        original = tmp_path / file.path
        assert preferred(original) == copy
        os.utime(copy, (1, 1))  # copied without dates: still made from this very file
        assert preferred(original) == copy
        later = original.stat().st_mtime_ns + 10**9
        os.utime(original, ns=(later, later))  # another file of the same size
        assert preferred(original) == original
        original.unlink()
        assert preferred(original) == copy
        assert file.state(tmp_path) == "ready"
        assert [verdict.path for verdict in verify([file], tmp_path)] == [PurePosixPath("net/net.lean.safetensors")]

    def test_copies_of_a_file_of_another_ending_follow_that_file(self, tmp_path: Path) -> None:
        file, copy = self.exported(tmp_path)
        original, never_there = tmp_path / file.path, tmp_path / "net/net.safetensors"
        names = (never_there.name, original.name)
        assert preferred(never_there) == first_of(tmp_path / "net", *names) == copy
        later = copy.stat().st_mtime_ns + 10**9
        os.utime(original, ns=(later, later))  # another file by now
        assert preferred(never_there) == never_there
        assert first_of(tmp_path / "net", *names) == original
        original.unlink()
        assert first_of(tmp_path / "net", *names) == copy
        copy.unlink()
        assert first_of(tmp_path / "net", *names) is None

    def test_originals_of_another_size_are_preferred(self, tmp_path: Path) -> None:
        file, copy = self.exported(tmp_path)
        torch.save({"other": torch.ones(1)}, tmp_path / file.path)
        os.utime(tmp_path / file.path, (1, 1))
        assert preferred(tmp_path / file.path) == tmp_path / file.path
        copy.write_bytes(b"\xff" * 20)
        assert preferred(tmp_path / file.path) == tmp_path / file.path

    def test_changed_copies_are_found(self, tmp_path: Path) -> None:
        file, copy = self.exported(tmp_path)
        assert [verdict.state for verdict in verify([file], tmp_path)] == ["recorded", "ready"]
        save_file({"other": torch.ones(1)}, copy)
        assert verify([file], tmp_path)[1].state == "damaged"

    def test_a_copy_stands_only_for_what_it_was_made_from(self, models: Path, tmp_path: Path) -> None:
        shutil.copytree(models / "sd-vae", tmp_path / "sd-vae")
        (copy,) = export(SD_VAE, tmp_path, "fp16")
        named = [tmp_path / "sd-vae" / f"diffusion_pytorch_model.{ending}" for ending in ("safetensors", "bin")]
        assert [preferred(path) for path in named] == [tmp_path / copy, named[1]]
        assert [verdict.path for verdict in verify(SD_VAE[1:], tmp_path)].count(copy) == 1

    def test_a_folder_for_live_speech_appears_whole_or_not_at_all(self, models: Path, tmp_path: Path) -> None:
        folder, incomplete = tmp_path / "lean", tmp_path / "models"
        shutil.copytree(models / "sd-vae", incomplete / "sd-vae")
        with raises_kind(WeightsError, path=incomplete / "whisper/config.json"):
            export_streaming([*SD_VAE, *WHISPER], incomplete, folder, "fp16")
        assert [path.name for path in tmp_path.iterdir()] == ["models"]
        folder.mkdir()
        for place in (folder, tmp_path / ("x" * 300)):
            with raises_kind(OutputError, path=place):
                export_streaming(SD_VAE, models, place, "fp16")

    def test_what_is_lean_already_is_exported_from_there(self, models: Path, tmp_path: Path) -> None:
        shutil.copytree(models / "sd-vae", tmp_path / "models/sd-vae")
        export(SD_VAE, tmp_path / "models", "fp16")
        (tmp_path / "models/sd-vae/diffusion_pytorch_model.safetensors").unlink()
        places = export_streaming([SD_VAE_DECODER], tmp_path / "models", tmp_path / "lean", "fp16")
        assert places == (PurePosixPath("sd-vae/decoder.lean.safetensors"),)
        held = load_file(tmp_path / "lean" / places[0])
        assert {name.split(".")[0] for name in held} == {"decoder", "post_quant_conv"}

    def test_nothing_to_export_is_said_so(self, tmp_path: Path) -> None:
        with raises_kind(WeightsError):
            export(MUSETALK_V15, tmp_path, "fp16")
