"""The flags and the YAML of MuseTalk's commands about avatars, and what they become here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings
from scripts.upstream_avatars import AvatarTask, read_creation, read_speaking

ROOT = Path(__file__).parents[2]
V1 = "--version v1 --unet_model_path models/musetalk/pytorch_model.bin --unet_config models/musetalk/musetalk.json"
ENTRY = "{preparation: True, bbox_shift: 5, video_path: films/sun.mp4, audio_clips: {audio_0: a.wav, audio_1: b.wav}}"


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def config(folder: Path, text: str) -> str:
    path = folder / "realtime.yaml"
    path.write_text(text, encoding="utf-8")
    return f"--inference_config {path}"


def test_an_avatar_is_made_where_musetalk_keeps_it_with_its_defaults() -> None:
    request = read_creation(["--video_path", "films/sun.mp4"], gpus=1)
    settings = RenderSettings.parse(request.values)
    assert request.avatars == (
        AvatarTask("sun", Path("films/sun.mp4"), Path("results/v15/avatars/sun"), 0, True, False, {}),
    )
    assert (settings.backend, settings.fps, settings.extra_margin) == ("musetalk-v15", 25, 10)
    assert (settings.mask.shape, settings.mask.blur_kernel_ratio) == ("jaw", 0.1)
    assert (settings.network.batch_size, settings.network.dtype, settings.models_dir) == (20, "fp16", Path("models"))
    assert request.notices == ()


def test_every_flag_arrives() -> None:
    flags = (
        f"--video_path a.mp4 --avatar_id me --result_dir out {V1} --bbox_shift -7 --fps 30 --batch_size 4 "
        "--gpu_id 1 --force_recreate"
    )
    request = read_creation(flags.split(), gpus=2)
    (task,) = request.avatars
    settings = RenderSettings.parse(request.values)
    assert (task.name, task.folder, task.bbox_shift, task.replace) == ("me", Path("out/avatars/me"), -7, True)
    assert (settings.backend, settings.mask.shape, settings.fps) == ("musetalk-v1", "raw", 30)
    assert (settings.network.batch_size, settings.network.device) == (4, "cuda:1")
    assert request.notices == ()


def test_the_file_of_avatars_is_read_as_musetalk_has_it(tmp_path: Path) -> None:
    request = read_speaking(f"{config(tmp_path, f'sun: {ENTRY}')} {V1} --result_dir out".split(), gpus=1)
    clips = {"audio_0": Path("a.wav"), "audio_1": Path("b.wav")}
    assert request.avatars == (
        AvatarTask("sun", Path("films/sun.mp4"), Path("out/avatars/sun"), 5, True, False, clips),
    )
    (task,) = read_speaking([], gpus=1).avatars  # the file that ships
    assert task.prepare and task.video.exists() and all(path.exists() for path in task.clips.values())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--ffmpeg_path /opt/ffmpeg", "--ffmpeg_path has no effect"),
        ("--skip_save_images", "--skip_save_images has no effect"),
        ("--output_vid_name mine", "--output_vid_name has no effect"),
        ("--saved_coord", "--saved_coord has no effect"),
        ("", "bbox_shift has no effect with --version v15"),
    ],
)
def test_a_flag_without_effect_gets_one_notice(tmp_path: Path, flags: str, said: str) -> None:
    shift = 5 if not flags else 0
    entry = ENTRY.replace("bbox_shift: 5", f"bbox_shift: {shift}")
    request = read_speaking(f"{config(tmp_path, f'one: {entry}')} {flags}".split(), gpus=1)
    (notice,) = request.notices
    assert said in notice
    assert request.avatars[0].bbox_shift == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no avatars"),
        ("[1]", "holds no avatars"),
        ("a: [", "is no YAML"),
        ("one: 5", "is no avatar"),
        ("../one: " + ENTRY, "cannot be called"),
        ("one: " + ENTRY.replace("audio_0", "../x"), "a result cannot be called"),
        ("one: " + ENTRY.replace("True", "perhaps"), "preparation as True or False"),
        ("one: " + ENTRY.replace("video_path", "video"), "has video, which means nothing"),
        ("one: " + ENTRY.replace("shift: 5", "shift: five"), "no whole number"),
        ("one: " + ENTRY.replace("{audio_0: a.wav, audio_1: b.wav}", "a.wav"), "no audio_clips by name"),
    ],
)
def test_a_file_that_says_no_avatars_is_refused_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        read_speaking(config(tmp_path, text).split(), gpus=0)
    assert caught.value.remedy


def test_bad_flags_are_refused() -> None:
    for flags, said in (
        ("--video_path a.mp4 --avatar_id ../a", "cannot be called"),
        ("--video_path a.mp4 --fps 0", "fps"),
        ("--video_path a.mp4 --gpu_id 3", "there is no GPU 3"),
        ("--video_path a.mp4 --unet_model_path mine.pth", "not where"),
    ):
        with pytest.raises(SettingsError, match=said):
            read_creation(flags.split(), gpus=1)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_speaking(["--inference_config", "gone.yaml"], gpus=1)
    with pytest.raises(SystemExit):
        read_creation([], gpus=1)


@pytest.mark.slow
@pytest.mark.parametrize("script", ["create_avatar", "realtime_inference"])
def test_help_is_quick(script: str) -> None:
    code = (
        f"import runpy, sys\nsys.argv = ['{script}', '--help']\n"
        f"try:\n    runpy.run_module('scripts.{script}', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('loaded', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, loaded = done.stdout.split("loaded ")
    assert "--skip_save_images" in said
    assert not set(loaded.split()) & {"torch", "numpy", "cv2", "gradio", "yaml", "musetalk.lipsync"}
