"""The cards of backends, with more of them than every machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gradio as gr
import pytest

from musetalk.webui.form.backend_picker import BackendEntry, backend_cards, backend_picker
from tests.browser.drive import BY_OTHERS, Visit, expect, opened

pytestmark = [pytest.mark.integration, BY_OTHERS]
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


def test_arrow_keys_and_clicks_choose_and_pass_over_what_cannot_run(
    new_visitor: Callable[..., Visit], address: str
) -> None:
    page = new_visitor(address).page
    page.goto(address)
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

    page.locator(".mt-backend").last.click()  # anywhere on a card
    expect(said).to_have_value("it is last")
    page.locator(".mt-backend").nth(1).click()
    expect(last).to_be_checked()
    page.get_by_role("button", name="Reset").click()
    expect(first).to_be_checked()
    expect(said).to_have_value("it is first")
