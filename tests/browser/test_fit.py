"""Every player and picture fits the screen, at every size, with what it is used with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.browser.drive import BrowserContext, Clips, Visit, expect
from tests.browser.test_access import others, severe, sticking_out
from tests.helpers.media import decode, tone, write_video, write_wav
from tests.helpers.served import Served

pytestmark = pytest.mark.integration
SIZES = ((1440, 900), (1280, 720), (820, 1180), (390, 844), (844, 390))
# Heights of what is shown of pictures and players, with the boxes that hold their controls.
TALLEST = """() => [...document.querySelectorAll(".stage video, .stage .image-frame img")]
  .filter((each) => each.checkVisibility())
  .map((each) => each.closest(".block").getBoundingClientRect().height)"""
# What looks wrong though it fits: a gap for what says nothing, buttons of two lines, a label over the picture.
ODD = """() => {
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
  const box = (each) => each.getBoundingClientRect();
  const nothing = shown(".dub .stage > .block, .preview > .block, .preview > .row").filter((each) => !box(each).height);
  const tall = shown(".dub .actions button").filter((each) => box(each).height > 44);
  const covered = shown("#result video").filter((each) =>
    shown("#result label").some((label) => box(label).bottom > box(each).top + 1));
  return [...nothing, ...tall, ...covered].map((each) => each.outerHTML.slice(0, 200));
}"""
MARKER = """seek => [getComputedStyle(seek, "::after").left, getComputedStyle(seek).overflow]"""


@pytest.fixture(scope="module")
def vertical(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A film as phones held upright make it, and a voice: a third of a second."""
    folder = tmp_path_factory.mktemp("vertical")
    frame = np.full((640, 360, 3), 90, np.uint8)
    frame[100:460] = decode(clips.source)[0][:, :360]
    film = write_video(folder / "vertical.mp4", np.repeat(frame[None], 9, axis=0))
    return film, write_wav(folder / "voice.wav", tone(0.36))


def test_a_vertical_film_fits_with_play_bar_and_buttons(
    new_visitor: Callable[..., BrowserContext], server: Served, vertical: tuple[Path, Path], tmp_path: Path
) -> None:
    visit = Visit(new_visitor().new_page(), server.address).open()
    generate = visit.page.locator("#generate")

    def fits(what: str) -> None:
        for width, height in SIZES:
            visit.page.set_viewport_size({"width": width, "height": height})
            visit.page.evaluate("scrollTo(0, 0)")
            shown = visit.page.evaluate(TALLEST)
            visit.page.screenshot(path=tmp_path / f"{what} {width}.png", full_page=True)
            assert shown
            assert max(shown) <= height, (what, width)
            assert sticking_out(visit) == []
            assert visit.page.evaluate(ODD) == [], (what, width)
            if width >= 1280:
                box = generate.bounding_box()
                assert box is not None
                assert box["y"] + box["height"] <= height, (what, width)

    visit.give(*vertical)
    visit.preview()
    fits("preview")
    visit.button("Generate").click()
    visit.say("Done")
    expect(visit.video).to_be_visible()
    visit.page.wait_for_function("() => document.querySelector('#result video').videoHeight > 0")
    fits("result")
    marker = visit.page.locator("#report .mt-seek").evaluate(MARKER)
    assert marker == ["-10px", "hidden"]  # until somebody points at the line, it is not there
    assert others(severe(visit)) == set()
