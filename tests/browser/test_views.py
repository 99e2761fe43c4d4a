"""Every view has its address; what is on the stage, what is reported and what is in the inputs belong together."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.browser.drive import BY_THE_APP, QUEUED, TWO_FRAMES, Clips, Page, Route, Visit, expect, stored
from tests.helpers.media import tone, write_video, write_wav

pytestmark = [pytest.mark.integration, BY_THE_APP]
OPENING = "Mouth opening (bbox_shift)"


def shown_tab(visit: Visit, name: str) -> None:
    expect(visit.page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")


def at(page: Page, query: str) -> None:
    expect(page).to_have_url(re.compile(rf"/{re.escape(query)}$"))


def holds(visit: Visit, source: str, voice: str = "", opening: int | None = None) -> None:
    """Wait until the inputs hold these files, by parts of their names, and the mouth's opening."""
    visit.held("source", source)
    if voice:
        visit.held("voice", voice)
    if opening is not None:
        expect(visit.page.get_by_role("spinbutton", name=OPENING)).to_have_value(str(opening))


def test_every_tab_has_an_address_and_one_goes_back_and_forward(visit: Visit) -> None:
    page = visit.page
    at(page, "")
    for tab, query in (("Jobs", "?tab=jobs"), ("Models", "?tab=models"), ("Compare", "?tab=compare"), ("Dub", "")):
        visit.tab(tab)
        at(page, query)
    for tab, query in (("Compare", "?tab=compare"), ("Models", "?tab=models")):
        page.go_back()
        at(page, query)
        shown_tab(visit, tab)
    page.go_forward()
    shown_tab(visit, "Compare")
    go_back_twice_with_the_first_question_late(visit)
    at(page, "?tab=jobs")
    shown_tab(visit, "Jobs")
    page.reload()
    shown_tab(visit, "Jobs")
    expect(page.locator("#jobs")).to_contain_text("No renders yet")
    at(page, "?tab=jobs")
    visit.open("?tab=nonsense&__theme=dark")
    expect(page).to_have_url(re.compile(r"/\?__theme=dark$"))
    shown_tab(visit, "Dub")
    visit.tab("Models")
    expect(page).to_have_url(re.compile(r"\?__theme=dark&tab=models$"))


def go_back_and_forward(visit: Visit, first: str) -> None:
    """A preview puts the result away, with all that was said of it; going back brings it back."""
    page = visit.page
    visit.button("Preview frame").click()
    visit.say("Ready")
    at(page, "")
    expect(page.locator("#report .mt-report")).to_have_count(0)
    expect(visit.video).to_have_count(0)
    expect(visit.frame).to_be_visible()
    page.go_back()
    visit.say("Done")
    assert visit.job == first
    assert visit.chips()["frames"] == "30"
    expect(visit.frame).to_be_hidden()
    page.go_forward()
    visit.say("Ready")
    expect(visit.frame).to_be_visible()


def render_again_with(visit: Visit, voice: Path, first: str, jobs_dir: Path) -> None:
    """Another render of the same settings."""
    visit.give_voice(voice)
    holds(visit, "two faces", "another", opening=4)
    visit.button("Generate").click()
    visit.say("Done")
    second = visit.job
    assert second != first
    said = [stored(jobs_dir, job, "job.json") for job in (first, second)]
    assert said[0]["settings"] == said[1]["settings"]
    assert [Path(record["voice"]).name for record in said] == ["voice.wav", "another.wav"]
    assert said[1]["length_seconds"] == pytest.approx(0.5, abs=0.05)


def go_back_twice_with_the_first_question_late(visit: Visit) -> None:
    """Go back twice at once; of what the page asks the server meanwhile, the first question reaches it last."""
    late: list[Route] = []

    def send(question: Route) -> None:
        if late or '"query"' not in (question.request.post_data or ""):
            question.continue_()
        else:
            late.append(question)

    visit.page.route(QUEUED, send)
    visit.page.go_back()
    visit.page.go_back()
    while not late:
        visit.page.wait_for_timeout(20)  # a busy page asks later
    visit.page.evaluate(TWO_FRAMES)
    late[0].continue_()
    visit.arrived()


def test_stage_report_and_inputs_belong_together_and_are_rendered_again(
    visit: Visit, clips: Clips, jobs_dir: Path, tmp_path: Path
) -> None:
    page = visit.page
    visit.give(clips.source, clips.voice)
    visit.set_number(OPENING, 4)
    visit.button("Generate").click()
    visit.say("Done")
    first = visit.job
    expect(page.locator("#changed")).to_be_empty()

    visit.set_number(OPENING, 6)
    expect(page.locator("#changed")).to_contain_text("no longer those of this render")
    page.reload()  # loses nothing that was changed
    visit.say("Done")
    holds(visit, "two faces", opening=6)
    page.get_by_role("button", name="Take them back").click()
    holds(visit, "two faces", opening=4)
    expect(page.locator("#changed")).to_be_empty()
    go_back_and_forward(visit, first)
    other = write_video(tmp_path / "another.mp4", np.full((5, 64, 64, 3), 90, np.uint8))
    visit.tab("Jobs")
    visit.cards.get_by_role("button", name="Open").click()
    visit.say("Done")
    at(page, f"?job={first}")
    visit.button("Remove the source").click()  # another source is another render's
    visit.say("Ready")
    at(page, "")
    visit.give_source(other)
    holds(visit, "another")
    visit.tab("Jobs")
    visit.cards.get_by_role("button", name="Open").click()
    visit.say("Done")
    holds(visit, "two faces", "voice", opening=4)
    page.go_back()
    shown_tab(visit, "Jobs")
    page.go_back()
    visit.say("Ready")
    holds(visit, "another")  # as it was before
    assert stored(jobs_dir, first, "job.json")["settings"]["bbox_shift"] == 4

    visit.tab("Jobs")
    visit.cards.get_by_role("button", name="Edit and render again").click()
    visit.say("Ready")
    at(page, "")
    holds(visit, "two faces", "voice", opening=4)
    expect(visit.frame).to_be_visible()
    render_again_with(visit, write_wav(tmp_path / "another.wav", tone(0.5)), first, jobs_dir)
    visit.button("Edit and render again").click()  # beside the result, too
    visit.say("Ready")
    holds(visit, "two faces", opening=4)
