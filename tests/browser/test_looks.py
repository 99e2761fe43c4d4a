"""Masks, enhancement, blending and pauses: what is asked, what the previewed frame makes of it, and its stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.browser.drive import BrowserContext, Clips, Visit, expect, stored
from tests.browser.test_access import others, severe, sticking_out
from tests.helpers.media import decode
from tests.helpers.restorers import write_restorer
from tests.helpers.served import Served, served

pytestmark = pytest.mark.integration
RESTORER = "brighter.pth"
FOLDS = ("Mask", "Blending", "Enhancement", "Pauses")
PANELS = ("source", "box", "crop", "masked", "generated", "enhanced", "mask", "composite", "difference")
PANEL, GAP, TITLE = 320, 8, 44  # pixels of the contact sheet: see musetalk.inspection.contact_sheet


@pytest.fixture(scope="module")
def looks_jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("looks") / "jobs"


@pytest.fixture(scope="module")
def looks(looks_jobs: Path) -> Iterator[Served]:
    models = looks_jobs.with_name("models")
    write_restorer(models / "gfpgan" / RESTORER, 0.25)
    with served(looks_jobs, "--models-dir", str(models)) as server:
        yield server


@pytest.fixture
def visit(new_visitor: Callable[..., BrowserContext], looks: Served) -> Visit:
    return Visit(new_visitor().new_page(), looks.address).open()


def painted(picture: np.ndarray, clips: Clips) -> np.ndarray:
    """Where a picture differs from the source, beyond what JPEG does: bool [h, w]."""
    return np.abs(picture - decode(clips.source)[0].astype(int)).max(axis=2) > 40


def panel(visit: Visit, name: str) -> np.ndarray:
    """One picture of the contact sheet: int [PANEL, PANEL, 3]."""
    row, column = divmod(PANELS.index(name), 3)
    y, x = GAP + row * (PANEL + TITLE + GAP) + TITLE, GAP + column * (PANEL + GAP)
    return visit.pixels(visit.page.locator("#sheet img"))[y : y + PANEL, x : x + PANEL]


def pick(visit: Visit, choice: str) -> None:
    visit.page.get_by_role("radio", name=choice, exact=True).click()


def switch_on(visit: Visit, name: str = RESTORER) -> None:
    visit.page.get_by_role("checkbox", name="Restore faces").check()
    model = visit.page.get_by_role("combobox", name="Model")
    model.click()
    visit.page.get_by_role("option", name=name).click()


def test_masks_change_the_previewed_frame_and_its_stages(visit: Visit, clips: Clips, tmp_path: Path) -> None:
    visit.give(clips.source, clips.voice)
    expect(visit.page.locator("#stages")).to_be_hidden()
    visit.unfold("Mask")
    pick(visit, "Ellipse")
    usual = visit.preview()
    visit.unfold("Every stage")
    expect(visit.page.locator("#sheet img")).to_be_visible()
    seen = panel(visit, "mask")
    visit.page.screenshot(path=tmp_path / "ellipse.png", full_page=True)

    visit.set_number("Padding", 0.4)
    padded = visit.preview()
    assert painted(padded, clips).sum() < 0.7 * painted(usual, clips).sum()
    assert panel(visit, "mask").sum() < 0.6 * seen.sum()
    np.testing.assert_array_equal(padded[:, 400:], usual[:, 400:])  # the other face
    visit.page.screenshot(path=tmp_path / "padded.png", full_page=True)

    visit.set_number("Padding", 0)
    np.testing.assert_array_equal(visit.preview(), usual)
    visit.set_number("Moved down", -0.3)
    visit.preview()
    rows = np.arange(PANEL)[:, None, None]
    moved = panel(visit, "mask")
    assert (moved * rows).sum() / moved.sum() < (seen * rows).sum() / seen.sum() - 10
    visit.page.screenshot(path=tmp_path / "moved.png", full_page=True)


def test_a_restorer_changes_the_previewed_frame_and_its_stages(visit: Visit, clips: Clips, tmp_path: Path) -> None:
    visit.give(clips.source, clips.voice)
    plain = visit.preview()
    visit.unfold("Every stage")
    expect(visit.page.locator("#sheet img")).to_be_visible()
    assert np.ptp(panel(visit, "enhanced")) < 20  # an empty panel
    visit.unfold("Enhancement")
    switch_on(visit)
    visit.set_number("Strength", 1)
    restored = visit.preview()
    assert np.ptp(panel(visit, "enhanced")) > 100
    brighter = (restored - plain).mean(axis=2)
    assert brighter[clips.left[1] + 40, clips.left[0]] > 40  # the chin
    np.testing.assert_array_equal(restored[:, 400:], plain[:, 400:])
    visit.page.screenshot(path=tmp_path / "restored.png", full_page=True)

    pick(visit, "Whole face")
    whole = (visit.preview() - plain).mean(axis=2)
    assert (whole > 40).sum() > 1.3 * (brighter > 40).sum()
    visit.page.screenshot(path=tmp_path / "whole face.png", full_page=True)
    visit.page.get_by_role("checkbox", name="Restore faces").uncheck()
    np.testing.assert_array_equal(visit.preview(), plain)


def test_a_restorer_without_weights_says_what_to_do(visit: Visit, clips: Clips) -> None:
    hint = visit.page.locator("#restorer-lacks")
    visit.give(clips.source, clips.voice)
    visit.unfold("Enhancement")
    expect(visit.page.get_by_role("combobox", name="Model")).to_be_hidden()
    expect(hint).to_be_hidden()
    visit.page.get_by_role("checkbox", name="Restore faces").check()
    expect(hint).to_contain_text("GFPGANv1.4.pth")
    visit.button("Preview frame").click()
    assert "GFPGANv1.4.pth" in visit.preview_error()
    switch_on(visit)
    expect(hint).to_be_hidden()
    switch_on(visit, "gfpgan")
    expect(hint).to_be_visible()
    visit.page.get_by_role("checkbox", name="Restore faces").uncheck()
    expect(hint).to_be_hidden()


def test_only_what_is_of_use_is_asked(visit: Visit) -> None:
    for fold in ("Mask", "Pauses"):
        visit.unfold(fold)
    for shape, drawn in (("Mouth", False), ("Box", True), ("Neck", False), ("As published", True)):
        pick(visit, shape)
        for label, there in (
            ("Padding", drawn),
            ("Blended square", not drawn),
            ("Kept above", not drawn),
            ("Steadied", not drawn),
            ("Moved down", True),
            ("Scale", True),
        ):
            expect(visit.page.get_by_label(label).first).to_be_visible(visible=there)
    pause = visit.page.get_by_label("Shortest pause").first
    expect(pause).to_be_hidden()
    for mode, there in (("Come to rest", True), ("As painted", False), ("Keep the source's mouth", True)):
        pick(visit, mode)
        expect(pause).to_be_visible(visible=there)


def test_a_render_has_the_looks_that_were_asked_for_and_says_who_restored(
    visit: Visit, clips: Clips, looks_jobs: Path
) -> None:
    for fold in FOLDS:
        visit.unfold(fold)
    pick(visit, "Box")
    pick(visit, "Never")
    visit.set_number("Scale", 1.5)
    pick(visit, "Poisson")
    visit.page.get_by_role("checkbox", name="Match the sharpness").uncheck()
    pick(visit, "Come to rest")
    visit.set_number("Shortest pause", 0.9)
    switch_on(visit)
    pick(visit, "256 pixels")
    job = visit.generate(clips.source, clips.voice)
    visit.say("Done")
    chips, report = visit.chips(), stored(looks_jobs, job, "report.json")
    said = report["settings"]
    assert (said["mask"]["shape"], said["mask"]["occlusion"], said["mask"]["mouth_scale_factor"]) == ("box", False, 1.5)
    assert said["blend"].items() >= {"method": "poisson", "color": "match", "sharpness": "none"}.items()
    assert said["silence"] == {"mode": "rest", "min_pause_seconds": 0.9, "fade_seconds": 0.2}
    assert (said["enhance"]["model"], said["enhance"]["upscale"]) == (RESTORER, 1)
    assert chips["restored"] == str(report["restored_frames"]) == "30"
    assert chips["restorer"].startswith(RESTORER)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark")])
def test_everybody_reaches_it_and_it_fits(
    new_visitor: Callable[..., BrowserContext], looks: Served, clips: Clips, width: int, scheme: str, tmp_path: Path
) -> None:
    context = new_visitor(color_scheme=scheme, viewport={"width": width, "height": 900})
    visit = Visit(context.new_page(), looks.address).open()
    for fold in FOLDS:
        visit.unfold(fold)
    pick(visit, "Come to rest")
    visit.page.get_by_role("checkbox", name="Restore faces").check()
    expect(visit.page.locator("#restorer-lacks")).to_be_visible()
    visit.page.screenshot(path=tmp_path / f"form {width} {scheme}.png", full_page=True)
    switch_on(visit)
    visit.give(clips.source, clips.voice)
    visit.preview()
    visit.unfold("Every stage")
    expect(visit.page.locator("#sheet img")).to_be_visible()
    visit.page.screenshot(path=tmp_path / f"stages {width} {scheme}.png", full_page=True)
    assert others(severe(visit)) == set()
    assert sticking_out(visit) == []
