"""The scripts by other programs' flags that make talks, and that other programs call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from musetalk.presenter.motion import find_motion
from scripts import musetalk_wrapper, presgen
from tests.helpers.command import musetalk
from tests.helpers.media import decode, tone, write_video, write_wav
from tests.helpers.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def tidy(no_child_left: None) -> None:
    """Nothing is left running."""


def test_a_script_becomes_a_talk(face: Path, tmp_path: Path) -> None:
    script = tmp_path / "talk.md"
    script.write_text("# Hi\n\nYes.")
    flags = ["--script", script, "--source-video", face, "--quality", "fast", "--output", tmp_path / "talk.mp4"]
    with pytest.raises(SystemExit) as end:
        presgen.main(list(map(str, flags)))
    assert end.value.code == 0
    assert decode(tmp_path / "talk.mp4")[0].shape == (480, 854, 3)


def test_what_an_image_to_video_tool_made_is_the_presenter(face: Path, tmp_path: Path) -> None:
    made, script = tmp_path / "musev" / "run1", tmp_path / "talk.md"
    made.mkdir(parents=True)
    script.write_text("Yes.")
    for number in range(4):
        (made / f"frame_{number:04}.png").write_bytes(face.read_bytes())
    flags = ("--quality", "draft", "--fps", "12", "--aspect", "1:1", "-o", tmp_path / "talk.mp4", "-q")
    code, _, said = musetalk("present", script, "--motion", tmp_path / "musev", *flags)
    assert code == 0, said
    assert decode(tmp_path / "talk.mp4")[0].shape == (480, 480, 3)
    write_video(tmp_path / "musev" / "clip.mp4", np.zeros((3, 32, 32, 3), np.uint8))
    assert find_motion(tmp_path / "musev").name == "clip.mp4"
    for arguments, expected in ((("--motion", tmp_path / "nothing"), 1), ((), 2), ((face, "--motion", made), 2)):
        code, _, said = musetalk("present", script, *arguments, *flags)
        assert code == expected, said


def wrapped(capsys: pytest.CaptureFixture[str], *flags: object) -> tuple[int, dict[str, object]]:
    code = musetalk_wrapper.main([str(flag) for flag in flags])
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return code, told


def test_the_wrapper_answers_in_json(face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice, out = write_wav(tmp_path / "voice.wav", tone(0.2)), tmp_path / "out.mp4"
    given = ("--audio", voice, "--image", face, "--output", out, "--backend", "preview")
    code, told = wrapped(capsys, *given, "--set", "encoder.preset=ultrafast")
    assert (code, told["success"], told["output"]) == (0, True, str(out))
    assert len(decode(out)) == 5
    code, told = wrapped(capsys, "--audio", tmp_path / "none.wav", "--image", face, "--output", tmp_path / "no.mp4")
    assert (code, told["success"]) == (1, False)
    assert "none.wav" in str(told["error"])
    assert not (tmp_path / "no.mp4").exists()


def test_the_wrapper_gives_up_in_time(face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice = write_wav(tmp_path / "voice.wav", tone(0.2))
    code, told = wrapped(capsys, "--audio", voice, "--image", face, "--output", tmp_path / "a.mp4", "--timeout", 0)
    assert (code, told["success"]) == (124, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["voice.wav"]


@pytest.mark.parametrize("seconds", ["nan", "-1", "soon"])
def test_the_wrapper_answers_in_json_where_it_understands_nothing(
    face: Path, capsys: pytest.CaptureFixture[str], seconds: str
) -> None:
    with pytest.raises(SystemExit) as end:
        wrapped(capsys, "--audio", "a.wav", "--image", face, "--output", "a.mp4", "--timeout", seconds)
    assert end.value.code == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["success"], "--timeout" in told["error"]) == (False, True)


def test_names_that_look_like_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--audio=-a.wav", "--image=-b.png", "--output", tmp_path / "a.mp4", "--timeout", "inf")
    code, told = wrapped(capsys, *given, "--backend", "preview")
    assert (code, told["success"]) == (1, False)
    assert '"-b.png"' in str(told["error"])


def test_a_wrapper_that_is_stopped_stops_its_render(face: Path, tmp_path: Path) -> None:
    voice, folder = write_wav(tmp_path / "voice.wav", tone(60)), tmp_path / "out"
    command = [sys.executable, "-m", "scripts.musetalk_wrapper", "--audio", voice, "--image", face]
    command += ["--output", folder / "a.mp4", "--backend", "preview"]
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: any(folder.glob(".musetalk-*")))  # it renders
        child.terminate()
        told = json.loads(child.communicate(timeout=60)[0])
    finally:
        child.kill()
    assert (child.returncode, told["success"], told["error"]) == (130, False, "it was stopped")
    assert list(folder.iterdir()) == []
