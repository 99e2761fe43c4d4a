"""The list of one's renders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.drive import BY_THE_APP, QUEUED, Clips, Locator, Visit, expect, held_back, stored
from tests.browser.test_access import others, severe, sticking_out

pytestmark = [pytest.mark.integration, BY_THE_APP]

PRESSED = """(button, times) => {
  for (; times > 0; times -= 1) button.click();
  return button.innerText;
}"""
# At once: the list may be brought up to date at any time.
OPEN_WHAT_IS_GONE = """(card) => {
  card.querySelectorAll("[data-job]").forEach((each) => (each.dataset.job = "0".repeat(32)));
  card.querySelector("[data-action=open]").click();
}"""


def test_running_and_waiting_renders_are_stopped_from_the_list_and_told_about_in_it(
    visit: Visit, clips: Clips, jobs_dir: Path
) -> None:
    visit.generate(clips.source, clips.long_voice)
    visit.say("Rendering")
    running = visit.job
    visit.set_number("Mouth opening (bbox_shift)", 3)
    visit.button("Generate").click()
    visit.say("Waiting")
    expect(visit.page).not_to_have_url(re.compile(running))
    visit.tab("Jobs")
    expect(visit.cards).to_have_count(2)
    expect(visit.cards.locator(".mt-state")).to_have_text(["Waiting, 1 before it", "Rendering"])
    for card in (visit.cards.first, visit.cards.last):
        card.get_by_role("button", name="Stop").click()
        expect(card.locator(".mt-state")).to_have_text("Stopped")
        expect(card.locator("[data-action=delete]")).to_be_visible()

    # What cannot be done is told in the card of the job, and stays.
    last, told = visit.cards.last, visit.page.locator("#jobs .mt-problem")
    (jobs_dir / running / stored(jobs_dir, running, "job.json")["voice"]).unlink()
    last.get_by_role("button", name="Retry").click()
    expect(last.locator(".mt-problem")).to_have_text(
        "The voice of this render is no longer kept. Give it again in a new render."
    )
    expect(last.get_by_role("button", name="Retry")).to_have_count(0)
    last.get_by_role("button", name="Rename").click()
    last.get_by_label("Name of this render").fill(" ")
    last.get_by_label("Name of this render").press("Enter")
    expect(last.locator(".mt-problem")).to_have_text("A render needs a name. Give it one letter or more.")

    visit.tab("Dub")  # and beside the stage, where it is tried there
    (jobs_dir / visit.job / stored(jobs_dir, visit.job, "job.json")["voice"]).unlink()
    visit.button("Retry").click()
    expect(visit.status.get_by_role("alert")).to_have_text(
        "The voice of this render is no longer kept. Give it again in a new render."
    )
    visit.say("Stopped")
    visit.tab("Jobs")
    visit.cards.first.evaluate(OPEN_WHAT_IS_GONE)  # as if it had been deleted in another tab
    expect(told).to_have_count(2)
    expect(told.first).to_contain_text("“two faces + long voice” is no longer here. It was deleted elsewhere")
    assert others(severe(visit)) == set()
    assert sticking_out(visit) == []
    expect(visit.page.get_by_test_id("toast-body")).to_have_count(0)
    last.get_by_role("button", name="Open").click()
    assert visit.problem("voice") == "The voice of this render is no longer kept. Choose it again."
    expect(visit.box("voice").locator(".mt-media")).to_have_attribute("data-state", "empty")
    visit.held("source", "two faces")
    expect(visit.page.get_by_test_id("toast-body")).to_have_count(0)
    visit.tab("Jobs")
    last.get_by_role("button", name="Rename").click()
    last.get_by_label("Name of this render").fill("Take 2")
    last.get_by_label("Name of this render").press("Enter")
    expect(last.locator(".mt-job-title")).to_have_text("Take 2")
    expect(told).to_have_count(0)


def pressed(button: Locator, times: int) -> str:
    """What a button says once it was pressed so often, at once; what it asks, it asks for three seconds only."""
    return str(button.evaluate(PRESSED, times))


def name_and_fetch(card: Locator, visit: Visit, folder: Path) -> None:
    """A file has the name that its render was given."""
    card.get_by_role("button", name="Rename").click()
    name = card.get_by_label("Name of this render")
    expect(name).to_be_focused()
    expect(name).to_have_value("two faces + voice")
    name.fill("Take 1: final")
    name.press("Enter")
    expect(card.locator(".mt-job-title")).to_have_text("Take 1: final")
    expect(name).to_be_hidden()
    with visit.page.expect_download() as download:
        card.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "Take_1_final.mp4"
    download.value.save_as(folder / "taken.mp4")
    assert (folder / "taken.mp4").read_bytes()[4:8] == b"ftyp"


def delete_all(visit: Visit) -> None:
    """What was deleted is shown no more."""
    delete_all = visit.page.locator("[data-action=delete-all]")
    expect(delete_all).to_contain_text("Delete all that have ended (1)")
    assert "Delete all?" in pressed(delete_all, 1)
    visit.press_twice("#jobs [data-action=delete-all]")
    expect(visit.cards).to_have_count(0)
    expect(visit.page.locator("#jobs")).to_contain_text("No renders yet")
    visit.tab("Dub")
    visit.say("Ready")  # what was deleted is shown no more
    expect(visit.video).to_have_count(0)


def test_renders_of_the_same_inputs_are_told_apart_named_taken_away_opened_and_deleted(
    visit: Visit, clips: Clips, jobs_dir: Path, tmp_path: Path
) -> None:
    visit.give(clips.source, clips.voice)
    visit.button("Generate").click(click_count=3)  # as one does who is in a hurry: one render
    visit.say("Done")
    visit.set_number("Mouth opening (bbox_shift)", 6)
    visit.unfold("Output")
    visit.set_number("Compression (CRF)", 20)
    expect(visit.page.locator("#changed")).not_to_be_empty()
    with held_back(visit.page, QUEUED):  # one looks at the list before the render is known
        visit.button("Generate").click()
        visit.tab("Jobs")
        expect(visit.cards).to_have_count(1)
    expect(visit.cards).to_have_count(2)
    expect(visit.cards.locator(".mt-state")).to_have_text(["Done", "Done"])
    expect(visit.page.locator("#changed")).to_be_empty()
    differing = visit.cards.first.locator(".mt-job-settings li")
    expect(differing).to_have_text(["Mouth opening 6", "Output: compression 20"])
    expect(visit.cards.last.locator(".mt-job-settings")).to_have_count(0)
    expect(visit.cards.last).to_contain_text("0:01 long")
    expect(visit.page.locator("#jobs")).to_contain_text("kept with its inputs for 24 h")

    card = visit.cards.last
    name_and_fetch(card, visit, tmp_path)
    # Newly come, one finds them there, and opens and deletes them.
    visit.page.goto("about:blank")
    visit.open("?tab=jobs")
    expect(visit.cards).to_have_count(2)
    expect(card.locator("img")).to_have_js_property("naturalWidth", 320)
    card.get_by_role("button", name="Open").click()
    visit.say("Done")
    first = visit.job
    expect(visit.page.get_by_role("tab", name="Dub")).to_have_attribute("aria-selected", "true")
    assert visit.chips()["frames"] == "30"
    visit.tab("Jobs")
    delete = card.locator("[data-action=delete]")
    assert "Delete?" in pressed(delete, 2)
    assert stored(jobs_dir, first, "job.json")["state"] == "done"  # a double click is no confirmation
    visit.press_twice(f"#jobs [data-action=delete][data-job='{first}']")
    expect(visit.cards).to_have_count(1)
    assert not (jobs_dir / first).exists()

    visit.cards.get_by_role("button", name="Open").click()
    expect(visit.page.get_by_role("tab", name="Dub")).to_have_attribute("aria-selected", "true")
    visit.say("Done")
    visit.tab("Jobs")
    delete_all(visit)
