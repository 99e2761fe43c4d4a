"""The Presenter tab: from a script that is typed to a talk that is played and its captions, of two visitors at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from musetalk.assets import PORTRAIT
from tests.browser.drive import BY_THE_APP, PLAY, Visit, expect, stored
from tests.browser.test_access import others, severe, sticking_out
from tests.helpers.served import Served

pytestmark = [pytest.mark.integration, BY_THE_APP]
SCRIPT = "# Apples\n\n[slide red.png]\n- Sweet\n"
HEARD = """() => {
  const audio = document.querySelector("#reading audio");
  return audio?.currentTime > 0 && audio.duration > 1;
}"""
# Another tab begins with what this one has kept by then: what was typed, before the page does anything else.
TYPE_AND_OPEN = """text => {
  const field = document.querySelector("#script textarea");
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  window.open("?tab=presenter");
}"""
# What is to be seen in the midst of the first cue: of a track that shows, which comes when it likes.
CAPTION = """() => {
  const video = document.querySelector("#talk-result video");
  const track = [...(video?.textTracks ?? [])].find((each) => each.mode === "showing");
  const cue = track?.cues?.[0];
  if (!cue || !video.readyState || video.seeking) return null;
  const middle = (cue.startTime + cue.endTime) / 2;
  if (Math.abs(video.currentTime - middle) < 0.05) return track.activeCues[0]?.text;
  video.currentTime = middle;
  return null;
}"""


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("presenter") / "red.png"
    Image.open(PORTRAIT).crop((40, 0, 400, 360)).resize((240, 240)).save(path)
    return path


def write(visit: Visit, script: str) -> None:
    visit.fill(visit.page.locator("#script textarea"), script)


def ask_for(visit: Visit, portrait: Path) -> str:
    """Give who speaks, choose a draft, and ask for the talk; tells the job's id."""
    visit.give_source(portrait)
    visit.held("source", portrait.name)
    visit.page.get_by_role("radio", name="Draft", exact=True).click()
    visit.button("Make the talk").click()
    return visit.job


def hear(visit: Visit) -> None:
    """Press, hear it at once, and go to where a bullet is spoken."""
    visit.button("Read aloud").click()
    sound = visit.page.locator("#reading audio")
    visit.page.wait_for_function(HEARD)
    lines = visit.page.locator("#reading .mt-talk-items button")
    expect(lines).to_have_text([re.compile(each) for each in ("0:00.*Apples", "0:0.*red.png", "0:0.*Sweet")])
    lines.last.click()
    at = float(lines.last.get_attribute("data-at") or "nan")
    assert at <= sound.evaluate("audio => audio.currentTime") < at + 60
    expect(lines.last).to_have_attribute("aria-current", "true")


def caption_seen(visit: Visit) -> str:
    """What the player shows of its captions, which nobody has switched on, once there is one."""
    return str(visit.page.wait_for_function(CAPTION).json_value())


def captions(visit: Visit) -> str:
    """What the finished talk says, as WebVTT."""
    expect(visit.page.locator("#talk-result video")).to_be_visible()
    link = visit.page.locator("#talk-files a", has_text=".vtt")
    return visit.page.request.get(f"{visit.address}{link.get_attribute('href')}").text()


def test_two_visitors_make_a_talk_each(
    visit: Visit, new_visitor: Callable[..., Visit], server: Served, portrait: Path, jobs_dir: Path
) -> None:
    visit.tab("Presenter")
    write(visit, SCRIPT)
    visit.button("Read aloud").click()
    problem = visit.page.locator(".talk-said .mt-problem:visible")
    expect(problem).to_contain_text("Line 3 of the script shows red.png")
    visit.page.get_by_label("Choose pictures: slides").set_input_files(portrait)
    expect(visit.page.locator(".mt-slides:visible")).to_contain_text("[slide red.png]")
    hear(visit)

    other = new_visitor(server.address).open("?tab=presenter")
    write(other, "# Bananas")
    jobs = [ask_for(each, portrait) for each in (visit, other)]  # what the other one wrote is read on the way
    assert len(set(jobs)) == 2
    said = [captions(each) for each in (visit, other)]
    assert [("Apples" in each, "Sweet" in each, "Bananas" in each) for each in said] == [
        (True, True, False),
        (False, False, True),
    ]
    assert [caption_seen(each) for each in (visit, other)] == ["Apples", "Bananas"]
    assert visit.page.locator("#talk-result video").evaluate(PLAY)["sound"] > 0
    assert [stored(jobs_dir, job, "job.json")["title"] for job in jobs] == ["Apples", "Bananas"]
    assert others(severe(visit)) == set()
    visit.resize(390, 844)
    assert sticking_out(visit) == []

    visit.page.reload()
    expect(visit.page.locator("#script textarea")).to_have_value(SCRIPT)
    expect(visit.page.locator("#talk-result video")).to_be_visible()
    with visit.page.expect_popup() as opened:
        visit.page.evaluate(TYPE_AND_OPEN, "# Cherries")
    expect(opened.value.locator("#script textarea")).to_have_value("# Cherries")
