"""Ways through the page for keyboards; which settings are asked for; what is said of those that were changed."""

from __future__ import annotations

import re

import pytest

from tests.browser.drive import BY_THE_APP, Visit, expect
from tests.browser.test_access import others, severe

pytestmark = [pytest.mark.integration, BY_THE_APP]
FOCUSED = """() => {
  const at = document.activeElement;
  return (at.getAttribute("aria-label") || at.innerText || at.value || at.tagName).trim();
}"""


def test_the_keyboard_leads_past_inputs_and_backends_and_soon_to_what_starts(visit: Visit) -> None:
    page, generate, skip = visit.page, visit.page.locator("#generate"), visit.page.locator(".mt-skip")
    page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    for width in (1280, 390):
        visit.resize(width, 844)
        skip.focus()
        reached = [page.evaluate(FOCUSED)]
        while "Generate" not in reached and len(reached) < 25:
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))
        expect(generate).to_be_focused()
        assert generate.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
        order = [reached.index(name) for name in ("Skip to Generate", "Dub", "auto", "Preview frame", "Generate")]
        assert order == sorted(order), width

        skip.focus()
        assert others(severe(visit)) == set(), width
        page.keyboard.press("Enter")
        expect(generate).to_be_focused()
        expect(generate).to_be_in_viewport()

    visit.tab("Compare")
    expect(page.locator(".stage .actions button.primary:visible")).to_have_text("Compare")
    skip.focus()
    expect(skip).to_have_text("Skip to Compare")
    visit.tab("Models")
    expect(page.locator(".stage .actions button.primary:visible")).to_have_count(0)
    skip.focus()
    expect(skip).to_have_text("Skip to Generate")
    page.keyboard.press("Enter")
    expect(generate).to_be_focused()


def pick(visit: Visit, choice: str) -> None:
    visit.page.get_by_role("radio", name=choice, exact=True).click()


def asked(visit: Visit, label: str, *, there: bool) -> None:
    expect(visit.page.get_by_label(label).first).to_be_visible(visible=there)


def offered(visit: Visit, fold: str, *, there: bool) -> None:
    expect(visit.page.get_by_role("button", name=re.compile(f"^{fold}"))).to_be_visible(visible=there)


def ask_by_backend(visit: Visit) -> None:
    shift, margin = "Mouth opening (bbox_shift)", "Extra margin"
    folds = ("MuseTalk", "LatentSync", "Network")
    for backend, there in (
        ("musetalk-v15", {"MuseTalk", "Network"}),
        ("musetalk-v1", {"Network"}),
        ("latentsync-1.5", {"LatentSync", "Network"}),
        ("preview", set[str]()),
    ):
        visit.choose(backend)
        for fold in folds:
            offered(visit, fold, there=fold in there)
        asked(visit, shift, there="LatentSync" not in there)
    visit.choose("latentsync-1.5")
    visit.unfold("LatentSync")
    pick(visit, "MuseTalk's crops")
    asked(visit, shift, there=True)
    visit.page.get_by_role("radio", name="Aligned").click()
    asked(visit, shift, there=False)
    visit.choose("musetalk-v15")
    visit.unfold("MuseTalk")
    asked(visit, margin, there=True)
    visit.choose("musetalk-v1")
    asked(visit, margin, there=False)


def ask_by_mask(visit: Visit) -> None:
    parts = {"drawn": "Soft edge of ellipse and box", "parsed": "Soft edge of jaw", "jaw": "Left cheek width"}
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
        pick(visit, shape)
        for part, label in parts.items():
            asked(visit, label, there=part in seen)
    visit.choose("preview")
    for shape, drawn in (("Mouth", False), ("Box", True)):
        pick(visit, shape)
        asked(visit, "Padding", there=drawn)
        asked(visit, "Blended square", there=not drawn)
        asked(visit, "Scale", there=True)
    visit.unfold("Pauses")
    asked(visit, "Shortest pause", there=False)
    pick(visit, "Come to rest")
    asked(visit, "Shortest pause", there=True)


def tell_and_reset(visit: Visit) -> None:
    """What is not as usual is counted by the folds, closed ones too, and by the button that resets it."""
    fold, reset = visit.page.get_by_role("button", name="Mask"), visit.page.locator("#reset")
    reset.click()
    expect(reset).to_be_disabled()
    expect(reset).to_have_text("Reset all")
    pick(visit, "Box")
    visit.set_number("Scale", 1.5)
    visit.set_number("Mouth opening", 4)
    pick(visit, "Leftmost")
    expect(fold).to_contain_text("Mask (2 changed)")
    expect(reset).to_have_text("Reset all (4 changed)")
    visit.unfold("Mask")  # closed, it says so all the same
    expect(fold).to_contain_text("Mask (2 changed)")
    reset.click()
    expect(reset).to_be_disabled()
    expect(fold).not_to_contain_text("changed")


def finish_and_reset(visit: Visit) -> None:
    """Frame steps are picked from a list or typed with their options, in a row."""
    visit.unfold("Output")
    steps = visit.page.get_by_label("Finishing")
    fold = visit.page.get_by_role("button", name=re.compile("^Output"))
    steps.click()
    visit.page.get_by_role("option", name="upscale", exact=True).click()
    visit.fill(steps, "label:text=Made by AI")
    steps.press("Enter")
    expect(fold).to_contain_text("Output (1 changed)")
    for text in ("upscale", "label:text=Made by AI"):
        expect(visit.page.locator(".dub .token", has_text=text)).to_be_visible()
    visit.page.locator("#reset").click()
    expect(visit.page.locator(".dub .token")).to_have_count(0)
    expect(fold).not_to_contain_text("changed")


def test_only_what_is_of_use_is_asked_and_what_was_changed_is_told_and_reset(visit: Visit) -> None:
    ask_by_backend(visit)
    ask_by_mask(visit)
    tell_and_reset(visit)
    finish_and_reset(visit)
    expect(visit.page.get_by_role("radio", name="Largest")).to_be_checked()
    visit.unfold("Mask")
    expect(visit.page.get_by_role("radio", name="As published", exact=True)).to_be_checked()
