"""The command line as users meet it: its words, its exit code, and what it leaves behind.

A process where that is what matters; else the same command in this one, which need not start.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.helpers.command import musetalk
from tests.helpers.media import ffmpeg, numbered_frames, tone, write_video, write_wav
from tests.helpers.programs import HANG_SECONDS, run_program, started_program

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
ENDINGS = ("png", "wav", "mp4", "json", "yaml")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command(*arguments: object) -> list[object]:
    return [sys.executable, "-m", "musetalk", *arguments]


def process(*arguments: object, cwd: Path | None = None) -> tuple[int, str, str]:
    done = run_program(command(*arguments), env=ENVIRONMENT, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


def test_render_prints_where_and_what_and_takes_any_setting_by_its_name(
    sample: Path, speech: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new folder" / "it's; touch X.mp4"
    report = tmp_path / "report.json"
    options = ("--set", "encoder.audio_kbps=64", "--set", "tracker.bridge_frames=3", "--preset", "ultrafast")
    code, said, progress = process("render", sample, speech, "-o", out, "--report", report, *options)
    assert code == 0, progress
    assert str(out) in said
    assert "Preview backend" in said
    assert "rendering: 50/50" in progress
    assert out.stat().st_size > 10_000
    settings = json.loads(report.read_text())["settings"]
    assert (settings["encoder"]["audio_kbps"], settings["tracker"]["bridge_frames"]) == (64, 3)
    assert settings["encoder"]["preset"] == "ultrafast"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new folder", "report.json"]


@pytest.fixture(scope="module")
def word(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short voice."""
    return write_wav(tmp_path_factory.mktemp("word") / "a.wav", tone(0.24))


def hostile(folder: Path) -> dict[str, Path]:
    film = write_video(folder / "film.mp4", numbered_frames(30))
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is not a video")
    (folder / "cut.mp4").write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:10,\nfilm.mp4\n#EXT-X-ENDLIST\n")
    (folder / "concat.mp4").write_text("ffconcat version 1.0\nfile 'film.mp4'\n")
    ffmpeg("-i", str(write_wav(folder / "sound.wav", tone(1))), str(folder / "audio_only.mp4"))
    (folder / "directory.mp4").mkdir()
    names = ["empty", "text", "cut", "playlist", "concat", "audio_only", "directory", "film", "missing"]
    return {name: folder / f"{name}.mp4" for name in names}


def test_a_bad_video_gets_one_line_and_leaves_nothing(speech: Path, tmp_path: Path) -> None:
    for name, path in hostile(tmp_path).items():
        before = sorted(tmp_path.iterdir())
        code, said, complaint = (process if name == "cut" else musetalk)(
            "render", path, speech, "-o", tmp_path / "out.mp4", "-q"
        )
        assert code == 1, name
        assert said == ""
        assert len(complaint.strip().splitlines()) == 1, complaint
        assert complaint.startswith("musetalk: ")
        assert ": " in complaint.removeprefix("musetalk: "), f"{name} has no remedy: {complaint}"
        assert sorted(tmp_path.iterdir()) == before, name


def test_a_bad_voice_gets_one_line_and_leaves_nothing(sample: Path, clip: Path, tmp_path: Path) -> None:
    voices = {
        "blink": write_wav(tmp_path / "blink.wav", tone(0.01)),
        "nothing": write_wav(tmp_path / "nothing.wav", np.zeros(0)),
        "no sound": clip,
        "missing": tmp_path / "missing.wav",
    }
    for name, path in voices.items():
        before = sorted(tmp_path.iterdir())
        code, _, complaint = musetalk("render", sample, path, "-o", tmp_path / "out.mp4", "-q")
        assert code == 1, name
        assert len(complaint.strip().splitlines()) == 1, complaint
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["a b.png", 'it\'s "so".png', "x;touch INJECTED;.png", "-dash.png", "größe-видео.png"])
def test_an_odd_name_is_only_a_name(face: Path, word: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(face.read_bytes())
    (tmp_path / "v.wav").write_bytes(word.read_bytes())
    run = process if name.startswith("-") else musetalk
    code, _, complaint = run("render", "-q", "-o", f"{name}.mp4", "--", name, "v.wav", cwd=tmp_path)
    assert code == 0, complaint
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{name}.mp4", "v.wav"])


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
def test_names_that_are_no_text_are_only_names(
    face: Path, word: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, voice, out, report, tasks = (os.fsdecode(f"caf\xe9.{end}".encode("latin-1")) for end in ENDINGS)
    (tmp_path / source).write_bytes(face.read_bytes())
    (tmp_path / voice).write_bytes(word.read_bytes())
    (tmp_path / tasks).write_text(
        r'one: {video_path: "caf\udce9.png", audio_path: "caf\udce9.wav", result_name: "caf\udce9.mp4"}'
    )
    monkeypatch.setitem(ENVIRONMENT, "PYTHONIOENCODING", "utf-8:strict")
    code, said, complaint = process(
        "render", "--config", tasks, "--result-dir", ".", "--report", report, "-q", cwd=tmp_path
    )
    assert (code, complaint) == (0, "")
    assert r"caf\udce9.mp4" in said
    assert json.loads((tmp_path / report).read_bytes())["rows"][0]["report"]["output"] == out
    assert (tmp_path / out).is_file()


def test_nothing_is_written_over_an_input(sample: Path, speech: Path, tmp_path: Path) -> None:
    picture = tmp_path / "source.png"
    picture.write_bytes(b"not looked at before this is found out")
    for arguments in (
        ("render", picture, speech, "-o", tmp_path / "out.mp4", "--report", picture),
        ("inspect", picture, speech, "-o", picture),
        ("render", sample, picture, "-o", tmp_path / "out.mp4", "--report", picture),
    ):
        code, _, complaint = musetalk(*arguments)
        assert code == 1
        assert "is one of the inputs" in complaint
        assert picture.read_bytes().startswith(b"not")
    assert list(tmp_path.iterdir()) == [picture]


@pytest.mark.parametrize(
    "arguments",
    [
        ["render"],
        ["render", "a.mp4", "b.wav"],
        ["render", "a.mp4", "b.wav", "-o", "c.mp4", "--config", "d.yaml"],
        ["render", "a.mp4", "b.wav", "-o", "c.mp4", "--crf", "99"],
        ["render", "a.mp4", "b.wav", "-o", "c.mp4", "--face", "prettiest"],
        ["render", "a.mp4", "b.wav", "-o", "c.mp4", "--nonsense"],
        ["render", "--config", "missing.yaml"],
        ["dance"],
    ],
)
def test_bad_usage_is_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    code, _, complaint = (process if arguments == ["dance"] else musetalk)(*arguments, cwd=tmp_path)
    assert code == 2
    assert complaint
    assert "Traceback" not in complaint
    assert list(tmp_path.iterdir()) == []


def wait_for_rendering(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Read progress until frames are being rendered; the children that run then."""
    assert process.stderr is not None
    for line in process.stderr:
        if "rendering" in line:
            return psutil.Process(process.pid).children(recursive=True)
    raise AssertionError("it ended before it rendered")


@pytest.fixture(scope="module")
def long_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("long") / "long.wav", tone(120))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cleans_up(portrait: Path, long_voice: Path, tmp_path: Path, number: signal.Signals) -> None:
    with started_program(
        command("render", portrait, long_voice, "-o", tmp_path / "out.mp4"), env=ENVIRONMENT
    ) as process:
        children = wait_for_rendering(process)
        assert children
        process.send_signal(number)
        _, complaint = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130
    assert "cancelled" in complaint
    assert "Traceback" not in complaint
    assert list(tmp_path.iterdir()) == []
    assert not [child for child in children if child.is_running()]


def test_kill_leaves_nothing_under_the_outputs_name(portrait: Path, long_voice: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("an older result")
    with started_program(
        command("render", portrait, long_voice, "-o", tmp_path / "out.mp4"), env=ENVIRONMENT
    ) as process:
        children = wait_for_rendering(process)
        process.kill()
        process.communicate(timeout=HANG_SECONDS)
    assert (tmp_path / "out.mp4").read_text() == "an older result"
    gone, alive = psutil.wait_procs(children, timeout=HANG_SECONDS)  # each ends when its pipe does
    assert not alive
    assert gone
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".musetalk-")] == ["out.mp4"]


def test_a_batch_goes_on_after_a_failure_and_says_so(face: Path, word: Path, tmp_path: Path) -> None:
    config = tmp_path / "tasks.yaml"
    config.write_text(
        f"task_0: {{video_path: {tmp_path / 'missing.mp4'}, audio_path: {word}}}\n"
        f"task_1: {{video_path: {face}, audio_path: {word}, bbox_shift: 3, result_name: good.mp4}}\n"
    )
    results = tmp_path / "results"
    code, said, _ = musetalk(
        "render", "--config", config, "--result-dir", results, "--report", tmp_path / "r.json", "-q"
    )
    assert code == 1
    assert "1 of 2 rows done" in said
    assert "Preview backend" in said
    assert [path.name for path in results.iterdir()] == ["good.mp4"]
    entries = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert [entry["state"] for entry in entries] == ["failed", "done"]
    assert [entry["error_kind"] for entry in entries] == ["media", ""]
    assert entries[1]["report"]["settings"]["bbox_shift"] == 3


def test_a_render_loads_no_neural_framework_and_no_app(face: Path, word: Path, tmp_path: Path) -> None:
    arguments = ["musetalk", "render", str(face), str(word), "-q", "-o", str(tmp_path / "out.mp4")]
    code = (
        f"import sys\nsys.argv = {arguments!r}\n"
        "from musetalk.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('loaded', *sys.modules)"
    )
    done = run_program([sys.executable, "-c", code], env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split("loaded")[-1].split())
    assert "musetalk.backends.preview.generator" in loaded
    assert not loaded & {"torch", "torchvision", "diffusers", "transformers", "gradio", "librosa"}


def test_doctor_says_what_is_there() -> None:
    code, said, _ = musetalk("doctor")
    assert code == 0
    for word in ("python", "ffmpeg", "preview", "ready", "cores", "NVENC"):
        assert word in said


def test_a_report_that_cannot_be_written_is_known_before_the_work(portrait: Path, speech: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for report in (tmp_path / "file" / "report.json", tmp_path):
        code, said, complaint = musetalk("render", portrait, speech, "-o", tmp_path / "out.mp4", "--report", report)
        assert code == 1
        assert said == ""
        assert len(complaint.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nothing", "is not of the form NAME=VALUE"),
        ("mask.blur_kernel_ratio=[", "the value cannot be read"),
        ("mask.blur_kernel_ratio=0.9", "mask.blur_kernel_ratio: Input should be less than"),
        ("lips.size=3", "lips: Extra inputs"),
        ("network={seed: 1}", '"network" is set as a whole and in part'),
        ("bbox_shift.more=1", 'inside "bbox_shift", which was given a value'),
    ],
)
def test_what_cannot_be_set_is_named(tmp_path: Path, text: str, problem: str) -> None:
    inputs = ("a.mp4", "a.wav", "-o", "out.mp4", "--bbox-shift", 2, "--decoder", "tiny")
    code, _, said = musetalk("render", *inputs, "--set", text, cwd=tmp_path)
    assert code == 2
    assert re.search(problem, said), said


def test_a_second_interrupt_waits_for_nothing() -> None:
    stubborn = (
        "import threading\n"
        "from musetalk.cli.options import cancel_on_signal\n"
        "with cancel_on_signal() as token:\n"
        "    print('ready', flush=True)\n"
        "    while not token.cancelled:\n"
        "        threading.Event().wait(0.01)\n"
        "    print('asked', flush=True)\n"
        "    while True:\n"
        "        threading.Event().wait(0.01)\n"
    )
    with started_program([sys.executable, "-c", stubborn], env=ENVIRONMENT) as process:
        assert process.stdout is not None
        for word in ("ready", "asked"):
            assert process.stdout.readline().strip() == word
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=HANG_SECONDS) == 130


def test_what_libraries_find_odd_in_a_picture_is_not_printed(speech: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description that is long enough to lie elsewhere"
    Image.new("RGB", (64, 64)).save(tmp_path / "cut.tif", exif=exif)
    (tmp_path / "cut.tif").write_bytes((tmp_path / "cut.tif").read_bytes()[:38])
    code, _, said = process("render", tmp_path / "cut.tif", speech, "-o", tmp_path / "out.mp4", "--quiet")
    assert code == 1
    assert said.splitlines() == ['musetalk: "cut.tif" cannot be read as a picture: open it and save it again as PNG']
