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
from musetalk.webui.tabs.media_inputs import MediaHandlers, MediaInputs, build_media
from musetalk.webui.uploads import COPIES, Uploads
from tests.helpers.html_page import Page
from tests.helpers.media import ffmpeg, numbered_frames, tone, write_video, write_wav

ANN, BOB = (cast("gr.Request", SimpleNamespace(session_hash=name)) for name in ("ann", "bob"))


@dataclass(frozen=True)
class Given:
    """Boxes, what happens in them, and the folder of uploads."""

    inputs: MediaInputs
    handlers: MediaHandlers
    uploads: Path

    def upload(self, path: Path) -> Path:
        """Put a file where Gradio puts uploads."""
        folder = self.uploads / f"{len(list(self.uploads.iterdir()))}"
        folder.mkdir()
        return Path(shutil.copy(path, folder / path.name))

    def take(self, handler: Callable[[gr.Request, gr.EventData], dict[Any, Any]], path: object) -> dict[Any, Any]:
        return handler(ANN, cast("gr.EventData", SimpleNamespace(path=str(path))))


@pytest.fixture(scope="module")
def inputs() -> MediaInputs:
    async def build() -> MediaInputs:
        with gr.Blocks(analytics_enabled=False):
            site = cast("Site", _Site(Path("uploads")))
            return build_media(site, MediaLooks(site.engine, site.base.source, site.uploads.folder))

    return asyncio.run(build())  # Gradio would else leave an event loop of its own behind


class _Site(SimpleNamespace):
    def __init__(self, uploads: Path) -> None:
        super().__init__(engine=LipSync(), base=RenderSettings(), uploads=Uploads(uploads, 10**9), reader=Reader())


@pytest.fixture
def given(tmp_path: Path, inputs: MediaInputs) -> Given:
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    site = cast("Site", _Site(uploads))
    return Given(inputs, MediaHandlers(site, inputs, MediaLooks(site.engine, site.base.source, uploads)), uploads)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video that browsers do not play, with a voice in it."""
    said = write_wav(tmp_path / "said.wav", tone(0.4))
    picture = write_video(tmp_path / "picture.mp4", numbered_frames(10, 128, 96))
    video = tmp_path / "clip.ts"
    ffmpeg("-i", str(picture), "-i", str(said), "-c:v", "mpeg2video", "-c:a", "mp2", str(video))
    return video


def test_a_video_is_held_as_source_and_as_voice(given: Given, video: Path) -> None:
    inputs, handlers = given.inputs, given.handlers
    path = given.upload(video)
    assert given.take(handlers.take_source, path) == {inputs.source: str(path), inputs.source_problem: ""}
    assert given.take(handlers.take_voice, path)[inputs.voice] == str(path)

    source = Page(handlers.show_source(ANN, str(path))[inputs.source_box])
    for said in ("clip.ts", "128x96", "25 frames/s", "with sound"):
        assert said in source.text
    shown = next(attributes for tag, attributes in source.elements if tag == "video")
    assert shown["src"] == f"gradio_api/file={path}"

    heard = handlers.show_voice(ANN, str(path))
    assert "the sound of a video" in Page(heard[inputs.voice_box]).text
    played = Path(heard[inputs.player])
    assert played.suffix == ".flac"
    assert played.is_relative_to(given.uploads / COPIES)


def test_what_a_browser_cannot_show_is_shown_by_one_copy(given: Given, video: Path) -> None:
    path, box = given.upload(video), given.inputs.source_box
    shown = [Page(given.handlers.copy_source(str(path))[box]) for _ in range(2)]
    assert "Your file is what is rendered" in shown[0].text
    addresses = {attributes["src"] for page in shown for tag, attributes in page.elements if tag == "video"}
    assert len(addresses) == 1
    assert addresses.pop().endswith(".mp4")
    # The page tells by this a copy that comes when another file is there already.
    whole = Page(given.handlers.show_source(ANN, str(path))[box])
    assert len({dict(page.elements)["section"]["data-file"] for page in (*shown, whole)}) == 1
    assert ["data-copied" in dict(page.elements)["section"] for page in (*shown, whole)] == [True, True, False]


@pytest.mark.parametrize(("seconds", "said"), [(0.0, "lasts 0 s"), (0.01, "lasts 10 ms")])
def test_a_voice_that_is_too_short_is_refused_beside_its_box(
    given: Given, tmp_path: Path, seconds: float, said: str
) -> None:
    path = given.upload(write_wav(tmp_path / "blip.wav", tone(seconds)))
    refused = given.take(given.handlers.take_voice, path)
    assert refused[given.inputs.voice] is None
    told = Page(refused[given.inputs.voice_problem])
    assert said in told.text
    assert [found["role"] for _, found in told.elements if found.get("class") == "mt-problem"] == ["alert"]
    # Only that answer is the upload's: one of Remove, which may come while the next file is looked at, is not.
    boxes = refused, given.handlers.clear_voice(), given.handlers.show_voice(ANN, None)
    waited_for = ["data-refused" in dict(Page(each[given.inputs.voice_box]).elements)["section"] for each in boxes]
    assert waited_for == [True, False, False]
    # The value that goes takes nothing away of what is said.
    assert given.inputs.voice_problem not in given.handlers.show_voice(ANN, None)


@pytest.mark.parametrize("seconds", [1.0, 150.0])  # listened to from beginning to end, however long
def test_a_silent_voice_is_held_and_said_to_be_silent(given: Given, tmp_path: Path, seconds: float) -> None:
    path = given.upload(write_wav(tmp_path / "still.wav", np.zeros(round(8000 * seconds)), rate=8000))
    assert given.take(given.handlers.take_voice, path)[given.inputs.voice] == str(path)
    shown = given.handlers.show_voice(ANN, str(path))
    assert "is silent all through: there is nothing for a mouth to say." in Page(shown[given.inputs.voice_box]).text
    assert shown[given.inputs.player] == str(path)


def test_a_part_that_was_cut_out_becomes_the_voice_and_what_is_played_does_not(given: Given, tmp_path: Path) -> None:
    whole, part = (given.upload(write_wav(tmp_path / name, tone(s))) for name, s in (("v.wav", 0.5), ("p.wav", 0.2)))
    shown = given.handlers.show_voice(ANN, str(whole))
    played = shown[given.inputs.player]
    assert played == shown[given.inputs.played]
    for voice in (str(whole), str(part), None):  # another may be held by now, or none any more
        assert given.inputs.voice not in given.handlers.take_sound(ANN, played, voice, "14.32.05", played)
    cut = given.handlers.take_sound(ANN, str(part), str(whole), "14.32.05", played)[given.inputs.voice]
    assert cut == str(part.with_name("v cut.wav"))
    assert Path(cut).read_bytes() == part.read_bytes()
    again = given.handlers.take_sound(ANN, str(part), cut, "14.32.06", cut)[given.inputs.voice]
    assert again == cut  # a cut of a cut
    whole_again = given.handlers.take_sound(ANN, played, cut, "14.32.07", cut)[given.inputs.voice]
    assert whole_again == str(whole)  # the cut was undone


@pytest.mark.parametrize(
    ("clock", "name"), [("14.32.05", "recording 14.32.05.wav"), ("../../x", "recording.wav"), ("", "recording.wav")]
)
def test_a_recording_has_a_name_that_tells_it_apart(given: Given, tmp_path: Path, clock: str, name: str) -> None:
    spoken = given.upload(write_wav(tmp_path / "audio.wav", tone(0.5)))  # as browsers call all of them
    voice = given.handlers.take_sound(ANN, str(spoken), None, clock, "")[given.inputs.voice]
    assert voice == str(spoken.with_name(name))
    shown = given.handlers.show_voice(ANN, voice)
    assert name in Page(shown[given.inputs.voice_box]).text
    played = shown[given.inputs.player]
    assert given.inputs.voice not in given.handlers.take_sound(ANN, played, voice, "15.00.00", played)


class _Interrupted(MediaLooks):
    """Looks during which something else happens."""

    meanwhile: Callable[[], object]

    def source(self, path: Path) -> HeldMedia:
        found = super().source(path)
        if path.name == "slow.mp4":
            self.meanwhile()
        return found


@pytest.fixture
def interrupted(given: Given) -> tuple[MediaHandlers, _Interrupted]:
    site = cast("Site", _Site(given.uploads))
    looks = _Interrupted(site.engine, site.base, given.uploads)
    return MediaHandlers(site, given.inputs, looks), looks


@pytest.fixture
def pictures(given: Given, tmp_path: Path) -> list[Path]:
    names = ("slow.mp4", "quick.mp4")
    return [given.upload(write_video(tmp_path / name, numbered_frames(3, 64, 48))) for name in names]


def test_the_newest_upload_wins_though_it_is_looked_at_first(
    given: Given, interrupted: tuple[MediaHandlers, _Interrupted], pictures: list[Path]
) -> None:
    handlers, looks = interrupted
    slow, quick = pictures
    answers: list[dict[Any, Any]] = []
    looks.meanwhile = lambda: answers.append(given.take(handlers.take_source, quick))
    belated = given.take(handlers.take_source, slow)
    assert answers == [{given.inputs.source: str(quick), given.inputs.source_problem: ""}]
    assert given.inputs.source not in belated


def test_what_was_cancelled_or_given_otherwise_meanwhile_is_not_held(
    given: Given, interrupted: tuple[MediaHandlers, _Interrupted], pictures: list[Path]
) -> None:
    handlers, looks = interrupted
    slow, quick = pictures
    looks.meanwhile = lambda: given.take(handlers.take_source, "")  # cancelled
    assert given.inputs.source not in given.take(handlers.take_source, slow)
    looks.meanwhile = lambda: handlers.show_source(ANN, str(quick))  # by another tab, a job, an example
    assert given.inputs.source not in given.take(handlers.take_source, slow)


def test_what_others_upload_and_what_came_before_take_nothing_away(
    given: Given, interrupted: tuple[MediaHandlers, _Interrupted], pictures: list[Path]
) -> None:
    handlers, looks = interrupted
    slow, quick = pictures
    given.take(handlers.take_source, quick)

    def meanwhile() -> None:
        handlers.show_source(ANN, str(quick))  # what came of the upload before
        handlers.take_source(BOB, cast("gr.EventData", SimpleNamespace(path=str(quick))))

    looks.meanwhile = meanwhile
    assert given.take(handlers.take_source, slow)[given.inputs.source] == str(slow)


def test_only_uploads_can_be_named(given: Given, tmp_path: Path) -> None:
    outside = write_wav(tmp_path / "mine.wav", tone(0.5))
    for path in (outside, given.uploads, given.uploads / "gone.wav", given.uploads / ".." / "mine.wav"):
        refused = given.take(given.handlers.take_voice, path)
        assert refused[given.inputs.voice] is None
        assert "no longer here. Choose it again." in Page(refused[given.inputs.voice_problem]).text


def test_removing_empties_box_value_and_problem(given: Given) -> None:
    emptied = given.handlers.clear_voice()
    assert emptied[given.inputs.voice] is None
    assert emptied[given.inputs.voice_problem] == ""
    assert "Speak now" in Page(emptied[given.inputs.voice_box]).text


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
