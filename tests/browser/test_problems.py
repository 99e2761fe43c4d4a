"""What is wrong is told beside its cause, in words for a page, and until it is mended."""

from __future__ import annotations

import re

import pytest

from tests.browser.drive import BY_THE_APP, Clips, Visit, expect
from tests.browser.test_access import others, severe, sticking_out

pytestmark = [pytest.mark.integration, BY_THE_APP]


def test_problems_stand_beside_their_causes_until_they_are_mended(visit: Visit, clips: Clips) -> None:
    told, pill = visit.page.locator(".mt-slot .mt-problem:visible"), visit.page.locator("span.error:visible")
    visit.button("Generate").click()
    assert visit.problem("source") == "There is no source yet. Choose a source first."
    visit.give_source(clips.source)
    visit.held("source", clips.source.name)
    expect(told).to_have_count(0)
    visit.button("Generate").click()
    assert visit.problem("voice") == "There is no voice yet. Choose a voice first."
    visit.give_voice(clips.voice)
    visit.held("voice", clips.voice.name)
    expect(told).to_have_count(0)

    visit.unfold("Mask")
    visit.page.get_by_role("radio", name="Jaw", exact=True).click()
    visit.button("Generate").click()
    expect(told).to_contain_text("79999_iter.pth missing")
    said = told.inner_text()
    assert said.endswith("download faces on the Models tab.")  # on this machine, who opens the page may
    assert not re.search(r"python|--| /", said)
    assert others(severe(visit)) == set()
    assert sticking_out(visit) == []
    expect(visit.page.get_by_test_id("toast-body")).to_have_count(0)
    visit.page.get_by_role("radio", name="Ellipse", exact=True).click()
    expect(told).to_have_count(0)

    visit.page.route("**/gradio_api/queue/join*", lambda route: route.abort())  # as where a server is started again
    visit.button("Generate").click()
    expect(visit.page.get_by_test_id("toast-body").first).to_be_visible()
    expect(pill).to_have_count(0)
