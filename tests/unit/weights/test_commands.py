"""Weights on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from musetalk.backends.registry import BackendRegistry
from musetalk.cli.weights import app
from musetalk.errors import SettingsError, WeightsError
from musetalk.weights import WEIGHT_SETS, WeightFile
from musetalk.weights.lock import LOCK_NAME
from tests.helpers.errors import raises_kind
from tests.helpers.hub import CONFIG, LARGE, UNET, Hub, on_hub
from tests.helpers.tiny_checkpoints import write_all


class TestCommands:
    def run(self, *words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    def known(self, monkeypatch: pytest.MonkeyPatch, *files: WeightFile) -> None:
        monkeypatch.setattr("musetalk.backends.registry.WEIGHT_SETS", {"mine": files, "musetalk-v15": files[:1]})
        monkeypatch.setattr("musetalk.backends.registry.BackendRegistry", lambda: BackendRegistry(()))  # none besides

    def test_list_shows_all_there_is(self, tmp_path: Path) -> None:
        shown = self.run("list", "--models-dir", str(tmp_path))
        for files in WEIGHT_SETS.values():
            assert all(f"{file.path}" in shown and file.source in shown for file in files)
        assert "missing, 3.4 GB, MIT" in shown
        assert "missing, size unknown, MIT" in shown

    def test_download_then_verify(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known(monkeypatch, on_hub(CONFIG), on_hub(UNET))
        assert "1 downloaded, 0 were there" in self.run("download", "--models-dir", str(tmp_path))
        shown = self.run("download", "mine", "--models-dir", str(tmp_path))
        assert "net/unet.pth: downloaded" in shown
        assert "1 downloaded, 1 were there" in shown
        assert "net/unet.pth: ready" in self.run("verify", "mine", "--models-dir", str(tmp_path))
        (tmp_path / "net/unet.pth").write_bytes(LARGE[::-1])
        assert "net/unet.pth: damaged" in self.run("verify", "--models-dir", str(tmp_path), code=1)

    def test_only_named_backends_have_to_be_there(self, tmp_path: Path) -> None:
        assert "has no weights" in self.run("verify", "--models-dir", str(tmp_path))
        assert "missing" in self.run("verify", "musetalk-v15", "--models-dir", str(tmp_path), code=1)

    def test_adopt_and_export(self, tmp_path: Path) -> None:
        write_all(tmp_path, ("taesd",))
        (tmp_path / LOCK_NAME).unlink()
        path = "taesd/diffusion_pytorch_model.safetensors"
        self.run("verify", "taesd", "--models-dir", str(tmp_path), code=1)
        assert "used as it is" in self.run("adopt", path, "--models-dir", str(tmp_path))
        self.run("verify", "taesd", "--models-dir", str(tmp_path))
        shown = self.run("export", "taesd", "--dtype", "fp32", "--models-dir", str(tmp_path))
        assert "taesd/diffusion_pytorch_model.lean.safetensors: " in shown
        assert json.loads((tmp_path / LOCK_NAME).read_text())["files"][path]["own"]

    def test_only_what_speaks_live_is_exported_for_it(self, tmp_path: Path) -> None:
        folder = ("--models-dir", str(tmp_path), "--streaming", str(tmp_path / "lean"))
        with raises_kind(SettingsError):
            self.run("export", "latentsync-1.6", *folder)
        for name in ("preview", "musetalk-v15"):  # one reads no weights, the other's are not there
            with raises_kind(WeightsError):
                self.run("export", name, *folder)

    @pytest.mark.parametrize("words", [("download", "nobody"), ("adopt", "nothing.pth")])
    def test_unknown_names_list_the_known(self, words: tuple[str, ...], tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"nobody|nothing"):
            self.run(*words, "--models-dir", str(tmp_path))
