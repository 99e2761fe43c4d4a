"""From two files to a dubbed video, as a visitor goes about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from tests.browser.drive import AT_ONCE, BY_THE_APP, APIResponse, Clips, Page, Route, Visit, expect, held_back, stored
from tests.helpers.media import decode
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import Served
from tests.helpers.waiting import until

pytestmark = [pytest.mark.integration, BY_THE_APP]
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


@contextmanager
def belated_answer(page: Page) -> Iterator[None]:
    """Hold back what the server says now of the watched job, until the `with` block ends."""
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        elif "mt-status-head" in (answer := route.fetch()).text():
            held.append((route, answer))
        else:
            route.fulfill(response=answer)

    page.route(AT_ONCE, hold)
    while not held:
        page.wait_for_timeout(50)  # the page asks again and again
    yield
    route, answer = held[0]
    route.fulfill(response=answer)


def choose_the_smaller_face(visit: Visit, clips: Clips) -> None:
    """By a click; the larger one is chosen at first."""
    page = visit.page
    left, right = marked(visit, 640)
    assert left > 10 * right  # the larger face is chosen
    expect(page.locator("#estimate")).to_contain_text("(30 frames) with Draft on")
    expect(page.locator("#estimate")).to_contain_text(re.compile(r"With others.*: .*latentsync-1\.6 about \d"))

    shown = visit.frame.get_attribute("src") or ""
    visit.click_frame(clips.right)
    expect(page.get_by_role("radio", name="Picked")).to_be_checked()
    expect(visit.frame).not_to_have_attribute("src", shown)
    expect(visit.speaking).to_be_visible()
    point = page.get_by_label("Point on the picked face").input_value()
    assert np.allclose([float(part) for part in point.split(",")], clips.right, atol=3)
    left, right = marked(visit, 640)
    assert right > 10 * left


def hear_of_the_end(visit: Visit) -> None:
    """The end is told to whoever looks elsewhere."""
    page = visit.page
    with held_back(page, AT_ONCE):  # as a short render may be done before one is told that it was begun
        visit.button("Generate").click()
        expect(page).to_have_title(re.compile(r"^(\d+%|Waiting|Rendering) . MuseTalk Hybrid$"))
        page.evaluate("document.activeElement.blur(); scrollTo(0, document.body.scrollHeight)")
    visit.say("Done")
    expect(visit.video).to_be_in_viewport()
    expect(page).to_have_title(re.compile("^Done . MuseTalk Hybrid$"))
    icon = page.locator("link[rel=icon]")
    assert "1c7045" in (icon.get_attribute("href") or "")
    page.keyboard.press("Shift")  # somebody is back
    expect(page).to_have_title("MuseTalk Hybrid")
    assert "1c7045" not in (icon.get_attribute("href") or "")


def fetch_the_result(visit: Visit, result: Path, folder: Path) -> None:
    """Below the player, and beside "Done", in words."""
    page = visit.page
    with page.expect_download() as download:
        page.locator("#result").get_by_label("Download").click()
    download.value.save_as(folder / "downloaded.mp4")
    assert (folder / "downloaded.mp4").read_bytes() == result.read_bytes()
    assert download.value.suggested_filename == result.name
    assert result.suffix == ".mp4"
    with page.expect_download() as download:  # beside "Done", in words
        visit.status.get_by_role("link", name="Download the video").click()
    assert download.value.path().read_bytes() == result.read_bytes()


def walk_the_timeline(visit: Visit) -> None:
    """It seeks, and says what a frame is; the source can be played beside it."""
    page = visit.page
    seek, told = page.get_by_role("slider", name="Go to a frame of the result"), page.locator("#report .mt-readout")
    seek.scroll_into_view_if_needed()
    box = seek.bounding_box()
    assert box is not None
    seek.hover(position={"x": box["width"] * 0.51, "y": 30})
    expect(told).to_have_text("0:00.60, frame 15: the mouth is painted")
    seek.click(position={"x": box["width"] * 0.751, "y": 30})
    expect(visit.video).to_have_js_property("currentTime", 0.9)
    seek.press("Home")
    expect(visit.video).to_have_js_property("currentTime", 0.02)
    seek.press("ArrowRight")
    expect(seek).to_have_attribute("aria-valuetext", "0:00.04, frame 1: the mouth is painted")
    source = visit.box("source").locator("video")
    source.evaluate("video => { video.muted = true; return video.play(); }")
    expect(source).to_have_js_property("ended", True)


def test_from_upload_to_download(visit: Visit, clips: Clips, jobs_dir: Path, tmp_path: Path) -> None:
    page = visit.page
    visit.give(clips.source, clips.voice)
    expect(page.locator("#note")).to_contain_text("of the source")
    choose_the_smaller_face(visit, clips)
    hear_of_the_end(visit)
    played = visit.play()
    assert played["seconds"] == pytest.approx(1.2, abs=0.05)
    assert played["sound"] > 1000
    assert played["picture"] > 1000
    job = visit.job
    result = jobs_dir / job / stored(jobs_dir, job, "job.json")["result"]
    fetch_the_result(visit, result, tmp_path)
    moved = np.abs(decode(result).astype(int) - decode(clips.source)).mean(axis=(0, 3))
    assert moved[:, 380:].max() > 10 * moved[:, :360].mean()
    assert moved[:, 380:].max() > 2 * moved[:, :360].max()  # the small face speaks, the other one does not
    report, chips = stored(jobs_dir, job, "report.json"), visit.chips()
    assert report["settings"]["face"] == pytest.approx(clips.right, abs=3)
    assert chips["frames"] == str(report["frames"]) == "30"
    assert chips["with a face"] == str(report["face_frames"]) == "30"
    assert chips["untouched"] == str(report["passthrough_frames"]) == "0"
    assert chips["by a fallback"] == str(report["fallback_frames"])
    expect(page.locator("#report .mt-legend")).to_contain_text("face painted 30")
    expect(page.locator("#report")).to_contain_text("follows the loudness of the voice, which is no lip-sync")
    walk_the_timeline(visit)


def watch(visit: Visit) -> None:
    """How far a render is, its newest frame, and how long it still takes."""
    expect(visit.status.locator(".mt-whole")).to_be_in_viewport(ratio=1)
    expect(visit.page.locator(".mt-newest img")).to_be_visible()
    expect(visit.page.locator(".mt-newest img")).to_have_js_property("naturalWidth", 640)
    expect(visit.page.get_by_label("Notify me when it is done")).to_be_visible()
    expect(visit.status).to_contain_text(re.compile(r"\d+% of all, (a few|about \d+) "))
    expect(visit.page).to_have_title(re.compile(r"^\d+% . MuseTalk Hybrid$"))
    expect(visit.status.locator(".mt-figures")).to_contain_text(re.compile("frame .* of 3,750"))
    for width in (1010, 820):
        visit.resize(width, 900)
        assert visit.page.evaluate(OVERLAPPING_STEPS) == [], width
    expect(visit.status).to_contain_text("voice 2 min 30 s")
    expect(visit.page.locator("#told .mt-told")).to_have_count(0)


def stop_with_the_keyboard(visit: Visit, server: Served) -> None:
    """Nothing of the render runs on."""
    children: list[psutil.Process] = []

    def at_work() -> bool:
        children[:] = server.process.children(recursive=True)
        return bool(children)

    until(at_work)  # between two parts, nothing decodes or encodes
    visit.button("Generate").focus()
    visit.page.keyboard.press("Tab")
    expect(visit.button("Stop")).to_be_focused()
    visit.page.keyboard.press("Enter")
    visit.say("Stopped")
    expect(visit.button("Stop")).to_be_disabled()
    expect(visit.page.locator(".mt-newest img")).to_be_hidden()
    expect(visit.page.get_by_label("Notify me when it is done")).to_be_hidden()
    _, alive = psutil.wait_procs(children, timeout=HANG_SECONDS)
    assert alive == []


def stop_from_the_list(visit: Visit) -> None:
    """A render that was left is told about, stopped, tried again and stopped once more."""
    told = visit.page.locator("#told .mt-told")
    visit.tab("Jobs")
    visit.cards.get_by_role("button", name="Stop").click()
    expect(told).to_contain_text("Stopped: two faces + long voice")
    visit.cards.get_by_role("button", name="Retry").click()
    expect(visit.cards.locator(".mt-state")).to_have_text("Rendering")
    visit.cards.get_by_role("button", name="Stop").click()
    expect(visit.cards).to_have_count(1)
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_have_count(0)
    visit.tab("Dub")
    visit.say("Ready")
    expect(visit.button("Stop")).to_be_disabled()


def test_a_long_render_is_watched_left_found_again_and_stopped(visit: Visit, clips: Clips, server: Served) -> None:
    visit.resize(1280, 720)
    job = visit.generate(clips.source, clips.long_voice)
    visit.say("Rendering")
    watch(visit)

    # A closed tab loses nothing: another one tells of it, and shows it.
    visit = visit.another_tab().open()
    told = visit.page.locator("#told .mt-told")
    expect(told).to_contain_text("Rendering: two faces + long voice")
    visit.say("Ready")
    told.get_by_role("button", name="Show").click()
    visit.say("Rendering")
    assert visit.job == job
    expect(told).to_have_count(0)
    visit.held("source", "two faces")
    visit.held("voice", "long voice")
    figures = visit.status.locator(".mt-figures")
    expect(figures).to_contain_text(" of 3,750")
    seen = figures.inner_text()
    expect(figures).not_to_have_text(seen)  # it advances
    stop_with_the_keyboard(visit, server)
    visit.button("Retry").click()
    visit.say("Rendering")
    assert visit.job == job
    with belated_answer(visit.page):
        visit.page.go_back()
        visit.say("Ready")
        expect(told).to_contain_text("Rendering: two faces + long voice")
    stop_from_the_list(visit)
    visit.give(clips.source, clips.voice)  # the next one is let through
    visit.button("Generate").click()
    visit.say("Done")
    assert visit.job != job
