"""The cards of backends, with more of them than every machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gradio as gr
import pytest

from musetalk.webui.form.backend_picker import BackendEntry, backend_cards, backend_picker
from tests.browser.drive import BrowserContext, Page, expect, opened

pytestmark = pytest.mark.integration
ENTRIES = (
    BackendEntry("first", "a backend", ()),
    BackendEntry("lacking", "another one", ("weights are missing: fetch them",)),
    BackendEntry("last", "a third", ()),
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A page of cards, of what was chosen, and of a button by which the server chooses."""
    with gr.Blocks(analytics_enabled=False) as page:
        picker = backend_picker(ENTRIES, "first")
        said = gr.Textbox(label="Said")
        reset = gr.Button("Reset")
        picker.change(lambda name: f"it is {name}", picker, said)
        reset.click(lambda: gr.HTML(cards=backend_cards(ENTRIES, "first"), value="first"), None, picker)
    with opened(page) as address:
        yield address


@pytest.fixture
def page(new_visitor: Callable[..., BrowserContext], address: str) -> Page:
    page = new_visitor().new_page()
    page.goto(address)
    return page


def test_arrow_keys_choose_and_pass_over_what_cannot_run(page: Page) -> None:
    first, lacking, last = (page.get_by_role("radio", name=entry.name) for entry in ENTRIES)
    said = page.get_by_label("Said")
    expect(first).to_be_checked()
    expect(lacking).to_be_disabled()
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(last).to_be_checked()
    expect(last).to_be_focused()
    expect(said).to_have_value("it is last")
    page.keyboard.press("ArrowUp")
    expect(first).to_be_checked()
    expect(said).to_have_value("it is first")


def test_a_click_anywhere_on_a_card_chooses_it_unless_it_lacks_something(page: Page) -> None:
    said = page.get_by_label("Said")
    page.locator(".mt-backend").last.click()
    expect(said).to_have_value("it is last")
    page.locator(".mt-backend").nth(1).click()
    expect(page.get_by_role("radio", name="last")).to_be_checked()
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("radio", name="first")).to_be_checked()
    expect(said).to_have_value("it is first")
