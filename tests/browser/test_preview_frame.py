"""The preview frame: whose it is, since when it is out of date, how it is ended, and how faces are chosen in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.browser.drive import BrowserContext, Clips, Locator, Visit, expect, opened_with
from tests.browser.test_access import others, severe, sticking_out
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration
DRAFT = "Draft, which is no lip-sync"
HELD = "musetalk-v1"


class Inverter:
    """Paints the negative of what it sees."""

    crop_size = 64
    clip_length = 8
    spec = GeneratorSpec()
    device = "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        return 255 - clip.crops


class Held(Inverter):
    """Has done one of four steps, and goes no further until it is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def generate(self, clip: Clip) -> UInt8Array:
        clip.step(1, 4)
        pause = threading.Event()
        try:
            while not pause.wait(0.02):
                clip.check()
        finally:
            self.stopped.set()
        return clip.crops


def _given(generator: Inverter, _settings: RenderSettings) -> Inverter:
    return generator


@pytest.fixture(scope="module")
def held() -> Held:
    return Held()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, held: Held) -> Iterator[str]:
    jobs = tmp_path_factory.mktemp("previews") / "jobs"
    stands_in = {"musetalk-v15": Inverter(), HELD: held}
    backends = [BackendSpec(name, f"a stand-in for {name}", partial(_given, it)) for name, it in stands_in.items()]
    with opened_with(partial(LipSync, BackendRegistry((PREVIEW, *backends))), jobs) as address:
        yield address


@pytest.fixture
def visit(new_visitor: Callable[..., BrowserContext], address: str) -> Visit:
    return Visit(new_visitor().new_page(), address).open()


def part(visit: Visit, name: str) -> Locator:
    return visit.page.locator(f"#{name}")


def previewed(visit: Visit, *, by: str) -> None:
    """Wait for the frame that a backend painted."""
    expect(part(visit, "stamp")).to_have_text(f"Painted by {by}")
    expect(part(visit, "preview-status").locator("section")).to_be_hidden()


def test_the_newest_click_wins_and_the_picture_says_whose_it_is(visit: Visit, clips: Clips, held: Held) -> None:
    visit.give(clips.source, clips.voice)
    expect(part(visit, "stamp")).to_contain_text("faces only")
    expect(part(visit, "stale")).to_contain_text("Not in this picture yet: Voice.")
    held.stopped.clear()
    visit.choose(HELD)
    visit.button("Preview frame").click()
    expect(part(visit, "preview-status")).to_contain_text(f"Preview by {HELD}: painting")
    expect(part(visit, "preview-status")).to_contain_text("25 %")
    visit.choose("musetalk-v15")
    visit.button("Preview frame").click()
    previewed(visit, by="musetalk-v15")
    assert held.stopped.wait(HANG_SECONDS)
    expect(part(visit, "stale")).to_be_hidden()
    expect(visit.page.get_by_text("The same frame, speaking: musetalk-v15")).to_be_visible()


def test_what_has_changed_since_is_named_until_it_is_shown_or_taken_back(visit: Visit, clips: Clips) -> None:
    visit.give(clips.source, clips.voice)
    visit.button("Preview frame").click()
    previewed(visit, by=DRAFT)
    stale = part(visit, "stale")
    expect(stale).to_be_hidden()
    for fold in ("Mask", "Blending", "Enhancement", "Pauses", "Length", "Output"):
        visit.unfold(fold)  # nothing is changed by looking at it
    expect(visit.page.get_by_role("spinbutton", name="Padding")).to_be_visible()
    expect(stale).to_be_hidden()
    visit.set_number("Padding", 0.4)
    visit.choose("musetalk-v15")
    expect(stale).to_contain_text("Not in this picture yet: AnyBackend, Mask: padding.")
    visit.choose("preview")
    expect(stale).to_contain_text("Not in this picture yet: Mask: padding.")
    visit.set_number("Padding", 0)
    expect(stale).to_be_hidden()
    visit.page.get_by_label("Preview at (s)").fill("0:01")
    expect(stale).to_contain_text("Not in this picture yet: Preview at.")
    expect(part(visit, "stamp")).to_have_text(f"Painted by {DRAFT}")


def test_stop_ends_a_preview_and_keeps_what_was_shown(visit: Visit, clips: Clips, held: Held) -> None:
    visit.give(clips.source, clips.voice)
    visit.button("Preview frame").click()
    previewed(visit, by=DRAFT)
    before, stop = visit.frame.get_attribute("src"), visit.button("Stop")
    expect(stop).to_be_disabled()
    held.stopped.clear()
    visit.choose(HELD)
    visit.button("Preview frame").click()
    status = part(visit, "preview-status")
    expect(status.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    expect(visit.page.locator(".progress-text, .meta-text, .meta-text-center, .eta-bar")).to_have_count(0)
    stop.click()
    expect(status).to_contain_text("Preview stopped")
    assert held.stopped.wait(HANG_SECONDS)
    expect(stop).to_be_disabled()
    assert visit.frame.get_attribute("src") == before
    expect(part(visit, "stamp")).to_have_text(f"Painted by {DRAFT}")
    visit.say("Ready")


def test_closing_the_page_ends_its_preview(visit: Visit, clips: Clips, held: Held) -> None:
    visit.give(clips.source, clips.voice)
    held.stopped.clear()
    visit.choose(HELD)
    visit.button("Preview frame").click()
    expect(part(visit, "preview-status")).to_contain_text("25 %")
    visit.page.close()
    assert held.stopped.wait(HANG_SECONDS)


def chosen(visit: Visit, number: int) -> None:
    """Wait until a frame is shown in which that face is chosen."""
    button = part(visit, "faces").get_by_role("button", name=f"Face {number}", exact=True)
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(part(visit, "preview-status").locator("section")).to_be_hidden()


def test_a_click_beside_the_faces_chooses_nobody_and_says_so(visit: Visit, clips: Clips) -> None:
    visit.give_source(clips.source)
    chosen(visit, 1)
    before = visit.frame.get_attribute("src")
    visit.page.locator("#frame").scroll_into_view_if_needed()
    visit.click_frame((370, 20))
    expect(part(visit, "faces").get_by_role("status")).to_contain_text("No face there")
    expect(visit.page.get_by_role("radio", name="Largest")).to_be_checked()
    assert visit.frame.get_attribute("src") == before
    lines = part(visit, "lines")
    expect(lines).to_contain_text("the face that will speak")
    expect(lines).to_contain_text("edge of what is painted")
    visit.page.get_by_role("checkbox", name="Faces and mask").uncheck()
    expect(lines).to_be_hidden()


def test_faces_are_chosen_by_number_and_by_keys(visit: Visit, clips: Clips) -> None:
    visit.give_source(clips.source)
    chosen(visit, 1)
    point = visit.page.get_by_label("Point on the picked face")
    part(visit, "faces").get_by_role("button", name="Face 2", exact=True).press("Enter")
    chosen(visit, 2)
    expect(visit.page.get_by_role("radio", name="Picked")).to_be_checked()
    x, y = (float(side) for side in point.input_value().split(","))
    assert abs(x - clips.right[0]) < 40
    assert abs(y - clips.right[1]) < 40
    picture = visit.page.get_by_role("button", name="Preview frame: choose a face")
    picture.press("Enter")  # the next one
    chosen(visit, 1)
    picture.press("2")
    chosen(visit, 2)
    picture.press("7")
    expect(part(visit, "faces").get_by_role("status")).to_have_text("This frame shows 2 faces.")


def test_a_picked_face_is_forgotten_with_its_source(visit: Visit, clips: Clips) -> None:
    visit.give_source(clips.source)
    chosen(visit, 1)
    visit.page.locator("#frame").scroll_into_view_if_needed()
    visit.click_frame(clips.right)
    chosen(visit, 2)
    visit.page.get_by_role("button", name="Portrait").click()
    expect(part(visit, "faces").get_by_role("status")).to_contain_text("was in another source")
    expect(visit.page.get_by_role("radio", name="Largest")).to_be_checked()
    expect(visit.page.get_by_label("Point on the picked face")).to_be_hidden()
    expect(part(visit, "preview-status").locator("section")).to_be_hidden()
    expect(part(visit, "stale")).not_to_contain_text("Face")


def test_a_moment_is_taken_as_people_write_it_and_refused_where_there_is_none(visit: Visit, clips: Clips) -> None:
    visit.give(clips.source, clips.voice)
    moment, error = visit.page.get_by_label("Preview at (s)"), part(visit, "preview-status").get_by_role("alert")
    moment.fill("0:01")
    moment.press("Enter")
    previewed(visit, by=DRAFT)
    expect(part(visit, "note")).to_contain_text("Frame at 1.00 s of the source")
    for text, said in (
        ("soon", '"soon" is no moment'),
        ("99", "the output is 1.20 s long"),
        ("-1", "from 0 to 1.16 s"),
    ):
        moment.fill(text)
        moment.press("Enter")
        expect(error).to_contain_text(said)
    expect(part(visit, "note")).to_contain_text("Frame at 1.00 s of the source")
    moment.fill("0.5 s")
    expect(error).to_be_hidden()  # it is about to be mended
    moment.press("Enter")
    expect(part(visit, "note")).to_contain_text("Frame at 0.48 s of the source")


def test_the_source_is_played_and_the_timeline_seeks_and_says_what_a_frame_is(visit: Visit, clips: Clips) -> None:
    visit.generate(clips.source, clips.voice)
    visit.say("Done")
    source = visit.box("source").locator("video")
    source.evaluate("video => { video.muted = true; return video.play(); }")
    expect(source).to_have_js_property("ended", True)

    seek, told = (
        visit.page.get_by_role("slider", name="Go to a frame of the result"),
        part(visit, "report").locator(".mt-readout"),
    )
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


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_all_of_it_is_for_everybody(
    new_visitor: Callable[..., BrowserContext], address: str, clips: Clips, width: int, scheme: str
) -> None:
    context = new_visitor(color_scheme=scheme, viewport={"width": width, "height": 800})
    visit = Visit(context.new_page(), address).open()
    visit.give(clips.source, clips.voice)
    visit.button("Preview frame").click()
    previewed(visit, by=DRAFT)
    visit.choose(HELD)
    visit.button("Preview frame").click()
    expect(part(visit, "preview-status")).to_contain_text("25 %")
    expect(part(visit, "stale")).to_be_visible()
    assert others(severe(visit)) == set()
    assert sticking_out(visit) == []
    visit.button("Stop").click()
    expect(part(visit, "preview-status")).to_contain_text("Preview stopped")
    visit.page.get_by_label("Preview at (s)").fill("99")
    visit.choose("preview")
    visit.button("Preview frame").click()
    expect(part(visit, "preview-status").get_by_role("alert")).to_be_visible()
    assert others(severe(visit)) == set()
