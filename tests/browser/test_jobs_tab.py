"""The list of one's renders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.drive import Clips, Visit, expect, stored

pytestmark = pytest.mark.integration


def test_a_render_is_opened_and_deleted_from_the_list(visit: Visit, clips: Clips, jobs_dir: Path) -> None:
    job = visit.generate(clips.source, clips.voice)
    visit.say("Done")
    visit.page.goto("about:blank")
    visit.open()
    visit.tab("Jobs")
    card = visit.cards
    expect(card).to_have_count(1)
    expect(card).to_contain_text("two faces + voice")
    expect(card.locator(".mt-state")).to_have_text("Done")
    expect(card.locator("img")).to_have_js_property("naturalWidth", 320)

    card.get_by_role("button", name="Open").click()
    visit.say("Done")
    expect(visit.page.get_by_role("tab", name="Dub")).to_have_attribute("aria-selected", "true")
    assert visit.play()["sound"] > 0
    assert visit.chips()["frames"] == "30"

    visit.tab("Jobs")
    delete = card.locator("[data-action=delete]")
    delete.dblclick()
    expect(delete).to_contain_text("Delete?")
    assert stored(jobs_dir, job, "job.json")["state"] == "done"  # a double click is no confirmation
    visit.page.wait_for_function(
        "since => performance.now() - since > 350", arg=visit.page.evaluate("performance.now()")
    )
    delete.click()
    expect(card).to_have_count(0)
    expect(visit.page.locator("#jobs")).to_contain_text("No renders yet")
    assert not (jobs_dir / job).exists()


def test_running_and_waiting_renders_are_stopped_from_the_list(visit: Visit, clips: Clips) -> None:
    visit.generate(clips.source, clips.long_voice)
    visit.say("Rendering")
    running = visit.job
    visit.button("Generate").click()
    visit.say("Waiting")
    assert visit.job != running
    visit.tab("Jobs")
    expect(visit.cards).to_have_count(2)
    expect(visit.cards.locator(".mt-state")).to_have_text(["Waiting, 1 before it", "Rendering"])
    for card in (visit.cards.first, visit.cards.last):
        card.get_by_role("button", name="Stop").click()
        expect(card.locator(".mt-state")).to_have_text("Stopped")
        expect(card.locator("[data-action=delete]")).to_be_visible()
