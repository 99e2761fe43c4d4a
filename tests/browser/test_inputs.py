"""Source and voice: what is taken, what is shown of it, what is refused, and uploads that take a while."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from musetalk.lipsync import LipSync
from musetalk.media.types import Source
from musetalk.settings import RenderSettings
from tests.browser.drive import BrowserContext, Clips, Visit, expect, opened_with
from tests.browser.test_access import others, severe, sticking_out
from tests.helpers.heif import write_heic
from tests.helpers.media import ffmpeg, tone, write_wav
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import Served

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def broadcast(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Picture and voice in a kind of file that no browser plays."""
    path = tmp_path_factory.mktemp("broadcast") / "clip.m2ts"
    given = ("-i", f"file:{clips.source}", "-i", f"file:{clips.voice}", "-frames:v", "15", "-shortest")
    ffmpeg(*given, "-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpegts", str(path))
    return path


def test_a_broadcast_is_taken_as_source_and_as_voice_and_is_shown(visit: Visit, broadcast: Path) -> None:
    for name in ("source", "voice"):
        expect(visit.box(name).get_by_role("button", name="Share")).to_have_count(0)
    visit.give_source(broadcast)
    visit.held("source", "clip.m2ts")
    expect(visit.box("source")).to_contain_text("This browser cannot play the file itself")
    copy = visit.box("source").locator("video[data-copy]")
    copy.evaluate("video => video.readyState || new Promise((done) => video.addEventListener('loadedmetadata', done))")
    assert copy.evaluate("video => [video.videoWidth, video.videoHeight]") == [640, 360]

    visit.give_voice(broadcast)
    visit.held("voice", "the sound of a video")
    player = visit.box("voice").locator(".voice-player")
    expect(player).to_be_visible()
    expect(visit.page.get_by_test_id("toast-body")).to_have_count(0)
    expect(visit.page.get_by_role("button", name="Share")).to_have_count(0)
    expect(visit.page.locator("#duration:visible")).not_to_have_text("0:00")  # the copy of it can be played
    visit.box("voice").get_by_role("button", name="Remove").click()
    expect(player).to_be_hidden()
    expect(visit.box("voice")).to_contain_text("Drop a recording here")


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (820, "dark")])
def test_a_heic_picture_is_shown_and_a_silent_voice_is_said(
    new_visitor: Callable[..., BrowserContext], server: Served, clips: Clips, width: int, scheme: str, tmp_path: Path
) -> None:
    context = new_visitor(color_scheme=scheme, viewport={"width": width, "height": 900})
    visit = Visit(context.new_page(), server.address).open()
    picture = write_heic(tmp_path / "phone.heic", [np.full((64, 64, 3), 90, np.uint8)])
    visit.give_source(picture)
    shown = visit.box("source").locator("img[data-copy]")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.naturalWidth") == 64
    expect(visit.box("source")).to_contain_text("This browser cannot show the file itself")

    visit.give_voice(write_wav(tmp_path / "still.wav", np.zeros(16_000)))
    visit.held("voice", "is silent all through")
    visit.give_voice(write_wav(tmp_path / "blip.wav", tone(0.01)))
    assert '"blip.wav" lasts 10 ms, too short to speak with' in visit.problem("voice")
    expect(visit.box("voice").locator(".mt-media")).to_have_attribute("data-state", "empty")
    visit.page.screenshot(path=tmp_path / f"inputs {width} {scheme}.png", full_page=True)
    assert others(severe(visit)) == set()
    assert sticking_out(visit) == []
    visit.give_voice(clips.voice)  # which mends it
    visit.held("voice", "voice.wav")
    expect(visit.box("voice").locator(".mt-problem:visible")).to_have_count(0)


def test_the_newest_upload_wins_whatever_is_looked_at_longer(
    new_visitor: Callable[..., BrowserContext], clips: Clips, tmp_path: Path
) -> None:
    go_on, looking = Event(), Event()

    class Engine(LipSync):
        def check_source(self, video: Path, settings: RenderSettings) -> Source:
            if video.name == "slow.mp4":
                looking.set()
                assert go_on.wait(HANG_SECONDS)
            return super().check_source(video, settings)

    first, slow = (Path(shutil.copy(clips.source, tmp_path / name)) for name in ("first.mp4", "slow.mp4"))
    with opened_with(Engine, tmp_path / "jobs") as address:
        visit = Visit(new_visitor().new_page(), address).open()
        box = visit.box("source")
        visit.give_source(first)
        visit.held("source", "first.mp4")
        for cancelled in (True, False):
            visit.give_source(slow)
            expect(box.locator(".mt-media-figures")).to_have_text("Looking at it")
            assert looking.wait(HANG_SECONDS)
            if cancelled:
                box.get_by_role("button", name="Cancel").click()
                visit.held("source", "first.mp4")
            visit.give_source(clips.source)
            visit.held("source", clips.source.name)
            go_on.set()  # the older answer comes last
            visit.give_voice(clips.voice)
            visit.held("voice", "voice.wav")  # by when it has come
            visit.held("source", clips.source.name)
            expect(box.get_by_role("progressbar")).to_be_hidden()
            go_on.clear()
            looking.clear()
            if cancelled:
                visit.give_source(first)
                visit.held("source", "first.mp4")
        go_on.set()


def test_an_upload_tells_per_cent_and_can_be_cancelled(visit: Visit, clips: Clips, tmp_path: Path) -> None:
    visit.give_source(clips.source)
    visit.held("source", clips.source.name)
    network = visit.page.context.new_cdp_session(visit.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000_000}
    network.send("Network.emulateNetworkConditions", slow)
    large = tmp_path / "large.mp4"
    large.write_bytes(clips.source.read_bytes() + bytes(20_000_000))
    visit.give_source(large)
    box = visit.box("source")
    expect(box.locator(".mt-media-figures")).to_have_text(re.compile(r"^[1-9]\d? % of 19\.\d MiB$"))
    expect(box.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"^[1-9]\d?$"))
    box.get_by_role("button", name="Cancel").click()
    visit.held("source", clips.source.name)  # as it was
    expect(box.get_by_role("progressbar")).to_be_hidden()
    expect(box.locator("input[type=file]")).to_be_focused()
