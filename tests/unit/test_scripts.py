"""MuseTalk's command line: its flags, what they become here, and a render through it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from musetalk.batch.rows import Row
from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings
from scripts.inference import main
from scripts.upstream import Request, read_request
from tests.helpers.media import tone, write_wav

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
V15 = "--unet_model_path ./models/musetalkV15/unet.pth --unet_config ./models/musetalkV15/musetalk.json --version v15"
V1 = "--unet_model_path ./models/musetalk/pytorch_model.bin --unet_config ./models/musetalk/musetalk.json --version v1"


@pytest.fixture(autouse=True)
def from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def write_tasks(folder: Path, text: str) -> str:
    path = folder / "tasks.yaml"
    path.write_text(text, encoding="utf-8")
    return f"--inference_config {path}"


@pytest.fixture
def one_task(tmp_path: Path) -> str:
    return write_tasks(tmp_path, "task_0: {video_path: a/film.mp4, audio_path: b/voice.wav}\n")


def read(flags: str, gpus: int = 1) -> tuple[RenderSettings, Request]:
    request = read_request(flags.split(), gpus=gpus)
    return RenderSettings.parse(dict(request.rows[0].settings)), request


def test_nothing_said_means_what_musetalk_means_by_it() -> None:
    settings, request = read("")
    assert settings.backend == "musetalk-v15"
    assert settings.models_dir == Path("models")
    assert (settings.bbox_shift, settings.extra_margin, settings.fps) == (0, 10, None)
    assert (settings.mask.shape, settings.mask.left_cheek_width, settings.mask.right_cheek_width) == ("jaw", 90, 90)
    assert (settings.speech.audio_padding_length_left, settings.speech.audio_padding_length_right) == (2, 2)
    assert (settings.network.device, settings.network.dtype, settings.network.batch_size) == ("cuda:0", "fp32", 8)
    assert settings.use_saved_coords is False
    assert settings.face == "largest"
    assert request.notices == ()
    row = request.rows[0]
    assert row.source.exists() and row.voice.exists()
    assert row.output == Path("results/v15/portrait_voice.mp4")


@pytest.mark.parametrize(("flags", "folder", "mask"), [(V15, "v15", "jaw"), (V1, "v1", "raw")])
def test_the_documented_calls_are_taken_without_a_word(one_task: str, flags: str, folder: str, mask: str) -> None:
    settings, request = read(f"{one_task} --result_dir results/test {flags}")
    assert settings.backend == f"musetalk-{folder}"
    assert settings.mask.shape == mask
    assert settings.models_dir == Path("models")
    assert request.rows[0].output == Path(f"results/test/{folder}/film_voice.mp4")
    assert request.notices == ()


def test_every_flag_arrives(one_task: str) -> None:
    settings, request = read(
        f"{one_task} --extra_margin 15 --fps 30 --audio_padding_length_left 3 --audio_padding_length_right 1 "
        "--batch_size 4 --gpu_id 1 --use_float16 --parsing_mode neck --left_cheek_width 50 --right_cheek_width 60 "
        "--unet_model_path /data/m/musetalkV15/unet.pth --whisper_dir /data/m/whisper",
        gpus=2,
    )
    assert (settings.extra_margin, settings.fps) == (15, 30)
    assert (settings.speech.audio_padding_length_left, settings.speech.audio_padding_length_right) == (3, 1)
    assert (settings.network.device, settings.network.dtype, settings.network.batch_size) == ("cuda:1", "fp16", 4)
    assert (settings.mask.shape, settings.mask.left_cheek_width, settings.mask.right_cheek_width) == ("neck", 50, 60)
    assert settings.models_dir == Path("/data/m")
    assert request.notices == ()


@pytest.mark.parametrize("flag", ["--use_saved_coord", "--saved_coord"])
def test_either_flag_of_coords_keeps_and_uses_them(one_task: str, flag: str) -> None:
    assert read(f"{one_task} {flag}")[0].use_saved_coords is True


def two_tasks(folder: Path) -> str:
    return write_tasks(
        folder,
        "task_0: {video_path: a/film.mp4, audio_path: b/voice.wav, bbox_shift: -7, mask: {blur_kernel_ratio: 0.1}}\n"
        "task_1: {video_path: a/film.mp4, audio_path: b/voice.wav, result_name: other.mp4}\n",
    )


def parsed(rows: tuple[Row, ...]) -> list[RenderSettings]:
    return [RenderSettings.parse(dict(row.settings)) for row in rows]


def test_version_1_takes_bbox_shift_from_the_task_or_else_the_flag(tmp_path: Path) -> None:
    _, request = read(f"{two_tasks(tmp_path)} --version v1 --bbox_shift 5 {V1}")
    assert [settings.bbox_shift for settings in parsed(request.rows)] == [-7, 5]
    mask = parsed(request.rows)[0].mask
    assert (mask.shape, mask.blur_kernel_ratio) == ("raw", 0.1)  # of the version; of the task
    assert request.notices == ()


@pytest.mark.parametrize("flag", ["", "--bbox_shift 5"])
def test_version_15_has_no_bbox_shift_and_says_so(tmp_path: Path, flag: str) -> None:
    _, request = read(f"{two_tasks(tmp_path)} {flag}")
    assert [settings.bbox_shift for settings in parsed(request.rows)] == [0, 0]
    (notice,) = request.notices
    assert "bbox_shift has no effect with --version v15" in notice


def test_a_name_for_the_result_is_used_where_the_task_gives_none(tmp_path: Path) -> None:
    _, request = read(f"{two_tasks(tmp_path)} --output_vid_name mine.mp4")
    assert [row.output for row in request.rows] == [Path("results/v15/mine.mp4"), Path("results/v15/other.mp4")]


@pytest.mark.parametrize(
    ("flags", "gpus", "said"),
    [
        ("--ffmpeg_path /opt/ffmpeg", 1, "--ffmpeg_path has no effect"),
        ("--unet_config ./models/other.json", 1, "models/musetalkV15/musetalk.json is read"),
        ("", 0, "no GPU was found"),
        (f"{V1} --parsing_mode neck", 1, "--parsing_mode has no effect with --version v1"),
        (f"{V1} --extra_margin 20", 1, "--extra_margin has no effect with --version v1"),
        ("--version v1", 1, "--version v1 reads models/musetalk/pytorch_model.bin"),
    ],
)
def test_a_flag_without_effect_gets_one_notice(one_task: str, flags: str, gpus: int, said: str) -> None:
    (notice,) = read(f"{one_task} {flags}", gpus)[1].notices
    assert said in notice.replace("\\", "/")
    assert "\n" not in notice


def test_without_a_gpu_the_cpu_computes_in_full_precision(one_task: str) -> None:
    settings, request = read(f"{one_task} --use_float16 --gpu_id 3", gpus=0)
    assert (settings.network.device, settings.network.dtype) == ("cpu", "fp32")
    assert len(request.notices) == 2
    assert "--use_float16 has no effect" in request.notices[1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--unet_model_path ./checkpoints/mine.pth", r"link the file at models/musetalkV15/unet\.pth"),
        ("--unet_model_path unet.pth", r"link the file at models/musetalkV15/unet\.pth"),
        ("--unet_model_path ./models/musetalk/pytorch_model.bin", "give --version v1$"),
        ("--version v1 --unet_model_path /data/musetalkV15/unet.pth", "give --version v15$"),
        ("--vae_type sd-vae-ft-mse", "leave it out"),
        ("--whisper_dir /data/whisper", "leave out the flag"),
        ("--gpu_id 1", "--gpu_id 0 to 0"),
        ("--gpu_id -1", "there is no GPU -1"),
        ("--batch_size 0", "network.batch_size"),
        ("--fps 0", "fps: .* between 1 and 240"),
        ("--output_vid_name ../mine.mp4", "leads out of .* give a plain file name"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_remedy(one_task: str, flags: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        read(f"{one_task} {flags}")
    assert caught.value.remedy


def test_one_name_for_two_results_is_refused(tmp_path: Path) -> None:
    config = write_tasks(
        tmp_path,
        "task_0: {video_path: a.mp4, audio_path: v.wav}\ntask_1: {video_path: b.mp4, audio_path: v.wav}\n",
    )
    with pytest.raises(SettingsError, match=r"line 2: mine\.mp4 is what task_0 makes already"):
        read(f"{config} --output_vid_name mine.mp4")


def test_help_is_quick() -> None:
    code = (
        "import runpy, sys\nsys.argv = ['inference', '--help']\n"
        "try:\n    runpy.run_module('scripts.inference', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('loaded', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, loaded = done.stdout.split("loaded ")
    assert "--inference_config" in said
    assert "--use_float16" in said
    assert not set(loaded.split()) & {"torch", "numpy", "cv2", "gradio", "yaml", "musetalk.lipsync"}


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.upstream.count_gpus", lambda: 0)


def run(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


@pytest.mark.usefixtures("no_gpu")
def test_a_failed_task_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wav(tmp_path / "voice.wav", tone(0.4))
    preview = "backend: preview, mask: {shape: ellipse}"
    config = write_tasks(
        tmp_path,
        f"task_0: {{video_path: {tmp_path}/gone.mp4, audio_path: {tmp_path}/voice.wav, {preview}}}\n"
        f"task_1: {{video_path: musetalk/assets/portrait.png, audio_path: {tmp_path}/voice.wav, {preview}}}\n",
    )
    results = tmp_path / "results"
    assert run([*config.split(), "--result_dir", str(results), "--fps", "20"]) == 1
    heard = capsys.readouterr()
    assert [path.relative_to(results).as_posix() for path in results.rglob("*.*")] == ["v15/portrait_voice.mp4"]
    assert "task_0: failed: " in heard.out
    assert "8 frames at 20 fps" in heard.out
    assert "Preview backend" in heard.out
    assert "1 of 2 rows done" in heard.out
    assert "musetalk: note: no GPU was found" in heard.err


@pytest.mark.usefixtures("no_gpu")
def test_all_done_is_exit_code_0_and_bad_flags_are_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "voice.wav", tone(0.2))
    config = write_tasks(
        tmp_path,
        f"task_0: {{video_path: musetalk/assets/portrait.png, audio_path: {tmp_path}/voice.wav, backend: preview, "
        "mask: {shape: box}}\n",
    )
    assert run([*config.split(), "--result_dir", str(tmp_path), "--output_vid_name", "mine.mp4"]) == 0
    assert (tmp_path / "v15" / "mine.mp4").stat().st_size > 1000
    capsys.readouterr()
    assert run([*config.split(), "--vae_type", "other"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("musetalk: there is no --vae_type")
    assert run(["--version", "v2"]) == 2
    assert run(["--inference_config", str(tmp_path / "gone.yaml")]) == 2
