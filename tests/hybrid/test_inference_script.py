"""MuseTalk's command line with LatentSync behind it: `python -m scripts.inference --backend`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from musetalk.errors import BackendError
from musetalk.settings import RenderSettings
from scripts.inference import main
from scripts.upstream import read_request
from tests.helpers.film import FACE, FILM
from tests.helpers.media import decode

pytestmark = pytest.mark.integration
QUICK = "latentsync: {steps: 1, guidance: 1.0}"


def write_tasks(folder: Path, *lines: str) -> Path:
    path = folder / "tasks.yaml"
    path.write_text("\n".join(f"task_{number}: {{{line}}}" for number, line in enumerate(lines)), encoding="utf-8")
    return path


def status_of(*arguments: object) -> object:
    """The exit status of the script, run in this process."""
    with pytest.raises(SystemExit) as end:
        main(list(map(str, arguments)))
    return end.value.code


def of_upstream(models: Path) -> list[object]:
    """Flags as MuseTalk's own README gives them."""
    unet = models / "musetalkV15" / "unet.pth"
    return [
        *("--result_dir", "results", "--version", "v15", "--unet_model_path", unet),
        *("--unet_config", unet.with_name("musetalk.json"), "--whisper_dir", models / "whisper", "--batch_size", 4),
    ]


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, on a machine without GPUs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scripts.upstream.count_gpus", lambda: 0)


def test_a_flag_or_a_task_chooses_latentsync(
    film: Path, words: Path, bare_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = f"video_path: {film}, audio_path: {words}, detector: {{name: haar}}"
    config = write_tasks(tmp_path, f"{inputs}, {QUICK}", f"{inputs}, backend: musetalk-v15, result_name: other.mp4")
    flags = ("--inference_config", config, "--backend", "latentsync-1.5", *of_upstream(bare_models))
    assert status_of(*flags) == 0
    out = capsys.readouterr().out
    assert "backend latentsync-1.5 on cpu" in out
    assert "backend musetalk-v15 on cpu" in out
    assert out.count("0 by a fallback") == 2
    assert re.search(r"^rendered now +2\b", out, re.MULTILINE)
    results = tmp_path / "results" / "latentsync-1.5"
    source, made, other = (
        decode(path).astype(int) for path in (film, results / "film_words.mp4", results / "other.mp4")
    )
    assert len(made) == FILM
    changed = np.abs(made - source).mean(axis=(1, 2, 3))
    assert (changed[FACE.start : FACE.stop] > 0.5).all()
    assert (np.delete(changed, FACE) < 0.5).all()
    assert not np.array_equal(made, other)


def test_what_falls_back_is_said_there_too(
    film: Path,
    words: Path,
    bare_models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for part in bare_models.iterdir():
        if not part.name.startswith("latentsync"):
            (folder / part.name).symlink_to(part)
    inputs = f"video_path: {film}, audio_path: {words}, detector: {{name: haar}}"
    config = write_tasks(tmp_path, inputs, f"{inputs}, latentsync: {{fallback: error}}, result_name: none.mp4")
    flags = ("--inference_config", config, "--backend", "latentsync-1.5", *of_upstream(folder))
    assert status_of(*flags) == 1
    out = capsys.readouterr().out
    [said] = [line for line in out.splitlines() if "this result is" in line]
    assert "this result is musetalk-v15's: latentsync-1.5 painted nothing of it (" in said
    assert f"{len(FACE)} by a fallback" in out
    [failed] = [line for line in out.splitlines() if line.startswith("task_1: failed: ")]
    assert "latentsync_unet.pt" in failed
    assert re.search(r"^rendered now +1\b", out, re.MULTILINE)
    assert re.search(r"^failed +1\b", out, re.MULTILINE)
    assert [path.name for path in (tmp_path / "results").rglob("*.mp4")] == ["film_words.mp4"]


def test_the_flag_brings_the_backends_own_mask_and_folder(tmp_path: Path) -> None:
    config = write_tasks(tmp_path, "video_path: a.mp4, audio_path: b.wav")
    flags = ["--inference_config", str(config), "--backend", "latentsync-1.6", "--parsing_mode", "raw"]
    request = read_request(flags, gpus=1)
    settings = RenderSettings.parse(dict(request.rows[0].settings))
    assert (settings.backend, settings.mask.shape) == ("latentsync-1.6", "auto")
    assert request.rows[0].output == Path("results", "latentsync-1.6", "a_b.mp4")
    assert request.notices == ("--parsing_mode has no effect with --backend: the mask is the backend's own",)
    with pytest.raises(BackendError, match=r'no backend "latentsync".*latentsync-1\.5'):
        read_request(["--inference_config", str(config), "--backend", "latentsync"], gpus=1)
