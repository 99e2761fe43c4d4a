"""The preview frame and what is uploaded, over an engine that does as it is told.

Whose a frame is, since when it is out of date, how it is ended, how faces are chosen in it, what is drawn into it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.faces.parsing.face_extent import parsing_view
from musetalk.faces.parsing.labels import LABEL_SIDE, FaceLabel
from musetalk.faces.parsing.parsed_faces import ParsedFace
from musetalk.inspection.frame import FramePreview
from musetalk.lipsync import LipSync
from musetalk.media.types import Source
from musetalk.settings import RenderSettings, SourceSettings
from musetalk.utils.arrays import UInt8Array
from tests.browser.drive import BY_OTHERS, Clips, Locator, Visit, expect, opened_with
from tests.browser.test_access import others, severe_by_day_and_night, sticking_out
from tests.helpers.programs import HANG_SECONDS

pytestmark = [pytest.mark.integration, BY_OTHERS]
DRAFT = "Draft, which is no lip-sync"
INVERTED, HELD = "musetalk-v15", "musetalk-v1"
CROP = (255, 158, 205)  # RGB of the crop's lines
SLOW = "slow.mp4"


class Inverter:
    """Sees as MuseTalk 1.5 does, and paints the negative of what it sees."""

    crop_size = 256
    clip_length = 8
    spec = GeneratorSpec(framing="halved", margin_below=True, mask="jaw")
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


class Engine(LipSync):
    """Says of each face in a preview that its upper half is hair, its lower half skin; looks at `SLOW` until told."""

    def __init__(self, registry: BackendRegistry) -> None:
        super().__init__(registry)
        self.looking, self.go_on = threading.Event(), threading.Event()

    def preview_frame(self, *arguments: Any, **options: Any) -> FramePreview:  # noqa: ANN401 - as it is called
        found = super().preview_frame(*arguments, **options)
        if found.shift_range is None:
            return found
        labels = np.full((LABEL_SIDE, LABEL_SIDE), FaceLabel.SKIN, np.uint8)
        labels[: LABEL_SIDE // 2] = FaceLabel.HAIR
        return replace(found, parsed=tuple(ParsedFace(labels, parsing_view(face.box)) for face in found.chosen))

    def check_source(self, video: Path, wanted: SourceSettings) -> Source:
        if video.name == SLOW:
            self.looking.set()
            assert self.go_on.wait(HANG_SECONDS)
        return super().check_source(video, wanted)


def _given(generator: Inverter, _settings: RenderSettings) -> Inverter:
    return generator


@pytest.fixture(scope="module")
def held() -> Held:
    return Held()


@pytest.fixture(scope="module")
def engine(held: Held) -> Engine:
    stands_in = {INVERTED: Inverter(), HELD: held}
    backends = [BackendSpec(name, f"a stand-in for {name}", partial(_given, it)) for name, it in stands_in.items()]
    return Engine(BackendRegistry((PREVIEW, *backends)))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[str]:
    with opened_with(lambda **_: engine, tmp_path_factory.mktemp("previews") / "jobs") as address:
        yield address


@pytest.fixture
def visit(new_visitor: Callable[..., Visit], address: str) -> Visit:
    return new_visitor(address).open()


def part(visit: Visit, name: str) -> Locator:
    return visit.page.locator(f"#{name}")


def previewed(visit: Visit, *, by: str) -> None:
    """Wait for the frame that a backend painted."""
    expect(part(visit, "stamp .mt-stamp")).to_have_text(f"Painted by {by}")
    expect(part(visit, "preview-status").locator("section")).to_be_hidden()


def held_at_a_quarter(visit: Visit, held: Held) -> Locator:
    """Ask for a frame that does not come; returns where that is said."""
    held.stopped.clear()
    visit.choose(HELD)
    visit.button("Preview frame").click()
    status = part(visit, "preview-status")
    expect(status).to_contain_text(f"Preview by {HELD}: painting")
    expect(status).to_contain_text("25 %")
    return status


def for_everybody(visit: Visit) -> None:
    for width in (390, 1280):
        visit.resize(width, 800)
        assert sticking_out(visit) == [], width
    assert others(severe_by_day_and_night(visit)) == set()


def test_the_newest_click_wins_and_a_preview_ends_with_stop_or_with_its_page(
    visit: Visit, clips: Clips, held: Held
) -> None:
    visit.give(clips.source, clips.voice)
    expect(part(visit, "stamp .mt-stamp")).to_contain_text("faces only")
    expect(part(visit, "stale")).to_contain_text("Not in this picture yet: Voice.")
    held_at_a_quarter(visit, held)
    visit.choose(INVERTED)
    visit.button("Preview frame").click()
    previewed(visit, by=INVERTED)
    assert held.stopped.wait(HANG_SECONDS)
    expect(part(visit, "stale")).to_be_hidden()
    expect(visit.page.get_by_text(f"The same frame, speaking: {INVERTED}")).to_be_visible()

    before, stop = visit.frame.get_attribute("src"), visit.button("Stop")
    expect(stop).to_be_disabled()
    status = held_at_a_quarter(visit, held)
    expect(status.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    expect(visit.page.locator(".progress-text, .meta-text, .meta-text-center, .eta-bar")).to_have_count(0)
    expect(part(visit, "stale")).to_be_visible()
    for_everybody(visit)
    stop.click()
    expect(status).to_contain_text("Preview stopped")
    assert held.stopped.wait(HANG_SECONDS)
    expect(stop).to_be_disabled()
    assert visit.frame.get_attribute("src") == before
    expect(part(visit, "stamp .mt-stamp")).to_have_text(f"Painted by {INVERTED}")
    visit.say("Ready")

    held_at_a_quarter(visit, held)
    visit.page.close()
    assert held.stopped.wait(HANG_SECONDS)


def test_what_has_changed_since_is_named_and_a_moment_is_taken_as_people_write_it(visit: Visit, clips: Clips) -> None:
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
    visit.choose(INVERTED)
    expect(stale).to_contain_text("Not in this picture yet: Backend, Mask: padding.")
    visit.choose("auto")
    expect(stale).to_contain_text("Not in this picture yet: Mask: padding.")
    visit.set_number("Padding", 0)
    expect(stale).to_be_hidden()
    visit.fill(visit.page.get_by_label("Preview at (s)"), "0:01")
    expect(stale).to_contain_text("Not in this picture yet: Preview at.")
    expect(part(visit, "stamp .mt-stamp")).to_have_text(f"Painted by {DRAFT}")

    moment, error = visit.page.get_by_label("Preview at (s)"), part(visit, "preview-status").get_by_role("alert")
    moment.press("Enter")
    expect(stale).to_be_hidden()
    expect(part(visit, "note")).to_contain_text("Frame at 1.00 s of the source")
    for text, said in (
        ("soon", '"soon" is no moment'),
        ("99", "the output is 1.20 s long"),
        ("-1", "from 0 to 1.16 s"),
    ):
        visit.fill(moment, text)
        expect(stale).to_contain_text("Preview at")  # the page has taken in what was typed,
        expect(error).to_be_hidden()  # and put away what was said of the text before
        moment.press("Enter")
        expect(error).to_contain_text(said)
    expect(part(visit, "note")).to_contain_text("Frame at 1.00 s of the source")
    visit.fill(moment, "0.5 s")
    expect(error).to_be_hidden()  # it is about to be mended
    moment.press("Enter")
    expect(part(visit, "note")).to_contain_text("Frame at 0.48 s of the source")


def chosen(visit: Visit, number: int) -> None:
    """Wait until a frame is shown in which that face is chosen."""
    button = part(visit, "faces").get_by_role("button", name=f"Face {number}", exact=True)
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(part(visit, "preview-status").locator("section")).to_be_hidden()


def test_faces_are_chosen_by_clicks_numbers_and_keys_and_forgotten_with_their_source(
    visit: Visit, clips: Clips
) -> None:
    visit.give_source(clips.source)
    chosen(visit, 1)
    before, told = visit.frame.get_attribute("src"), part(visit, "faces").get_by_role("status")
    visit.page.locator("#frame").scroll_into_view_if_needed()
    visit.click_frame((370, 20))
    expect(told).to_contain_text("No face there")
    expect(visit.page.get_by_role("radio", name="Largest")).to_be_checked()
    assert visit.frame.get_attribute("src") == before
    lines = part(visit, "lines")
    expect(lines).to_contain_text("the face that will speak")
    expect(lines).to_contain_text("edge of what is painted")

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
    expect(told).to_have_text("This frame shows 2 faces.")
    visit.page.get_by_role("checkbox", name="Faces and mask").uncheck()
    expect(lines).to_be_hidden()

    visit.page.get_by_role("button", name="Portrait").click()
    expect(told).to_contain_text("was in another source")
    expect(visit.page.get_by_role("radio", name="Largest")).to_be_checked()
    expect(point).to_be_hidden()
    expect(part(visit, "preview-status").locator("section")).to_be_hidden()
    expect(part(visit, "stale")).not_to_contain_text("Face")


def shown(visit: Visit) -> np.ndarray:
    """The preview frame: int [h, w, 3], RGB."""
    return visit.pixels(visit.frame)


def toggle(visit: Visit, name: str) -> np.ndarray:
    """Switch an overlay, and wait for the frame with it."""
    before = visit.frame.get_attribute("src") or ""
    visit.page.get_by_role("checkbox", name=name, exact=True).click()
    expect(visit.frame).not_to_have_attribute("src", before)
    return shown(visit)


def became(picture: np.ndarray, before: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels that have come nearer to a colour."""
    return int((np.abs(picture - colour).sum(axis=2) < np.abs(before - colour).sum(axis=2) - 60).sum())


def preview(visit: Visit) -> None:
    """With a voice."""
    visit.button("Preview frame").click()
    expect(visit.page.locator("#speaking img")).to_be_visible()
    expect(visit.page.locator("#note")).to_contain_text("bbox_shift is useful from -")
    expect(visit.page.locator("#note .pending")).to_have_count(0)


def test_overlays_are_drawn_into_the_frame_without_another_preview_and_come_back_with_the_next(
    visit: Visit, clips: Clips
) -> None:
    visit.choose(INVERTED)
    visit.give(clips.source, clips.voice)
    preview(visit)
    before = shown(visit)
    crop = toggle(visit, "Crop")
    assert became(crop, before, CROP) > 500
    tinted = toggle(visit, "Parsing")
    blue = (tinted - crop)[..., 2] - (tinted - crop)[..., 0]
    assert (blue > 30).sum() > 1000
    expect(visit.page.get_by_role("list", name="Colours of the parsing")).to_have_text("skinhair")
    expect(visit.speaking).to_be_visible()
    for_everybody(visit)

    toggle(visit, "Crop")
    toggle(visit, "Parsing")
    expect(visit.page.locator("#legend li")).to_have_count(0)
    np.testing.assert_array_equal(shown(visit), before)
    assert (np.abs(toggle(visit, "Faces and mask") - crop).max(axis=2) > 60).any()

    # What a frame lacks comes back with the next one that has it.
    toggle(visit, "Parsing")
    parsing = visit.page.get_by_role("checkbox", name="Parsing")
    visit.choose("preview")
    visit.button("Preview frame").click()
    previewed(visit, by=DRAFT)
    expect(parsing).to_be_hidden()
    expect(visit.page.get_by_role("checkbox", name="Crop")).to_be_visible()
    expect(visit.page.locator("#note")).not_to_contain_text("bbox_shift")
    visit.choose(INVERTED)
    preview(visit)
    expect(parsing).to_be_checked()
    expect(visit.page.locator("#legend li")).to_have_count(2)
    visit.page.reload()
    expect(visit.page.get_by_role("checkbox", name="Crop")).to_be_hidden()


def test_the_newest_upload_wins_whatever_is_looked_at_longer(
    visit: Visit, engine: Engine, clips: Clips, tmp_path: Path
) -> None:
    first, slow = (Path(shutil.copy(clips.source, tmp_path / name)) for name in ("first.mp4", SLOW))
    box = visit.box("source")
    visit.give_source(first)
    visit.held("source", "first.mp4")
    for cancelled in (True, False):
        engine.looking.clear()
        engine.go_on.clear()
        visit.give_source(slow)
        expect(box.locator(".mt-media-figures")).to_have_text("Looking at it")
        assert engine.looking.wait(HANG_SECONDS)
        if cancelled:
            box.get_by_role("button", name="Cancel").click()
            visit.held("source", "first.mp4")
        visit.give_source(clips.source)
        visit.held("source", clips.source.name)
        engine.go_on.set()  # the older answer comes last
        visit.give_voice(clips.voice)
        visit.held("voice", "voice.wav")  # by when it has come
        visit.held("source", clips.source.name)
        expect(box.get_by_role("progressbar")).to_be_hidden()
