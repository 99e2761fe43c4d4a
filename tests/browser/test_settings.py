"""Ways through the page for keyboards and phones, and what it says of settings that were changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.drive import BrowserContext, Visit, expect
from tests.browser.test_access import others, severe
from tests.helpers.served import Served

pytestmark = pytest.mark.integration
FOCUSED = "() => document.activeElement.id"


@pytest.mark.parametrize("width", [1280, 390])
def test_generate_is_soon_reached_by_the_keyboard(
    new_visitor: Callable[..., BrowserContext], server: Served, width: int
) -> None:
    visit = Visit(new_visitor().new_page(), server.address).open()
    visit.page.set_viewport_size({"width": width, "height": 844})
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.keyboard.press("Tab")
    skip = visit.page.get_by_role("link", name="Skip to Generate")
    expect(skip).to_be_focused()
    assert others(severe(visit)) == set()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#generate")).to_be_focused()
    expect(visit.page.locator("#generate")).to_be_in_viewport()

    skip.focus()
    for _ in range(20):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate(FOCUSED) == "generate":
            break
    expect(visit.page.locator("#generate")).to_be_focused()


def test_the_skip_link_leads_to_what_starts_on_each_tab(visit: Visit) -> None:
    visit.tab("Compare")
    expect(visit.page.locator(".stage .actions button.primary:visible")).to_have_text("Compare")
    visit.page.locator(".mt-skip").focus()
    expect(visit.page.locator(".mt-skip")).to_have_text("Skip to Compare")
    visit.tab("Models")
    visit.page.locator(".mt-skip").focus()
    expect(visit.page.locator(".mt-skip")).to_have_text("Skip to Generate")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#generate")).to_be_focused()


def test_folds_say_what_was_changed_and_all_of_it_is_reset(visit: Visit) -> None:
    fold, reset = visit.page.get_by_role("button", name="Mask"), visit.page.locator("#reset")
    expect(reset).to_be_disabled()
    visit.unfold("Mask")
    visit.page.get_by_role("radio", name="Box", exact=True).click()
    visit.set_number("Scale", 1.5)
    visit.set_number("Mouth opening", 4)
    visit.page.get_by_role("radio", name="Leftmost").click()
    expect(fold).to_contain_text("Mask (2 changed)")
    expect(reset).to_have_text("Reset all (4 changed)")
    visit.unfold("Mask")  # closed, it says so all the same
    expect(fold).to_contain_text("Mask (2 changed)")
    reset.click()
    expect(reset).to_be_disabled()
    expect(reset).to_have_text("Reset all")
    expect(fold).not_to_contain_text("changed")
    expect(visit.page.get_by_role("radio", name="Largest")).to_be_checked()
    visit.unfold("Mask")
    expect(visit.page.get_by_role("radio", name="As published", exact=True)).to_be_checked()
