"""From two files to a dubbed video, as a visitor goes about it."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from tests.browser.drive import Clips, Visit, expect, stored
from tests.helpers.media import decode, ffmpeg
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import Served

pytestmark = pytest.mark.integration
WATCH_THE_TITLE = """() => {
  window.titles = [];
  new MutationObserver(() => titles.push(document.title)).observe(document.head, { subtree: true, childList: true });
}"""
OVERLAPPING_STEPS = """() => [...document.querySelectorAll("#status .mt-step-title")]
  .filter((title) => title.clientWidth > 1 && title.scrollWidth > title.parentElement.clientWidth)
  .map((title) => title.innerText)"""
MARKED = (255, 196, 61)  # RGB of the chosen face's box


def marked(visit: Visit, width: int) -> tuple[int, int]:
    """Pixels of the preview frame in the chosen face's color, left and right of the source's middle."""
    data = visit.page.request.get(visit.frame.get_attribute("src") or "").body()
    picture = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert picture.shape[1] == width
    close = (np.abs(picture.astype(int) - MARKED) < 45).all(axis=2)
    return int(close[:, : width * 9 // 16].sum()), int(close[:, width * 9 // 16 :].sum())


def test_from_upload_to_download(visit: Visit, clips: Clips, jobs_dir: Path, tmp_path: Path) -> None:
    visit.give(clips.source, clips.voice)
    expect(visit.page.locator("#note")).to_contain_text("of the source")
    left, right = marked(visit, 640)
    assert left > 10 * right  # the larger face is chosen

    shown = visit.frame.get_attribute("src") or ""
    visit.click_frame(clips.right)
    expect(visit.page.get_by_role("radio", name="Picked")).to_be_checked()
    expect(visit.frame).not_to_have_attribute("src", shown)
    expect(visit.page.locator("#speaking img")).to_be_visible()
    point = visit.page.get_by_label("Point on the picked face").input_value()
    assert np.allclose([float(part) for part in point.split(",")], clips.right, atol=3)
    left, right = marked(visit, 640)
    assert right > 10 * left

    visit.button("Generate").click()
    visit.say("Done")
    assert visit.play().items() >= {"seconds": 1.2}.items()
    job = visit.job
    result = jobs_dir / job / stored(jobs_dir, job, "job.json")["result"]
    with visit.page.expect_download() as download:
        visit.page.locator("#result").get_by_label("Download").click()
    download.value.save_as(tmp_path / "downloaded.mp4")
    assert (tmp_path / "downloaded.mp4").read_bytes() == result.read_bytes()
    assert download.value.suggested_filename == result.name
    assert result.suffix == ".mp4"
    with visit.page.expect_download() as download:  # beside "Done", in words
        visit.status.get_by_role("link", name="Download the video").click()
    assert download.value.path().read_bytes() == result.read_bytes()

    moved = np.abs(decode(result).astype(int) - decode(clips.source)).mean(axis=(0, 3))
    assert moved[:, 380:].max() > 10 * moved[:, :360].mean()
    assert moved[:, 380:].max() > 2 * moved[:, :360].max()  # the small face speaks, the other one does not
    report = stored(jobs_dir, job, "report.json")
    assert report["settings"]["face"] == pytest.approx(clips.right, abs=3)


def test_the_end_is_told_to_whoever_looks_elsewhere(visit: Visit, clips: Clips) -> None:
    visit.give(clips.source, clips.voice)
    expect(visit.page.locator("#estimate")).to_contain_text("(30 frames) with Draft on")
    expect(visit.page.locator("#estimate")).to_contain_text(re.compile(r"With others.*: .*latentsync-1\.6 about \d"))
    visit.page.evaluate(WATCH_THE_TITLE)
    visit.button("Generate").click()
    visit.page.evaluate("document.activeElement.blur(); scrollTo(0, document.body.scrollHeight)")
    visit.say("Done")
    expect(visit.video).to_be_in_viewport()
    expect(visit.page).to_have_title(re.compile("^Done . MuseTalk Hybrid$"))
    icon = visit.page.locator("link[rel=icon]")
    assert "1c7045" in (icon.get_attribute("href") or "")
    titles = visit.page.evaluate("titles")
    assert any(re.match(r"(\d+%|Waiting|Rendering) . MuseTalk Hybrid$", title) for title in titles)
    visit.page.keyboard.press("Shift")  # somebody is back
    expect(visit.page).to_have_title("MuseTalk Hybrid")
    assert "1c7045" not in (icon.get_attribute("href") or "")


def test_the_newest_frame_is_shown_and_notifications_are_offered(visit: Visit, clips: Clips) -> None:
    visit.page.set_viewport_size({"width": 1280, "height": 720})
    visit.generate(clips.source, clips.long_voice)
    expect(visit.status.locator(".mt-whole")).to_be_in_viewport(ratio=1)
    newest = visit.page.locator(".mt-newest img")
    expect(newest).to_be_visible()
    expect(newest).to_have_js_property("naturalWidth", 640)
    expect(visit.page.get_by_label("Notify me when it is done")).to_be_visible()
    expect(visit.status).to_contain_text(re.compile(r"\d+% of all, (a few|about \d+) "))
    for width in (1010, 820):
        visit.page.set_viewport_size({"width": width, "height": 900})
        assert visit.page.evaluate(OVERLAPPING_STEPS) == [], width
    expect(visit.status).to_contain_text("a face in")
    expect(visit.status).not_to_contain_text("a short trial")  # what renders cost here is known better
    visit.button("Stop").click()
    visit.say("Stopped")
    expect(newest).to_be_hidden()
    expect(visit.page.get_by_label("Notify me when it is done")).to_be_hidden()


def test_the_result_has_sound_and_its_report_says_what_was_made(visit: Visit, clips: Clips, jobs_dir: Path) -> None:
    job = visit.generate(clips.source, clips.voice)
    visit.say("Done")
    played = visit.play()
    assert played["seconds"] == pytest.approx(1.2, abs=0.05)
    assert played["sound"] > 1000
    assert played["picture"] > 1000
    report, chips = stored(jobs_dir, job, "report.json"), visit.chips()
    assert chips["frames"] == str(report["frames"]) == "30"
    assert chips["with a face"] == str(report["face_frames"]) == "30"
    assert chips["untouched"] == str(report["passthrough_frames"]) == "0"
    assert chips["by a fallback"] == str(report["fallback_frames"])
    expect(visit.page.locator("#report .mt-timeline svg")).to_be_visible()
    expect(visit.page.locator("#report .mt-legend")).to_contain_text("face painted 30")
    expect(visit.page.locator("#report")).to_contain_text("follows the loudness of the voice, which is no lip-sync")


def test_what_is_no_video_is_refused_in_words(visit: Visit, tmp_path: Path) -> None:
    bad = tmp_path / "notes.mp4"
    bad.write_text("This is no video.\n" * 50)
    visit.give_source(bad)
    said = visit.problem("source")
    assert "notes.mp4" in said
    assert "Give the video itself" in said


def test_a_voice_without_sound_is_refused_in_words(visit: Visit, clips: Clips, tmp_path: Path) -> None:
    mute = tmp_path / "mute.m4a"
    ffmpeg("-i", f"file:{clips.source}", "-c", "copy", "-an", f"file:{mute}")
    visit.give_voice(mute)
    said = visit.problem("voice")
    assert '"mute.m4a" has no sound' in said
    assert "Give an audio file" in said


def test_generating_without_a_source_says_what_to_do(visit: Visit) -> None:
    visit.button("Generate").click()
    assert visit.problem("source") == "There is no source yet. Choose a source first."


def test_stop_ends_a_long_render_and_lets_the_next_one_through(visit: Visit, clips: Clips, server: Served) -> None:
    job = visit.generate(clips.source, clips.long_voice)
    visit.say("Rendering")
    figures = visit.status.locator(".mt-figures")
    expect(figures).to_contain_text(" of 3,750")
    seen = figures.inner_text()
    expect(figures).not_to_have_text(seen)  # it advances
    children = server.process.children(recursive=True)
    assert children != []

    visit.button("Generate").focus()
    visit.page.keyboard.press("Tab")
    expect(visit.button("Stop")).to_be_focused()
    visit.page.keyboard.press("Enter")
    visit.say("Stopped")
    expect(visit.button("Stop")).to_be_disabled()
    _, alive = psutil.wait_procs(children, timeout=HANG_SECONDS)
    assert alive == []

    visit.box("voice").get_by_role("button", name="Remove").click()
    visit.give_voice(clips.voice)
    visit.held("voice", clips.voice.name)
    visit.button("Generate").click()
    visit.say("Done")
    assert visit.job != job
    assert visit.play()["sound"] > 0
