"""Talks, from a script to the file with its captions, through the doors that people use."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetalk.audio.visemes import OPENNESS, PRESS
from musetalk.avatars.manifest import MANIFEST
from musetalk.avatars.store import AvatarStore
from musetalk.backends.preview.generator import PreviewGenerator
from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.types import Clip
from musetalk.errors import Cancelled, OutputError
from musetalk.lipsync import LipSync
from musetalk.presenter.options import TalkOptions
from musetalk.presenter.present import present
from musetalk.presenter.report import TalkReport
from musetalk.presenter.script import Script, parse_script
from musetalk.presenter.talk import speak_script
from musetalk.progress import CancelToken, ProgressEvent
from musetalk.settings import RenderSettings
from musetalk.tts.hibari import HibariVoice
from musetalk.utils.arrays import Float32Array, UInt8Array
from tests.helpers.command import musetalk
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.media import decode, decode_sound, describe, ffmpeg, stream_seconds

pytestmark = pytest.mark.integration
SCRIPT = "# A talk\n\nPapa made it.\n\n- one [pause 0.3] thing\n"
SMALL = {"encoder": {"preset": "ultrafast"}}
DRAFT = TalkOptions(quality="draft", aspect="1:1", layout="split", burn_captions=True, settings=SMALL)


@pytest.fixture(autouse=True)
def tidy(no_child_left: None) -> None:
    """Nothing is left running."""


class Watched(PreviewGenerator):
    """The preview, which notes what it was told of each frame."""

    def __init__(self, told: list[Float32Array]) -> None:
        super().__init__()
        self._told = told

    def generate(self, clip: Clip) -> UInt8Array:
        self._told.append(clip.speech)
        return super().generate(clip)


@pytest.fixture(scope="module")
def told() -> list[Float32Array]:
    return []


@pytest.fixture(scope="module")
def engine(told: list[Float32Array]) -> LipSync:
    return LipSync(BackendRegistry((replace(PREVIEW, load=lambda _: Watched(told)),)), EverywhereAFace())


def written(text: str = SCRIPT) -> Script:
    return parse_script(text, lambda _: None)


@pytest.fixture(scope="module")
def made(engine: LipSync, told: list[Float32Array], face: Path, tmp_path_factory: pytest.TempPathFactory) -> TalkReport:
    told.clear()  # of other talks
    return present(engine, written(), face, tmp_path_factory.mktemp("talk") / "talk.mp4", DRAFT)


def test_a_talk_is_as_long_as_its_voice_and_as_large_as_was_said(made: TalkReport) -> None:
    picture, heard = stream_seconds(made.output, "v:0"), stream_seconds(made.output, "a:0")
    assert abs(float(picture) - made.talk.seconds) <= 0.04
    assert abs(float(heard) - made.talk.seconds) <= 0.04
    assert decode(made.output)[0].shape == (480, 480, 3)


def test_words_are_heard_when_the_report_says_so(made: TalkReport) -> None:
    sound = np.abs(decode_sound(made.output))
    papa, thing = made.talk.passages[1], made.talk.passages[3]

    def loudest(start: float, stop: float) -> float:
        return float(sound[round(start * 16_000) : round(stop * 16_000)].max())

    assert loudest(papa.start, papa.stop) > 0.05
    assert loudest(thing.start - 0.3, thing.start - 0.05) < 0.01


def test_bullets_are_seen_when_they_are_spoken(made: TalkReport) -> None:
    frames = decode(made.output)
    bullet = made.talk.passages[2].start
    panel = frames[:, 120:300, 230:450].astype(int)  # below the title, right of the presenter
    light = (panel.min(axis=3) > 180).sum(axis=(1, 2))
    assert light[round((bullet - 0.15) * 25)] == 0
    assert light[round((bullet + 0.15) * 25)] > 5


def test_lips_meet_for_what_is_said(made: TalkReport, told: list[Float32Array]) -> None:
    (p, *_) = (phoneme for phoneme in made.talk.phonemes[1:] if phoneme.ipa == "p")
    assert made.render is not None
    frames = np.concatenate(told)
    shown = frames[int((p.start + p.stop) / 2 * Fraction(made.render.fps))]
    assert (shown[OPENNESS], shown[PRESS]) == (0, 1)
    assert frames[:, OPENNESS].max() > 0.3


def test_captions_go_with_it(made: TalkReport) -> None:
    srt, vtt = made.captions
    assert [path.name for path in made.captions] == ["talk.srt", "talk.vtt"]
    words = " ".join(line for line in srt.read_text().splitlines() if line and "-->" not in line and not line.isdigit())
    assert words == "A talk Papa made it. one thing"
    assert vtt.read_text().startswith("WEBVTT\n\n00:00:00.")
    track = ffmpeg("-i", str(made.output), "-map", "0:s:0", "-f", "srt", "-").decode()
    assert track.split() == srt.read_text().split()
    assert not any(path.name.startswith(".") for path in made.output.parent.iterdir())


def test_the_report_tells_what_was_said_and_that_lips_move(made: TalkReport) -> None:
    told = json.loads(json.dumps(made.to_dict()))
    assert told["lips_move"] is True
    assert [passage["kind"] for passage in told["passages"]] == ["title", "text", "bullet", "text"]
    assert told["render"]["output"] == str(made.output)
    assert told["render"]["frame_steps"] == [
        {"name": "talk", "layout": "split", "aspect": "1:1", "captions": True},
    ]
    assert "Preview backend" in describe(made.output)


def test_an_avatar_gives_the_talk(engine: LipSync, face: Path, made: TalkReport, tmp_path: Path) -> None:
    settings = RenderSettings.parse({"backend": "preview"})
    avatar = engine.create_avatar(face, AvatarStore(tmp_path / "avatars").place("me"), settings, name="me")
    report = present(engine, written(), avatar, tmp_path / "talk.mkv", DRAFT)
    assert report.render is not None
    assert report.render.avatar == "me"
    first, other = decode(made.output), decode(report.output)
    assert first.shape == other.shape
    assert ffmpeg("-i", str(report.output), "-map", "0:s:0", "-f", "srt", "-")


def test_a_recording_gives_the_talk_its_times(engine: LipSync, face: Path, made: TalkReport, tmp_path: Path) -> None:
    recording = tmp_path / "me.wav"
    speak_script(written(), HibariVoice(), recording)
    options = replace(DRAFT, recording=recording)
    report = present(engine, written(), face, tmp_path / "talk.mp4", options)
    assert report.talk.seconds == pytest.approx(made.talk.seconds, abs=0.01)
    assert report.voice == "me.wav"
    for own, known in zip(report.talk.words, made.talk.words, strict=True):
        assert own.text == known.text
        assert own.start == pytest.approx(known.start, abs=0.6)
    assert any("[pause]" in note for note in report.notes)


def test_where_lips_cannot_move_it_fails_and_nothing_is_there(engine: LipSync, face: Path, tmp_path: Path) -> None:
    code, _, said = musetalk("present", script_in(tmp_path), face, "-o", tmp_path / "a.mp4", "--quality", "high")
    assert code == 1
    assert "latentsync-1.6" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.md"]


def test_a_still_is_made_only_where_it_was_allowed_and_says_what_it_is(face: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ("--quality", "high", "--allow-static", "--report", report, "--preset", "ultrafast", "-q")
    code, said, _ = musetalk("present", script_in(tmp_path, "Hello."), face, "-o", tmp_path / "a.mp4", *options)
    assert code == 3
    assert "still picture: the lips do not move" in said
    assert "the lips do not move" in describe(tmp_path / "a.mp4")
    told = json.loads(report.read_text())
    assert told["lips_move"] is False
    assert "latentsync-1.6" in told["static"]
    assert told["render"] is None
    frames = decode(tmp_path / "a.mp4")
    assert frames[0].shape == (1080, 1920, 3)
    assert abs(len(frames) - told["seconds"] * 25) <= 1


def script_in(folder: Path, text: str = SCRIPT) -> Path:
    path = folder / "script.md"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the script says nothing"),
        ("Hello.\n\nIt is [foo].", r"line 3 of the script has \[foo\]"),
        ("Hello.\n[slide none.png]", "line 2 of the script shows none.png, which is not there"),
        ("Hello.\n[slide script.md]", "line 2 of the script shows .*script.md, which is no picture"),
        ("Hello.\n\nNow 日本語.", 'in line 3 of the script, "日本語" cannot be read aloud'),
    ],
)
def test_bad_scripts_are_told_with_their_line(face: Path, tmp_path: Path, text: str, said: str) -> None:
    code, _, error = musetalk(
        "present", script_in(tmp_path, text), face, "-o", tmp_path / "a.mp4", "--quality", "draft"
    )
    assert code == 1
    assert re.search(said, error)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.md"]


def test_words_that_are_no_choice_are_told(face: Path, tmp_path: Path) -> None:
    for option, value in (("--layout", "round"), ("--quality", "best"), ("--aspect", "4:3")):
        code, _, said = musetalk("present", script_in(tmp_path), face, "-o", tmp_path / "a.mp4", option, value)
        assert code == 2
        assert "choose one of" in said


@pytest.mark.parametrize("setting", ["frame_steps=[]", "speech.phonemes=x.json", "length=loop", "captions=x.srt"])
def test_what_a_talk_decides_itself_is_not_set(face: Path, tmp_path: Path, setting: str) -> None:
    code, _, said = musetalk("present", script_in(tmp_path), face, "-o", tmp_path / "a.mp4", "--set", setting)
    assert code == 2
    assert f'"{setting.partition("=")[0]}" is decided by this command' in said


def test_what_says_nothing_is_told(face: Path, tmp_path: Path) -> None:
    given: tuple[tuple[tuple[object, ...], int, str], ...] = (
        ((face, "--voice-file", "me.wav", "--speed", "2"), 2, "say nothing beside a recording"),
        ((tmp_path / "no.mp4",), 1, f'there is no file "{tmp_path / "no.mp4"}"'),
        (("nobody",), 1, 'there is no avatar "nobody"'),
        (("a" * 300,), 1, "there is no avatar"),
        ((face, "--backend", "prewiev", "--allow-static"), 1, 'there is no backend "prewiev"'),
        ((face, "--set", "limits.max_seconds=1"), 1, " s long, and 1 s are allowed: make it shorter"),
        ((tmp_path / "me",), 1, "avatar"),  # its folder
    )
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / MANIFEST).write_text("{}")
    for options, expected, told in given:
        code, _, said = musetalk("present", script_in(tmp_path), *options, "-o", tmp_path / "a.mp4", "-q")
        assert code == expected, said
        assert told in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["me", "script.md"]


def test_captions_do_not_overwrite_what_is_read(engine: LipSync, face: Path, tmp_path: Path) -> None:
    source = tmp_path / "talk.srt"
    source.write_bytes(face.read_bytes())
    with pytest.raises(OutputError, match="the captions"):
        present(engine, written(), source, tmp_path / "talk.mp4", DRAFT)


def test_stopping_leaves_nothing(engine: LipSync, face: Path, tmp_path: Path) -> None:
    for stage in ("preflight", "render"):
        cancel = CancelToken()

        def stop(event: ProgressEvent, stage: str = stage, cancel: CancelToken = cancel) -> None:
            if event.stage == stage and event.done:
                cancel.cancel()

        with pytest.raises(Cancelled):
            present(engine, written(), face, tmp_path / "talk.mp4", DRAFT, on_progress=stop, cancel=cancel)
        assert list(tmp_path.iterdir()) == []
