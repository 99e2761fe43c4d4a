"""Every view has its address; what is on the stage, what is reported and what is in the inputs belong together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.browser.drive import APIResponse, BrowserContext, Clips, Page, Route, Visit, expect, stored
from tests.helpers.media import tone, write_video, write_wav
from tests.helpers.served import Served

pytestmark = pytest.mark.integration
OPENING = "Mouth opening (bbox_shift)"


@pytest.fixture
def context(visit: Visit) -> BrowserContext:
    return visit.page.context


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


@contextmanager
def belated_answer(page: Page) -> Iterator[None]:
    """Hold back what the server says now of the watched job, until the `with` block ends."""
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        elif "mt-status-head" in (answer := route.fetch()).text():
            held.append((route, answer))
        else:
            route.fulfill(response=answer)

    page.route("**/gradio_api/run/**", hold)
    while not held:
        page.wait_for_timeout(50)  # the page asks again and again
    yield
    route, answer = held[0]
    route.fulfill(response=answer)


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
    page.go_back()
    page.go_back()
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


def test_stage_report_and_inputs_belong_together(visit: Visit, clips: Clips, jobs_dir: Path, tmp_path: Path) -> None:
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

    visit.button("Preview frame").click()  # puts the result away with all that was said of it
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


def test_a_job_is_edited_and_rendered_again(
    visit: Visit, context: BrowserContext, clips: Clips, jobs_dir: Path, tmp_path: Path
) -> None:
    visit.give(clips.source, clips.voice)
    visit.set_number(OPENING, 5)
    visit.button("Generate").click()
    visit.say("Done")
    first = visit.job
    visit.page.close()

    visit = Visit(context.new_page(), visit.address).open("?tab=jobs")
    visit.cards.get_by_role("button", name="Edit and render again").click()
    visit.say("Ready")
    at(visit.page, "")
    holds(visit, "two faces", "voice", opening=5)
    expect(visit.frame).to_be_visible()
    visit.give_voice(write_wav(tmp_path / "another.wav", tone(0.5)))
    holds(visit, "two faces", "another", opening=5)
    visit.button("Generate").click()
    visit.say("Done")
    second = visit.job
    assert second != first
    said = [stored(jobs_dir, job, "job.json") for job in (first, second)]
    assert said[0]["settings"] == said[1]["settings"]
    assert [Path(record["voice"]).name for record in said] == ["voice.wav", "another.wav"]
    assert said[1]["length_seconds"] == pytest.approx(0.5, abs=0.05)
    visit.button("Edit and render again").click()  # beside the result, too
    visit.say("Ready")
    holds(visit, "two faces", opening=5)


def test_on_a_phone_what_is_to_be_edited_comes_into_view(
    new_visitor: Callable[..., BrowserContext], server: Served, clips: Clips
) -> None:
    phone = new_visitor(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    visit = Visit(phone.new_page(), server.address).open()
    visit.generate(clips.source, clips.voice)
    visit.say("Done")
    visit.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(visit.box("source")).not_to_be_in_viewport()
    visit.button("Edit and render again").click()
    visit.say("Ready")
    expect(visit.box("source")).to_be_in_viewport()


def test_what_runs_is_told_at_the_plain_address_and_tried_again_once_stopped(
    visit: Visit, context: BrowserContext, clips: Clips, server: Served
) -> None:
    job = visit.generate(clips.source, clips.long_voice)
    visit.say("Rendering")
    told = visit.page.locator("#told .mt-told")
    expect(told).to_have_count(0)
    visit.page.close()

    visit = Visit(context.new_page(), server.address).open()
    told = visit.page.locator("#told .mt-told")
    expect(told).to_contain_text("Rendering: two faces + long voice")
    visit.say("Ready")
    told.get_by_role("button", name="Show").click()
    visit.say("Rendering")
    at(visit.page, f"?job={job}")
    expect(told).to_have_count(0)
    holds(visit, "two faces", "long voice")

    visit.button("Stop").click()
    visit.say("Stopped")
    visit.button("Retry").click()
    visit.say("Rendering")
    at(visit.page, f"?job={job}")
    with belated_answer(visit.page):
        visit.page.go_back()
        visit.say("Ready")
        expect(told).to_contain_text("Rendering: two faces + long voice")
    visit.tab("Jobs")
    visit.cards.get_by_role("button", name="Stop").click()
    expect(told).to_contain_text("Stopped: two faces + long voice")
    visit.cards.get_by_role("button", name="Retry").click()
    expect(visit.cards.locator(".mt-state")).to_have_text("Rendering")
    visit.cards.get_by_role("button", name="Stop").click()
    expect(visit.cards).to_have_count(1)
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_have_count(0)
    visit.tab("Dub")
    visit.say("Ready")
    expect(visit.button("Stop")).to_be_disabled()
