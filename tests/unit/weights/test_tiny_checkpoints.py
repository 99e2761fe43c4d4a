"""Networks from small checkpoints and from lean copies of those."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from musetalk.audio.whisper import load_whisper, whisper_lacks
from musetalk.backends.latent.vae import load_tiny, load_vae
from musetalk.backends.musetalk.generator import load_unet
from musetalk.runtime.checkpoint import load_state_dict
from musetalk.weights import MUSETALK_V15, TAESD, WEIGHT_SETS, lacking, preferred
from musetalk.weights.catalog import WHISPER
from musetalk.weights.export import export
from tests.helpers.tiny_checkpoints import write_all


class TestTinyCheckpoints:
    def test_backends_take_them_and_read_them(self, models: Path) -> None:
        needed = [file for file in MUSETALK_V15 if file.path.parts[0] in {"musetalkV15", "sd-vae"}]
        assert lacking([*needed, *WEIGHT_SETS["taesd"]], models) == ()
        unet, vae = load_unet(models / "musetalkV15"), load_vae(models / "sd-vae")
        assert (unet.config.in_channels, unet.config.cross_attention_dim) == (8, 384)
        with torch.inference_mode():
            latents = vae.encode(torch.zeros(1, 3, 256, 256)).latent_dist.mean
        assert latents.shape == (1, 4, 32, 32)

    def test_they_are_the_same_every_time(self, models: Path, tmp_path: Path) -> None:
        write_all(tmp_path, ("sd-vae",))
        for path in sorted((tmp_path / "sd-vae").iterdir()):
            assert path.read_bytes() == (models / "sd-vae" / path.name).read_bytes()

    def test_their_lean_copies_load(self, models: Path, tmp_path: Path) -> None:
        shutil.copytree(models, tmp_path, dirs_exist_ok=True)
        export(MUSETALK_V15, tmp_path, "fp16")
        for path in (tmp_path / "musetalkV15/unet.pth", tmp_path / "sd-vae/diffusion_pytorch_model.safetensors"):
            lean, whole = load_state_dict(preferred(path)), load_state_dict(path)
            assert lean.keys() == whole.keys()
            assert all(torch.allclose(lean[name].float(), whole[name], rtol=1e-3, atol=1e-6) for name in whole)
            assert preferred(path).stat().st_size < 0.75 * path.stat().st_size

    @pytest.mark.parametrize(
        ("folder", "load"), [("musetalkV15", load_unet), ("sd-vae", load_vae), ("taesd", load_tiny)]
    )
    def test_networks_load_from_lean_copies_alone(
        self, models: Path, tmp_path: Path, folder: str, load: Callable[[Path], torch.nn.Module]
    ) -> None:
        shutil.copytree(models, tmp_path, dirs_exist_ok=True)
        whole = load(tmp_path / folder).state_dict()
        files = [file for file in (*MUSETALK_V15, *TAESD) if file.path.parts[0] == folder]
        export(files, tmp_path, "fp16")
        for path in (tmp_path / folder).iterdir():
            if path.suffix != ".json" and not path.name.endswith(".lean.safetensors"):
                path.unlink()
        assert lacking(files, tmp_path) == ()
        lean = load(tmp_path / folder).state_dict()
        assert {value.dtype for value in lean.values()} == {torch.float32}
        assert all(torch.allclose(lean[name], whole[name], rtol=1e-3, atol=1e-6) for name in whole)
        assert any(not torch.equal(lean[name], whole[name]) for name in whole)  # it was the copy that was read

    def test_whisper_loads_from_its_lean_copy_alone(self, tmp_path: Path) -> None:
        write_all(tmp_path, ("whisper",))
        folder = tmp_path / "whisper"
        mel = np.linspace(-1, 1, 80 * 3000, dtype=np.float32).reshape(80, 3000)
        whole = load_whisper(folder)
        export(WHISPER, tmp_path, "fp16")
        (folder / "pytorch_model.bin").unlink()
        assert whisper_lacks(folder) == lacking(WHISPER, tmp_path) == ()
        lean = load_whisper(folder)
        assert lean.fingerprint != whole.fingerprint  # what was heard with the one is not taken for the other's
        np.testing.assert_allclose(lean.encode(mel), whole.encode(mel), atol=0.02)
