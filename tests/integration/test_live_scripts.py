"""A file spoken as if it arrived live, from the command line of MuseTalk's forks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from musetalk.assets import PORTRAIT
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from scripts import streaming_inference_v2
from tests.helpers.media import decode, decode_sound, tone, write_wav

pytestmark = pytest.mark.integration
SECONDS = 1.2


@pytest.fixture(scope="module")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("avatars")
    LipSync().create_avatar(PORTRAIT, folder / "anna", RenderSettings.parse({"backend": "preview"}))
    return folder


@pytest.fixture
def flags(avatars: Path, tmp_path: Path) -> list[str]:
    voice = write_wav(tmp_path / "voice.wav", tone(SECONDS), 22_050)
    return ["--avatar_id", "anna", "--avatar_root", str(avatars), "--audio_path", str(voice)]


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        streaming_inference_v2.main(arguments)
    return end.value.code


def test_a_file_is_spoken_and_kept(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made" / "out.mp4"
    assert run(*flags, "--output_path", str(out), "--no_audio_playback") == 0
    said = capsys.readouterr().out
    first, _, metrics = said.partition("\n")
    assert first == str(out)
    seconds = SECONDS * 16_000 / 22_050
    frames = decode(out)
    assert len(frames) == json.loads(metrics)["frames"] == round(seconds * 25)
    assert np.abs(frames[-4].astype(int) - frames[0]).max() > 20
    sound = decode_sound(out)
    assert len(sound) / 16_000 == pytest.approx(seconds, abs=0.1)
    assert np.abs(sound).max() > 0.1
    assert [path.name for path in out.parent.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (["--avatar_id", "nobody"], 1),
        (["--fps", "12"], 2),
        (["--output_path", "out.avi"], 2),
        (["--audio_path", "gone.wav"], 1),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    flags: list[str], wrong: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*flags, "--no_audio_playback", *wrong) == code
    assert [path.name for path in tmp_path.iterdir()] == ["voice.wav"]


def test_without_a_player_nothing_is_played_and_that_is_said(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    out = tmp_path / "out.mp4"
    assert run(*flags, "--output_path", str(out)) == 0
    assert "sounddevice" in caplog.text
    assert out.is_file()
