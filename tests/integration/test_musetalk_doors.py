"""MuseTalk through its doors, the command lines, and what they refuse. The app: `test_api_networks.py`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch

import musetalk.cli.main
import scripts.inference
from musetalk.errors import CheckpointError, WeightsError
from musetalk.lipsync import LipSync
from musetalk.utils.arrays import UInt8Array
from musetalk.weights import MUSETALK_V15, adopt
from tests.helpers.comfyui import comfyui
from tests.helpers.errors import raises_kind
from tests.helpers.film import settings, write_film, write_words
from tests.helpers.media import decode

pytestmark = pytest.mark.integration
FACE = range(3, 7)  # frames of the film that show the portrait
FILM = 10


@pytest.fixture(scope="module")
def film(small_portrait: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film"), small_portrait, FILM, FACE)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_words(tmp_path_factory.mktemp("words"), FILM)


@pytest.fixture(autouse=True)
def tidy(no_child_left: None) -> None:
    """What was heard of the words is kept between the tests here."""


def status_of(program: Callable[[], object]) -> object:
    """Run a program in this process to its end."""
    with pytest.raises(SystemExit) as end:
        program()
    return end.value.code


def test_version_1_5_speaks_through_the_command_line(
    film: Path, words: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ("musetalk", "render", film, words, "-o", "out.mp4", "--report", "report.json")
    options = ("--backend", "musetalk-v15", "--models-dir", models, "--decoder", "tiny", "--detector", "haar")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [*map(str, files), *map(str, options), "--quiet"])
    assert status_of(musetalk.cli.main.main) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["backend"], report["device"], report["frames"]) == ("musetalk-v15", "cpu", FILM)
    assert (report["face_frames"], report["passthrough_frames"]) == (len(FACE), FILM - len(FACE))
    assert report["bbox_shift_range"][0] < 0 < report["bbox_shift_range"][1]
    assert {"parse", "speech", "generate", "composite"} <= set(report["stages"])
    assert any("TAESD" in warning for warning in report["warnings"])
    source, made = decode(film).astype(int), decode(tmp_path / "out.mp4").astype(int)
    changed = np.abs(made - source).mean(axis=(1, 2, 3))
    assert (changed[FACE.start : FACE.stop] > 1).all()
    assert (np.delete(changed, FACE) < 1).all()


def test_version_1_speaks_through_upstreams_command_line(
    film: Path,
    words: Path,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tasks.yaml").write_text(f"task: {{video_path: {film}, audio_path: {words}, detector: {{name: haar}}}}")
    unet = models / "musetalk" / "pytorch_model.bin"
    flags = (
        *("--inference_config", "tasks.yaml", "--result_dir", "results", "--version", "v1"),
        *("--unet_model_path", unet, "--unet_config", unet.with_name("musetalk.json"), "--batch_size", "4"),
        *("--whisper_dir", models / "whisper"),
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scripts.upstream.count_gpus", lambda: 0)
    assert status_of(lambda: scripts.inference.main(list(map(str, flags)))) == 0
    heard = capsys.readouterr()
    assert "no GPU" in heard.err
    assert "of use in [-" in heard.out
    assert len(decode(tmp_path / "results" / "v1" / "film_words.mp4")) == FILM


def test_what_is_missing_is_named_before_any_work(film: Path, words: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"unet\.pth.*missing.*python -m musetalk weights download musetalk-v15"):
        LipSync().render(film, words, tmp_path / "out.mp4", settings(tmp_path / "models"))
    assert list(tmp_path.iterdir()) == []


class Payload:
    """Touches a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_bad_weights_are_refused_by_name_and_run_nothing(
    film: Path, words: Path, bare_models: Path, tmp_path: Path
) -> None:
    models, trap, out = tmp_path / "models", tmp_path / "trap", tmp_path / "out" / "out.mp4"
    shutil.copytree(bare_models, models)
    unet = models / "musetalkV15" / "unet.pth"
    good = unet.read_bytes()

    def refused(reason: str) -> None:
        known = {file.path: file for file in MUSETALK_V15}
        adopt(known[PurePosixPath("musetalkV15/unet.pth")], models)
        with raises_kind(CheckpointError, path=unet) as caught:
            LipSync().render(film, words, out, settings(models))
        assert reason in caught.value.problem
        assert not out.exists()

    torch.save({"state_dict": Payload(trap)}, unet)
    refused("code")
    unet.write_bytes(good[: len(good) // 2])
    refused("damaged")
    torch.save({"other.weight": torch.zeros(3)}, unet)
    refused("other.weight")
    assert not trap.exists()


def test_version_1_5_speaks_through_comfyui_in_its_inference_mode(
    film: Path, words: Path, models: Path, tmp_path: Path
) -> None:
    more = f"detector.name=haar\nmodels_dir={models}\nnetwork.decoder=tiny"
    with comfyui(tmp_path / "ComfyUI") as comfy:
        named = {"source_path": str(film), "voice_path": str(words), "backend": "musetalk-v15", "more": more}
        done = comfy.run("MuseTalkLipSync", filename_prefix="", **named)
    report = json.loads(done["result"][2])
    assert (report["backend"], report["face_frames"], report["fallback_frames"]) == ("musetalk-v15", len(FACE), 0)
