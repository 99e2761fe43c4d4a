"""MuseTalk's commands about avatars, from a film to its cache and on to videos, with small checkpoints."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from musetalk.avatars.upstream.reading import read_upstream_cache
from scripts import create_avatar, generate, realtime_inference
from tests.helpers.film import FACE, FILM
from tests.helpers.media import decode

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def tidy(no_child_left: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU, and no process is left."""
    monkeypatch.setattr("scripts.upstream.count_gpus", lambda: 0)


@pytest.fixture(scope="module")
def seeing(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoints without S3FD's, which sees no faces: a package's detector does."""
    folder = tmp_path_factory.mktemp("seeing") / "models"
    shutil.copytree(models, folder, copy_function=os.link, ignore=shutil.ignore_patterns("s3fd*"))
    return folder


def run(main: Callable[[list[str]], object], *flags: object) -> object:
    with pytest.raises(SystemExit) as end:
        main([str(flag) for flag in flags])
    return end.value.code


def test_an_avatar_is_made_once_and_speaks_every_voice(
    film: Path, words: Path, seeing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, folder = tmp_path / "results", tmp_path / "results/v15/avatars/me"
    shared = ("--result_dir", results, "--unet_model_path", seeing / "musetalkV15/unet.pth")
    making = ("--video_path", film, "--avatar_id", "me", *shared)
    assert run(create_avatar.main, *making) == 0
    made = read_upstream_cache(folder)
    assert (made.info.avatar_id, made.info.video_path, made.version, len(made)) == ("me", str(film), "v15", FILM)
    assert [made.frame(number).mask.any() for number in range(FILM)] == [number in FACE for number in range(FILM)]
    assert run(create_avatar.main, *making) == 1
    assert "there already" in capsys.readouterr().err

    before = (folder / "latents.pt").stat().st_mtime_ns
    config = tmp_path / "realtime.yaml"
    entry = (
        f"{{preparation: True, bbox_shift: 0, video_path: '{film}', audio_clips: {{gone: gone.wav, said: '{words}'}}}}"
    )
    absent = entry.replace("True", "False")
    config.write_text(f"nobody: {absent}\nme: {entry}\n", encoding="utf-8")
    assert run(realtime_inference.main, "--inference_config", config, *shared) == 1
    told = capsys.readouterr().out
    assert "nobody: failed: there is no avatar" in told
    assert "me, gone: failed: " in told
    assert "me, said: " in told
    assert "is used as it is" in told
    assert (folder / "latents.pt").stat().st_mtime_ns == before
    assert [path.name for path in (folder / "vid_output").iterdir()] == ["said.mp4"]
    assert len(decode(folder / "vid_output/said.mp4")) == FILM  # all frames, where MuseTalk writes one less


def test_another_shift_makes_the_cache_of_version_1_anew_where_that_is_asked_for(
    film: Path, words: Path, seeing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unet = seeing / "musetalk/pytorch_model.bin"
    shared = ("--version", "v1", "--result_dir", tmp_path, "--unet_model_path", unet)
    assert run(create_avatar.main, "--video_path", film, "--avatar_id", "me", "--bbox_shift", 3, *shared) == 0
    config = tmp_path / "realtime.yaml"
    entry = f"{{preparation: False, bbox_shift: 3, video_path: '{film}', audio_clips: {{said: '{words}'}}}}"
    other = entry.replace("shift: 3", "shift: 0")
    config.write_text(f"me: {other}", encoding="utf-8")
    assert run(realtime_inference.main, "--inference_config", config, *shared) == 1
    assert "was prepared for v1 with a bbox_shift of 3, not for v1 with one of 0" in capsys.readouterr().out
    config.write_text(f"me: {other.replace('False', 'True')}", encoding="utf-8")
    assert run(realtime_inference.main, "--inference_config", config, *shared) == 0
    cache = read_upstream_cache(tmp_path / "avatars/me")
    assert (cache.version, cache.info.bbox_shift) == ("v1", 0)
    assert (tmp_path / "avatars/me/vid_output/said.mp4").is_file()


def test_a_cache_speaks_by_the_forks_flags(
    film: Path, words: Path, seeing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(seeing)
    assert run(create_avatar.main, "--video_path", film, "--avatar_id", "me") == 0
    flags = ("--avatar_id", "me", "--avatar_root", "results/v15/avatars", "--audio_path", words)
    assert run(generate.main, *flags, "--output_path", "said.mp4", "--batch_size", 3) == 0
    assert len(decode(tmp_path / "said.mp4")) == FILM
    assert run(generate.main, *flags, "--output_path", "quick.mp4", "--fps", 50) == 0
    assert len(decode(tmp_path / "quick.mp4")) == 2 * FILM
