"""The form and the preview frame with a backend that is a network's: a stand-in that needs no weights."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from musetalk.backends.musetalk.spec import V1, V15
from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.faces.parsing.face_extent import parsing_view
from musetalk.faces.parsing.labels import LABEL_SIDE, FaceLabel
from musetalk.faces.parsing.parsed_faces import ParsedFace
from musetalk.inspection.frame import FramePreview
from musetalk.lipsync import LipSync
from musetalk.utils.arrays import UInt8Array
from tests.browser.drive import BrowserContext, Clips, Visit, expect, opened_with, stored
from tests.browser.test_access import others, severe_by_day_and_night, sticking_out

pytestmark = pytest.mark.integration
CROP = (255, 158, 205)  # RGB of the crop's lines


class Inverter:
    """Sees as MuseTalk 1.5 does, and paints the negative of what it sees."""

    crop_size = 256
    clip_length = 8
    spec = GeneratorSpec(framing="halved", margin_below=True, mask="jaw")
    device = "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        return 255 - clip.crops


class ParsingEngine(LipSync):
    """Says of each face in a preview that its upper half is hair, its lower half skin."""

    def preview_frame(self, *arguments: Any, **options: Any) -> FramePreview:  # noqa: ANN401 - as it is called
        found = super().preview_frame(*arguments, **options)
        if found.shift_range is None:
            return found
        labels = np.full((LABEL_SIDE, LABEL_SIDE), FaceLabel.SKIN, np.uint8)
        labels[: LABEL_SIDE // 2] = FaceLabel.HAIR
        return replace(found, parsed=tuple(ParsedFace(labels, parsing_view(face.box)) for face in found.chosen))


def backends() -> BackendRegistry:
    stands_in = [
        BackendSpec(each.name, f"a stand-in for {each.name}", lambda _: Inverter(), ui_groups=each.ui_groups)
        for each in (V15, V1)
    ]
    return BackendRegistry((PREVIEW, *stands_in))


@pytest.fixture(scope="module")
def neural_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("neural") / "jobs"


@pytest.fixture(scope="module")
def address(neural_jobs: Path) -> Iterator[str]:
    with opened_with(partial(ParsingEngine, backends()), neural_jobs) as address:
        yield address


@pytest.fixture
def visit(new_visitor: Callable[..., BrowserContext], address: str) -> Visit:
    return Visit(new_visitor().new_page(), address).open()


def shown(visit: Visit) -> np.ndarray:
    """The preview frame: int [h, w, 3], RGB."""
    data = visit.page.request.get(visit.frame.get_attribute("src") or "").body()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def toggle(visit: Visit, name: str) -> np.ndarray:
    """Switch an overlay, and wait for the frame with it."""
    before = visit.frame.get_attribute("src") or ""
    visit.page.get_by_role("checkbox", name=name, exact=True).click()
    expect(visit.frame).not_to_have_attribute("src", before)
    return shown(visit)


def became(picture: np.ndarray, before: np.ndarray, color: tuple[int, int, int]) -> int:
    """Pixels that have come nearer to a color."""
    return int((np.abs(picture - color).sum(axis=2) < np.abs(before - color).sum(axis=2) - 60).sum())


def preview(visit: Visit) -> None:
    """With a voice."""
    visit.button("Preview frame").click()
    expect(visit.page.locator("#speaking img")).to_be_visible()
    expect(visit.page.locator("#note")).to_contain_text("bbox_shift is useful from -")
    expect(visit.page.locator("#note .pending")).to_have_count(0)


def test_settings_of_networks_show_with_them_alone(visit: Visit) -> None:
    margin, decoder = visit.page.get_by_label("Extra margin").first, visit.page.get_by_role("radio", name="Exact")
    crop, network = (visit.page.get_by_role("button", name=re.compile(f"^{name}")) for name in ("MuseTalk", "Network"))
    expect(crop).to_be_hidden()
    expect(network).to_be_hidden()
    visit.choose("musetalk-v15")
    visit.unfold("MuseTalk")
    visit.unfold("Network")
    expect(margin).to_be_visible()
    expect(decoder).to_be_visible()
    expect(visit.page.get_by_role("button", name="LatentSync")).to_be_hidden()
    visit.choose("musetalk-v1")
    expect(crop).to_be_hidden()
    expect(margin).to_be_hidden()
    expect(decoder).to_be_visible()
    visit.choose("preview")
    expect(network).to_be_hidden()
    expect(decoder).to_be_hidden()


def test_only_what_shapes_the_mask_is_asked(visit: Visit) -> None:
    labels = {"drawn": "Soft edge of ellipse and box", "parsed": "Soft edge of jaw", "jaw": "Left cheek width"}
    visit.unfold("Mask")
    for backend, shape, seen in (
        ("preview", "As published", {"drawn"}),
        ("preview", "Jaw", {"parsed", "jaw"}),
        ("musetalk-v15", "Neck", {"parsed"}),
        ("musetalk-v15", "Ellipse", {"drawn"}),
        ("musetalk-v15", "As published", {"drawn", "parsed", "jaw"}),
        ("musetalk-v1", "As published", {"drawn", "parsed"}),
    ):
        visit.choose(backend)
        visit.page.get_by_role("radio", name=shape).click()
        for part, label in labels.items():
            expect(visit.page.get_by_label(label).first).to_be_visible(visible=part in seen)


def test_overlays_are_drawn_into_the_frame_without_another_preview(visit: Visit, clips: Clips) -> None:
    visit.choose("musetalk-v15")
    visit.give(clips.source, clips.voice)
    preview(visit)
    before = shown(visit)
    crop = toggle(visit, "Crop")
    assert became(crop, before, CROP) > 500
    tinted = toggle(visit, "Parsing")
    blue = (tinted - crop)[..., 2] - (tinted - crop)[..., 0]
    assert (blue > 30).sum() > 1000
    expect(visit.page.get_by_role("list", name="Colours of the parsing")).to_have_text("skinhair")
    expect(visit.page.locator("#speaking img")).to_be_visible()

    toggle(visit, "Crop")
    toggle(visit, "Parsing")
    expect(visit.page.locator("#legend li")).to_have_count(0)
    np.testing.assert_array_equal(shown(visit), before)
    assert (np.abs(toggle(visit, "Faces and mask") - crop).max(axis=2) > 60).any()
    visit.page.reload()
    expect(visit.page.get_by_role("checkbox", name="Crop")).to_be_hidden()


def test_overlays_that_a_frame_lacks_come_back_with_the_next(visit: Visit, clips: Clips) -> None:
    visit.choose("musetalk-v15")
    visit.give(clips.source, clips.voice)
    preview(visit)
    toggle(visit, "Parsing")
    visit.choose("preview")
    before = visit.frame.get_attribute("src") or ""
    visit.button("Preview frame").click()
    expect(visit.frame).not_to_have_attribute("src", before)
    parsing = visit.page.get_by_role("checkbox", name="Parsing")
    expect(parsing).to_be_hidden()
    expect(visit.page.get_by_role("checkbox", name="Crop")).to_be_visible()
    expect(visit.page.locator("#note")).not_to_contain_text("bbox_shift")
    visit.choose("musetalk-v15")
    preview(visit)
    expect(parsing).to_be_checked()
    expect(visit.page.locator("#legend li")).to_have_count(2)


def test_visitors_see_their_own_frames(
    visit: Visit, new_visitor: Callable[..., BrowserContext], address: str, clips: Clips
) -> None:
    other = Visit(new_visitor().new_page(), address).open()
    visit.give(clips.source, clips.voice)
    other.page.get_by_role("button", name="Portrait").click()
    expect(other.frame).to_be_visible()
    assert toggle(visit, "Crop").shape == (360, 640, 3)
    assert toggle(other, "Crop").shape != (360, 640, 3)


def test_a_render_says_its_backend_and_the_settings_it_was_given(visit: Visit, clips: Clips, neural_jobs: Path) -> None:
    visit.choose("musetalk-v15")
    visit.unfold("Network")
    visit.page.get_by_role("radio", name="Tiny").click()
    visit.page.get_by_role("spinbutton", name="Batch size").fill("3")
    job = visit.generate(clips.source, clips.voice)
    visit.say("Done")
    assert visit.play()["seconds"] == pytest.approx(1.2, abs=0.05)
    assert visit.chips()["backend"] == "musetalk-v15, cpu"
    settings = stored(neural_jobs, job, "report.json")["settings"]
    assert settings["backend"] == "musetalk-v15"
    assert settings["network"]["decoder"] == "tiny"
    assert settings["network"]["batch_size"] == 3


def test_a_parsed_mask_without_its_weights_says_what_to_do(visit: Visit, clips: Clips) -> None:
    visit.give(clips.source, clips.voice)
    visit.unfold("Mask")
    visit.page.get_by_role("radio", name="Jaw").click()
    visit.button("Preview frame").click()
    assert "79999_iter.pth" in visit.preview_error()


def test_axe_finds_nothing_severe_in_what_is_shown_here(visit: Visit, clips: Clips) -> None:
    visit.choose("musetalk-v15")
    visit.unfold("Mask")
    visit.unfold("MuseTalk")
    visit.unfold("Network")
    visit.give(clips.source, clips.voice)
    preview(visit)
    toggle(visit, "Parsing")
    expect(visit.page.locator("#note .pending")).to_have_count(0)
    assert others(severe_by_day_and_night(visit)) == set()


def test_a_phone_reaches_what_is_shown_here(
    new_visitor: Callable[..., BrowserContext], address: str, clips: Clips
) -> None:
    context = new_visitor(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    visit = Visit(context.new_page(), address).open()
    visit.page.locator(".mt-picker input[value=musetalk-v15]").tap()
    for fold in ("Mask", "MuseTalk", "Network", "Faces"):
        visit.page.get_by_role("button", name=re.compile(f"^{fold}")).tap()
    visit.give(clips.source, clips.voice)
    preview(visit)
    toggle(visit, "Parsing")
    assert sticking_out(visit) == []
    for name in ("Jaw", "fp16", "Haar"):
        visit.page.get_by_text(name, exact=True).tap(trial=True)
