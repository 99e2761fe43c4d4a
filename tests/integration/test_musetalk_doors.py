"""MuseTalk through its doors: the command lines, the app, and what they refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file

from musetalk.errors import BackendError
from musetalk.pipeline import LipSync
from musetalk.weights import MUSETALK_V15, adopt
from tests.film import FACE, FILM, settings
from tests.media import decode
from tests.programs import run_program
from tests.served import ROOT, served

pytestmark = pytest.mark.integration


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_program(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def test_version_1_5_speaks_through_the_command_line(film: Path, words: Path, models: Path, tmp_path: Path) -> None:
    options = ("--backend", "musetalk-v15", "--models-dir", models, "--decoder", "tiny", "--detector", "haar")
    done = run(
        "musetalk", "render", film, words, "-o", "out.mp4", "--report", "report.json", *options, "--quiet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
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


def test_version_1_speaks_through_upstreams_command_line(film: Path, words: Path, models: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_text(f"task: {{video_path: {film}, audio_path: {words}, detector: {{name: haar}}}}")
    unet = models / "musetalk" / "pytorch_model.bin"
    done = run(
        *("scripts.inference", "--inference_config", "tasks.yaml", "--result_dir", "results", "--version", "v1"),
        *("--unet_model_path", unet, "--unet_config", unet.with_name("musetalk.json"), "--batch_size", "4"),
        *("--whisper_dir", models / "whisper"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "no GPU" in done.stderr
    assert "of use in [-" in done.stdout
    assert len(decode(tmp_path / "results" / "v1" / "film_words.mp4")) == FILM


def test_both_versions_speak_through_the_app(film: Path, words: Path, models: Path, tmp_path: Path) -> None:
    with served(tmp_path / "jobs", "--models-dir", str(models)) as server:
        client = Client(server.address, verbose=False)
        try:
            for backend, extra in (("musetalk-v15", {"decoder": "tiny"}), ("musetalk-v1", {"batch_size": 2})):
                result, report = client.predict(
                    video=handle_file(film),
                    voice=handle_file(words),
                    settings={"backend": backend, "detector": {"name": "haar"}, "network": extra},
                    api_name="/render",
                )
                assert len(decode(Path(result["video"] if isinstance(result, dict) else result))) == FILM
                assert (report["backend"], report["face_frames"]) == (backend, len(FACE))
                assert report["settings"]["network"]["device"] == "auto"
        finally:
            client.close()


def test_what_is_missing_is_named_before_any_work(film: Path, words: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"unet\.pth.*missing.*python -m musetalk weights download musetalk-v15"):
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
        with pytest.raises(BackendError, match=rf"unet\.pth.*{reason}"):
            LipSync().render(film, words, out, settings(models))
        assert not out.exists()

    torch.save({"state_dict": Payload(trap)}, unet)
    refused("code")
    unet.write_bytes(good[: len(good) // 2])
    refused("damaged")
    torch.save({"other.weight": torch.zeros(3)}, unet)
    refused("other.weight")
    assert not trap.exists()
