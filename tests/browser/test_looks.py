"""Masks and enhancers: what the previewed frame makes of them, and its stages."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser.drive import BY_THE_APP, ENHANCER, Clips, Visit, expect
from tests.browser.test_access import others, severe_by_day_and_night, sticking_out
from tests.helpers.media import decode

pytestmark = [pytest.mark.integration, BY_THE_APP]
PANELS = ("source", "box", "crop", "masked", "generated", "enhanced", "mask", "composite", "difference")
PANEL, GAP, TITLE = 320, 8, 44  # pixels of the contact sheet: see musetalk.inspection.contact_sheet


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


def choose(visit: Visit, enhancer: str) -> None:
    model = visit.page.get_by_role("combobox", name="Model")
    model.click()
    visit.page.get_by_role("option", name=enhancer).click()


def test_masks_and_an_enhancer_change_the_previewed_frame_and_its_stages(visit: Visit, clips: Clips) -> None:
    visit.give(clips.source, clips.voice)
    expect(visit.page.locator("#stages")).to_be_hidden()
    visit.unfold("Mask")
    pick(visit, "Ellipse")
    usual = visit.preview()
    visit.unfold("Every stage")
    expect(visit.page.locator("#sheet img")).to_be_visible()
    mask = panel(visit, "mask")
    assert np.ptp(panel(visit, "enhanced")) < 20  # an empty panel

    visit.set_number("Padding", 0.4)
    padded = visit.preview()
    assert painted(padded, clips).sum() < 0.7 * painted(usual, clips).sum()
    assert panel(visit, "mask").sum() < 0.6 * mask.sum()
    np.testing.assert_array_equal(padded[:, 400:], usual[:, 400:])  # the other face
    visit.set_number("Padding", 0)

    hint, enhance = visit.page.locator("#enhancer-lacks"), visit.page.get_by_role("checkbox", name="Enhance faces")
    visit.unfold("Enhancement")
    expect(visit.page.get_by_role("combobox", name="Model")).to_be_hidden()
    expect(hint).to_be_hidden()
    enhance.check()
    expect(hint).to_contain_text("GFPGANv1.4.pth")
    visit.button("Preview frame").click()
    assert "GFPGANv1.4.pth" in visit.preview_error()
    choose(visit, ENHANCER)
    expect(hint).to_be_hidden()
    visit.set_number("Strength", 1)
    enhanced = visit.preview()
    assert np.ptp(panel(visit, "enhanced")) > 100
    brighter = (enhanced - usual).mean(axis=2)
    assert brighter[clips.left[1] + 40, clips.left[0]] > 30  # the chin, of which the mask shows a part
    np.testing.assert_array_equal(enhanced[:, 400:], usual[:, 400:])
    visit.resize(390, 900)
    assert sticking_out(visit) == []
    assert others(severe_by_day_and_night(visit)) == set()

    choose(visit, "gfpgan")
    expect(hint).to_be_visible()
    enhance.uncheck()
    expect(hint).to_be_hidden()
    np.testing.assert_array_equal(visit.preview(), usual)
