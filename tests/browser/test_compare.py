"""The Compare tab, with networks as small as their loaders allow, and what is asked before a long render."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from musetalk.assets import PORTRAIT
from musetalk.webui.backend_names import titled
from tests.browser.drive import AT_ONCE, BY_THE_APP, PLAY, Clips, Locator, Visit, expect, held_back, stored
from tests.browser.test_access import others, severe, sticking_out
from tests.helpers.media import numbered_frames, read_number, tone, write_video, write_wav

pytestmark = [pytest.mark.integration, BY_THE_APP]
FRAMES = 6
MIDDLE = (FRAMES - 1) // 2
PLACE = "canvas => getComputedStyle(canvas).transform"
# Counts, too, how often anything is played from then on.
PRESS_TWICE_AT_ONCE = """(button) => {
  const { play } = HTMLMediaElement.prototype;
  window.plays = 0;
  HTMLMediaElement.prototype.play = function () { plays += 1; return play.call(this); };
  button.click();
  button.click();
}"""
CUT = "view => getComputedStyle(view).clipPath"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A face and a voice, of few frames, each with its number above the face."""
    folder = tmp_path_factory.mktemp("short")
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    frames = np.repeat(cv2.resize(portrait[:360, 40:400], (240, 240))[None], FRAMES, axis=0)
    frames[:, :24] = numbered_frames(FRAMES, 240, 48)[:, :24]
    return write_video(folder / "face.mp4", frames), write_wav(folder / "voice.wav", tone(FRAMES / 25))


def set_quickly(visit: Visit) -> None:
    """Choose LatentSync on the Dub tab, and the quickest that its folds offer."""
    visit.page.locator(".mt-picker input[value='latentsync-1.5']").check()
    for fold in ("LatentSync", "Network", "Faces"):
        visit.page.get_by_role("button", name=re.compile(f"^{fold}")).click()
    visit.fill(visit.page.get_by_role("spinbutton", name="Steps"), "1")
    visit.page.get_by_role("radio", name="Nobody: end with an error").click()
    visit.page.get_by_role("radio", name="fp32").click()
    visit.page.get_by_role("radio", name="Haar").click()


def choose(visit: Visit, *backends: str) -> None:
    boxes = visit.page.locator(".compared input")
    expect(boxes.first).to_be_visible()
    for box in boxes.all():
        box.set_checked(box.evaluate("box => box.closest('label').innerText.trim()") in map(titled, backends))


def state(visit: Visit) -> Locator:
    return visit.page.locator("#compare-status .mt-state")


def shown(visit: Visit, frame: int, left: str, right: str) -> list[np.ndarray]:
    """Wait until a frame of two is shown: both pictures, int [h, w, 3], RGB; each says by its own that it is that."""
    expect(visit.page.locator(".mt-pair")).to_have_attribute("data-shown", f"{frame} {left} {right}")
    pictures = list[np.ndarray]()
    for canvas in visit.page.locator(".mt-pair canvas").all():
        data = base64.b64decode(canvas.evaluate("canvas => canvas.toDataURL()").partition(",")[2])
        pictures.append(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int))
    assert [read_number(picture[:48]) for picture in pictures] == [frame, frame]
    return pictures


def step(visit: Visit, key: str) -> None:
    views = visit.page.locator(".mt-pair-views")
    views.focus()
    views.press(key)


def look_frame_by_frame(visit: Visit) -> None:
    """Each side shows what it says, in the result of `preview` beside that of `latentsync-1.5`."""
    label = visit.page.locator("#pair-caption")
    expect(label).to_have_text(f"Frame {MIDDLE}: Draft | latentsync-1.5")
    left, right = shown(visit, MIDDLE, "preview", "latentsync-1.5")
    assert np.abs(left - right).max() > 8
    visit.page.locator("#pair-frame input[type=range]").press("ArrowRight")
    shown(visit, MIDDLE + 1, "preview", "latentsync-1.5")
    visit.page.get_by_label("On the right").select_option("preview")
    shown(visit, MIDDLE + 1, "latentsync-1.5", "preview")
    expect(label).to_have_text(f"Frame {MIDDLE + 1}: latentsync-1.5 | Draft")
    expect(visit.page.get_by_label("On the right")).to_have_css("appearance", "auto")  # its arrow is shown
    visit.page.get_by_label("On the right").select_option("source")
    shown(visit, MIDDLE + 1, "latentsync-1.5", "source")


def fetch_the_videos(visit: Visit) -> None:
    links = visit.page.locator(".mt-downloads a")
    expect(links).to_have_text(["Side by side", "Draft", "latentsync-1.5"])
    with visit.page.expect_download() as download:
        links.first.click()
    assert download.value.suggested_filename == "face_voice_Draft_beside_latentsync-1.5.mp4"
    with visit.page.expect_download() as download:
        links.last.click()
    assert download.value.suggested_filename == "latentsync-1.5.mp4"


def look_with_the_keyboard_alone(visit: Visit) -> None:
    """The last frame of `latentsync-1.5` is left, beside the source, at 338 %."""
    visit.page.get_by_label("On the left").select_option("preview")
    shown(visit, MIDDLE + 1, "preview", "source")
    for _ in range(3):
        step(visit, "+")
    zoom = visit.page.locator("[data-zoom]")
    expect(zoom).to_have_text("338%")
    step(visit, "Shift+ArrowDown")
    canvas = visit.page.locator(".mt-pair canvas").first
    looked_at = canvas.evaluate(PLACE)
    for key, frame in (("ArrowRight", MIDDLE + 2), ("ArrowLeft", MIDDLE + 1), ("Home", 0), ("End", FRAMES - 1)):
        step(visit, key)
        shown(visit, frame, "preview", "source")
    visit.page.get_by_label("On the left").select_option("latentsync-1.5")
    shown(visit, FRAMES - 1, "latentsync-1.5", "source")
    expect(zoom).to_have_text("338%")
    assert canvas.evaluate(PLACE) == looked_at


def cut_and_play(visit: Visit) -> None:
    """The divider moves, both fit the screen, and play to their end."""
    views, zoom = visit.page.locator(".mt-pair-view"), visit.page.locator("[data-zoom]")
    divider = visit.page.get_by_label("Divider between left and right")
    cut = views.first.evaluate(CUT)
    divider.press("ArrowLeft")
    expect(divider).to_have_value("49")
    assert views.first.evaluate(CUT) != cut
    visit.button("Side by side").click()
    boxes = [view.bounding_box() for view in views.all()]
    assert all(box is not None and box["width"] >= 480 and box["height"] < 720 for box in boxes)
    visit.button("Show all").click()
    expect(zoom).to_have_text("100%")
    step(visit, "Home")
    shown(visit, 0, "latentsync-1.5", "source")
    visit.button("Play both").evaluate(PRESS_TWICE_AT_ONCE)  # the second time ends it
    visit.button("Play both").click()
    shown(visit, FRAMES - 1, "latentsync-1.5", "source")
    assert visit.page.evaluate("plays") == 2  # one for each side
    expect(visit.button("Play both")).to_be_visible()
    box = visit.page.locator("#side-by-side video").bounding_box()
    assert box is not None
    assert box["height"] < 720
    assert others(severe(visit)) == set()


def look_on_a_phone(visit: Visit) -> None:
    visit.resize(390, 844)
    choices = [visit.page.get_by_label(f"On the {side}").bounding_box() for side in ("left", "right")]
    layouts = visit.page.locator(".mt-pair-layouts").bounding_box()
    assert choices[0] is not None
    assert choices[1] is not None
    assert layouts is not None
    assert choices[0]["y"] < choices[1]["y"] < layouts["y"]
    assert sticking_out(visit) == []


def find_it_again(visit: Visit, job: str) -> None:
    """By its address, and in the list."""
    table = visit.page.locator(".mt-compared")
    visit.page.goto("about:blank")
    visit.page.goto(f"{visit.address}?job={job}")
    expect(table).to_be_visible()
    shown(visit, MIDDLE, "preview", "latentsync-1.5")
    visit.tab("Jobs")
    expect(visit.cards).to_contain_text("face + voice: Draft beside latentsync-1.5")
    visit.cards.get_by_role("button", name="Open").click()
    expect(visit.page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(table).to_be_visible()
    shown(visit, MIDDLE, "preview", "latentsync-1.5")


def test_two_backends_are_compared_and_a_mouth_is_looked_at_frame_by_frame(
    visit: Visit, short: tuple[Path, Path], jobs_dir: Path
) -> None:
    """On what the Dub tab was given, and a screen of 1280 x 720."""
    visit.resize(1280, 720)
    visit.give(*short)  # before the networks are chosen, which take their time for a first frame
    set_quickly(visit)
    with held_back(visit.page, AT_ONCE):  # answers leave what is chosen meanwhile
        visit.tab("Compare")
        choose(visit, "preview")
    expect(visit.page.get_by_test_id("waveform-Voice: a recording, or speak now").last).to_be_visible()
    visit.button("Compare").click()
    expect(visit.page.locator(".mt-problem:visible")).to_contain_text("two backends or more")
    choose(visit, "preview", "latentsync-1.5")
    visit.button("Compare").click()
    job = visit.job
    expect(state(visit)).to_contain_text("Done")
    account = stored(jobs_dir, job, "comparison.json")
    assert [part["backend"] for part in account["parts"]] == ["preview", "latentsync-1.5"]
    assert [part["report"]["settings"]["latentsync"]["steps"] for part in account["parts"]] == [1, 1]
    video = visit.page.locator("#side-by-side video")
    expect(video).to_be_visible()
    assert video.evaluate(PLAY)["sound"] > 0
    table = visit.page.locator(".mt-compared")
    expect(table.locator("thead th")).to_contain_text(["Measured", "Draft", "latentsync-1.5"])
    expect(visit.page.locator(".mt-plots img")).to_have_js_property("complete", True)
    expect(visit.page.locator("#comparison")).to_contain_text("the loudness of the voice")
    look_frame_by_frame(visit)
    fetch_the_videos(visit)
    look_with_the_keyboard_alone(visit)
    cut_and_play(visit)
    look_on_a_phone(visit)
    find_it_again(visit, job)


def test_a_long_render_is_asked_about_before_it_starts_and_a_comparison_is_stopped(
    visit: Visit, short: tuple[Path, Path], clips: Clips
) -> None:
    visit.give(short[0], clips.long_voice)
    estimate, question = visit.page.locator("#estimate"), visit.page.locator("#question .mt-ask-first")
    expect(estimate).to_contain_text("with Draft on")
    visit.page.locator(".mt-picker input[value='latentsync-1.6']").check()
    expect(estimate).to_contain_text("with latentsync-1.6 on")
    visit.button("Generate").click()
    expect(question).to_contain_text(re.compile(r"would take about \d+ (h|days)"))
    assert others(severe(visit)) == set()
    visit.button("Not now").click()
    expect(question).to_have_count(0)
    assert "job=" not in visit.page.url
    visit.button("Generate").click()
    visit.button("Start all the same").click()
    assert visit.job
    expect(estimate).to_be_hidden()
    visit.button("Stop").click()
    visit.say("Stopped")

    visit.tab("Compare")
    expect(visit.page.get_by_test_id("waveform-Voice: a recording, or speak now").last).to_be_visible()
    choose(visit, "preview", "latentsync-1.6")
    visit.button("Compare").click()  # with the estimate still under way, or told
    visit.button("Start all the same").click()
    expect(state(visit)).to_contain_text("Rendering")
    visit.button("Stop").click()
    expect(state(visit)).to_have_text("Stopped")
