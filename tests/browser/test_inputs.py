"""Source and voice: what is taken, what is shown of it, what is refused, and uploads that take a while."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.browser.drive import BY_THE_APP, Clips, Visit, expect
from tests.browser.test_access import others, severe_by_day_and_night, sticking_out
from tests.helpers.heif import write_heic
from tests.helpers.media import ffmpeg, tone, write_wav

pytestmark = [pytest.mark.integration, BY_THE_APP]


@pytest.fixture(scope="module")
def broadcast(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Picture and voice in a kind of file that no browser plays."""
    path = tmp_path_factory.mktemp("broadcast") / "clip.m2ts"
    given = ("-i", f"file:{clips.source}", "-i", f"file:{clips.voice}", "-frames:v", "15", "-shortest")
    ffmpeg(*given, "-c:v", "mpeg2video", "-c:a", "mp2", "-f", "mpegts", str(path))
    return path


def test_what_no_browser_plays_is_shown_and_what_is_wrong_with_a_voice_is_said(
    visit: Visit, clips: Clips, broadcast: Path, tmp_path: Path
) -> None:
    for name in ("source", "voice"):
        expect(visit.box(name).get_by_role("button", name="Share")).to_have_count(0)
    visit.give_source(broadcast)
    visit.held("source", "clip.m2ts")
    expect(visit.box("source")).to_contain_text("This browser cannot play the file itself")
    copy = visit.box("source").locator("video[data-copy]")
    expect(copy).to_have_js_property("videoWidth", 640)
    expect(copy).to_have_js_property("videoHeight", 360)
    visit.box("source").get_by_role("button", name="Remove").click()
    expect(copy).to_have_count(0)
    visit.give_source(broadcast)  # once more
    expect(copy).to_have_js_property("videoWidth", 640)

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

    picture = write_heic(tmp_path / "phone.heic", [np.full((64, 64, 3), 90, np.uint8)])
    visit.give_source(picture)
    shown = visit.box("source").locator("img[data-copy]")
    expect(shown).to_be_visible()
    expect(shown).to_have_js_property("naturalWidth", 64)
    expect(visit.box("source")).to_contain_text("This browser cannot show the file itself")
    visit.give_voice(write_wav(tmp_path / "still.wav", np.zeros(16_000)))
    visit.held("voice", "is silent all through")
    visit.give_voice(write_wav(tmp_path / "blip.wav", tone(0.01)))
    assert '"blip.wav" lasts 10 ms, too short to speak with' in visit.problem("voice")
    expect(visit.box("voice").locator(".mt-media")).to_have_attribute("data-state", "empty")
    for width in (390, 820):
        visit.resize(width, 900)
        assert sticking_out(visit) == [], width
    assert others(severe_by_day_and_night(visit)) == set()
    visit.give_voice(clips.voice)  # which mends it
    visit.held("voice", "voice.wav")
    expect(visit.box("voice").locator(".mt-problem:visible")).to_have_count(0)


def test_an_upload_tells_per_cent_and_can_be_cancelled(visit: Visit, clips: Clips, tmp_path: Path) -> None:
    visit.give_source(clips.source)
    visit.held("source", clips.source.name)
    network = visit.page.context.new_cdp_session(visit.page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}  # bytes a second
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
    network.detach()  # the tab is as quick as before
