"""What the boxes for source and voice hold, show and refuse."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest

from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.webui.html.media_box import SOURCE, VOICE, HeldMedia, box_html
from musetalk.webui.html.plain_words import Reader
from musetalk.webui.media_looks import MediaLooks
from musetalk.webui.site import Site
from musetalk.webui.tabs.media_inputs import VoiceHandlers, VoiceInput, build_voice
from musetalk.webui.tabs.source_input import FileInput, SourceHandlers, build_source
from musetalk.webui.uploads import COPIES, Uploads
from tests.helpers.html_page import Page
from tests.helpers.media import ffmpeg, numbered_frames, tone, write_video, write_wav

ANN, BOB = (cast("gr.Request", SimpleNamespace(session_hash=name)) for name in ("ann", "bob"))


@dataclass(frozen=True)
class Inputs:
    """Both boxes."""

    source: FileInput
    voice: VoiceInput


@dataclass(frozen=True)
class Given:
    """Boxes, what happens in them, and the folder of uploads."""

    inputs: Inputs
    source: SourceHandlers
    voice: VoiceHandlers
    uploads: Path

    def upload(self, path: Path) -> Path:
        """Put a file where Gradio puts uploads."""
        folder = self.uploads / f"{len(list(self.uploads.iterdir()))}"
        folder.mkdir()
        return Path(shutil.copy(path, folder / path.name))

    def take(self, handler: Callable[[gr.Request, gr.EventData], dict[Any, Any]], path: object) -> dict[Any, Any]:
        return handler(ANN, cast("gr.EventData", SimpleNamespace(path=str(path))))


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    async def build() -> Inputs:
        with gr.Blocks(analytics_enabled=False):
            site = cast("Site", _Site(Path("uploads")))
            looks = MediaLooks(site.engine, site.base.source, site.uploads.folder)
            return Inputs(build_source(site, looks), build_voice(site, looks))

    return asyncio.run(build())  # Gradio would else leave an event loop of its own behind


class _Site(SimpleNamespace):
    def __init__(self, uploads: Path) -> None:
        super().__init__(engine=LipSync(), base=RenderSettings(), uploads=Uploads(uploads, 10**9), reader=Reader())


@pytest.fixture
def given(tmp_path: Path, inputs: Inputs) -> Given:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    site = cast("Site", _Site(uploads))
    looks = MediaLooks(site.engine, site.base.source, uploads)
    source, voice = SourceHandlers(site, inputs.source, looks), VoiceHandlers(site, inputs.voice, looks)
    return Given(inputs, source, voice, uploads)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video that browsers do not play, with a voice in it."""
    said = write_wav(tmp_path / "said.wav", tone(0.4))
    picture = write_video(tmp_path / "picture.mp4", numbered_frames(10, 128, 96))
    video = tmp_path / "clip.ts"
    ffmpeg("-i", str(picture), "-i", str(said), "-c:v", "mpeg2video", "-c:a", "mp2", str(video))
    return video


def test_a_video_is_held_as_source_and_as_voice(given: Given, video: Path) -> None:
    inputs, path = given.inputs, given.upload(video)
    assert given.take(given.source.take, path) == {inputs.source.file: str(path), inputs.source.problem: ""}
    assert given.take(given.voice.take, path)[inputs.voice.given.file] == str(path)

    source = Page(given.source.show(ANN, str(path))[inputs.source.box])
    for said in ("clip.ts", "128x96", "25 frames/s", "with sound"):
        assert said in source.text
    shown = next(attributes for tag, attributes in source.elements if tag == "video")
    assert shown["src"] == f"gradio_api/file={path}"

    heard = given.voice.show(ANN, str(path))
    assert "the sound of a video" in Page(heard[inputs.voice.given.box]).text
    played = Path(heard[inputs.voice.player])
    assert played.suffix == ".flac"
    assert played.is_relative_to(given.uploads / COPIES)


def test_what_a_browser_cannot_show_is_shown_by_one_copy(given: Given, video: Path) -> None:
    path, box = given.upload(video), given.inputs.source.box
    shown = [Page(given.source.copy(str(path))[box]) for _ in range(2)]
    assert "Your file is what is rendered" in shown[0].text
    addresses = {attributes["src"] for page in shown for tag, attributes in page.elements if tag == "video"}
    assert len(addresses) == 1
    assert addresses.pop().endswith(".mp4")
    # The page tells by this a copy that comes when another file is there already.
    whole = Page(given.source.show(ANN, str(path))[box])
    assert len({dict(page.elements)["section"]["data-file"] for page in (*shown, whole)}) == 1
    assert ["data-copied" in dict(page.elements)["section"] for page in (*shown, whole)] == [True, True, False]


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "lasts 0 s"), (0.01, "lasts 10 ms")])
def test_a_voice_that_is_too_short_is_refused_beside_its_box(
    given: Given, tmp_path: Path, seconds: float, said: str
) -> None:
    path = given.upload(write_wav(tmp_path / "blip.wav", tone(seconds)))
    refused = given.take(given.voice.take, path)
    assert refused[given.inputs.voice.given.file] is None
    told = Page(refused[given.inputs.voice.given.problem])
    assert said in told.text
    assert [found["role"] for _, found in told.elements if found.get("class") == "mt-problem"] == ["alert"]
    # Only that answer is the upload's: one of Remove, which may come while the next file is looked at, is not.
    boxes = refused, given.voice.clear(), given.voice.show(ANN, None)
    box = given.inputs.voice.given.box
    waited_for = ["data-refused" in dict(Page(each[box]).elements)["section"] for each in boxes]
    assert waited_for == [True, False, False]
    # The value that goes takes nothing away of what is said.
    assert given.inputs.voice.given.problem not in given.voice.show(ANN, None)


@pytest.mark.parametrize("seconds", [1.0, 150.0])  # listened to from beginning to end, however long
def test_a_silent_voice_is_held_and_said_to_be_silent(given: Given, tmp_path: Path, seconds: float) -> None:
    path = given.upload(write_wav(tmp_path / "still.wav", np.zeros(round(8000 * seconds)), rate=8000))
    assert given.take(given.voice.take, path)[given.inputs.voice.given.file] == str(path)
    shown = given.voice.show(ANN, str(path))
    said = Page(shown[given.inputs.voice.given.box]).text
    assert "is silent all through: there is nothing for a mouth to say." in said
    assert shown[given.inputs.voice.player] == str(path)


def test_a_part_that_was_cut_out_becomes_the_voice_and_what_is_played_does_not(given: Given, tmp_path: Path) -> None:
    whole, part = (given.upload(write_wav(tmp_path / name, tone(s))) for name, s in (("v.wav", 0.5), ("p.wav", 0.2)))
    shown = given.voice.show(ANN, str(whole))
    played = shown[given.inputs.voice.player]
    assert played == shown[given.inputs.voice.played]
    for voice in (str(whole), str(part), None):  # another may be held by now, or none any more
        assert given.inputs.voice.given.file not in given.voice.take_sound(ANN, played, voice, "14.32.05", played)
    cut = given.voice.take_sound(ANN, str(part), str(whole), "14.32.05", played)[given.inputs.voice.given.file]
    assert cut == str(part.with_name("v cut.wav"))
    assert Path(cut).read_bytes() == part.read_bytes()
    again = given.voice.take_sound(ANN, str(part), cut, "14.32.06", cut)[given.inputs.voice.given.file]
    assert again == cut  # a cut of a cut
    whole_again = given.voice.take_sound(ANN, played, cut, "14.32.07", cut)[given.inputs.voice.given.file]
    assert whole_again == str(whole)  # the cut was undone


@pytest.mark.parametrize(
    ("clock", "name"), [("14.32.05", "recording 14.32.05.wav"), ("../../x", "recording.wav"), ("", "recording.wav")]
)
def test_a_recording_has_a_name_that_tells_it_apart(given: Given, tmp_path: Path, clock: str, name: str) -> None:
    spoken = given.upload(write_wav(tmp_path / "audio.wav", tone(0.5)))  # as browsers call all of them
    voice = given.voice.take_sound(ANN, str(spoken), None, clock, "")[given.inputs.voice.given.file]
    assert voice == str(spoken.with_name(name))
    shown = given.voice.show(ANN, voice)
    assert name in Page(shown[given.inputs.voice.given.box]).text
    played = shown[given.inputs.voice.player]
    assert given.inputs.voice.given.file not in given.voice.take_sound(ANN, played, voice, "15.00.00", played)


class _Interrupted(MediaLooks):
    """Looks during which something else happens."""

    meanwhile: Callable[[], object]

    def source(self, path: Path) -> HeldMedia:
        found = super().source(path)
        if path.name == "slow.mp4":
            self.meanwhile()
        return found


@pytest.fixture
def interrupted(given: Given) -> tuple[SourceHandlers, _Interrupted]:
    site = cast("Site", _Site(given.uploads))
    looks = _Interrupted(site.engine, site.base, given.uploads)
    return SourceHandlers(site, given.inputs.source, looks), looks


@pytest.fixture
def pictures(given: Given, tmp_path: Path) -> list[Path]:
    names = ("slow.mp4", "quick.mp4")
    return [given.upload(write_video(tmp_path / name, numbered_frames(3, 64, 48))) for name in names]


def test_the_newest_upload_wins_though_it_is_looked_at_first(
    given: Given, interrupted: tuple[SourceHandlers, _Interrupted], pictures: list[Path]
) -> None:
    source, looks = interrupted
    slow, quick = pictures
    answers: list[dict[Any, Any]] = []
    looks.meanwhile = lambda: answers.append(given.take(source.take, quick))
    belated = given.take(source.take, slow)
    assert answers == [{given.inputs.source.file: str(quick), given.inputs.source.problem: ""}]
    assert given.inputs.source.file not in belated


def test_what_was_cancelled_or_given_otherwise_meanwhile_is_not_held(
    given: Given, interrupted: tuple[SourceHandlers, _Interrupted], pictures: list[Path]
) -> None:
    source, looks = interrupted
    slow, quick = pictures
    looks.meanwhile = lambda: given.take(source.take, "")  # cancelled
    assert given.inputs.source.file not in given.take(source.take, slow)
    looks.meanwhile = lambda: source.show(ANN, str(quick))  # by another tab, a job, an example
    assert given.inputs.source.file not in given.take(source.take, slow)


def test_what_others_upload_and_what_came_before_take_nothing_away(
    given: Given, interrupted: tuple[SourceHandlers, _Interrupted], pictures: list[Path]
) -> None:
    source, looks = interrupted
    slow, quick = pictures
    given.take(source.take, quick)

    def meanwhile() -> None:
        source.show(ANN, str(quick))  # what came of the upload before
        source.take(BOB, cast("gr.EventData", SimpleNamespace(path=str(quick))))

    looks.meanwhile = meanwhile
    assert given.take(source.take, slow)[given.inputs.source.file] == str(slow)


def test_only_uploads_can_be_named(given: Given, tmp_path: Path) -> None:
    outside = write_wav(tmp_path / "mine.wav", tone(0.5))
    for path in (outside, given.uploads, given.uploads / "gone.wav", given.uploads / ".." / "mine.wav"):
        refused = given.take(given.voice.take, path)
        assert refused[given.inputs.voice.given.file] is None
        assert "no longer here. Choose it again." in Page(refused[given.inputs.voice.given.problem]).text


def test_removing_empties_box_value_and_problem(given: Given) -> None:
    emptied = given.voice.clear()
    assert emptied[given.inputs.voice.given.file] is None
    assert emptied[given.inputs.voice.given.problem] == ""
    assert "Speak now" in Page(emptied[given.inputs.voice.given.box]).text


def test_names_are_escaped_and_found() -> None:
    held = HeldMedia('<b>"50 % & #1?.mp4', ("<i>",), ("<u>",), Path('/x/<b>"50 % & #1?.mp4'))
    page = Page(box_html(SOURCE, held))
    assert not {"b", "i", "u"} & {tag for tag, _ in page.elements}
    shown = next(attributes for tag, attributes in page.elements if tag == "video")
    assert shown["src"] == "gradio_api/file=/x/%3Cb%3E%2250%20%25%20%26%20%231%3F.mp4"


def test_dialogs_offer_what_is_read() -> None:
    source, voice = (
        next(attributes["accept"] or "" for tag, attributes in Page(box_html(kind, None)).elements if tag == "input")
        for kind in (SOURCE, VOICE)
    )
    assert {"video/*", "image/*", ".ts", ".m2ts", ".heic", ".mkv"} <= set(source.split(","))
    assert {"audio/*", ".ts", ".mp4", ".opus", ".amr"} <= set(voice.split(","))


def test_what_was_left_of_cancelled_uploads_and_old_copies_goes(tmp_path: Path) -> None:
    left, copy, upload = tmp_path / "tmpabc", tmp_path / COPIES / "a" / "shown.mp4", tmp_path / "0" / "clip.mp4"
    for path in (left, copy, upload):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0")
        os.utime(path, (1000.0, 1000.0))
    Uploads(tmp_path, 10**9, now=lambda: 1000.0 + 599).sweep()
    assert left.exists()
    Uploads(tmp_path, 10**9, now=lambda: 1000.0 + 601).sweep()
    assert not left.exists()
    assert copy.exists()
    Uploads(tmp_path, 10**9, now=lambda: 1000.0 + 7 * 3600).sweep()
    assert not copy.exists()
    assert upload.exists()
