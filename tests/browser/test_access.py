"""For everybody: screen readers and phones; and everything fits every screen, with what it is used with."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from tests.browser.drive import BY_THE_APP, Clips, Visit, expect
from tests.helpers.media import decode, tone, write_video, write_wav
from tests.helpers.served import Served

pytestmark = [pytest.mark.integration, BY_THE_APP]
SEVERE = {"serious", "critical"}
GRADIOS = {("aria-allowed-attr", "empty")}  # Gradio's own markup of an empty picture: a label on a plain element
SETTLED = """() => Promise.allSettled(
  document.getAnimations().filter((each) => each instanceof CSSTransition).map((each) => each.finished)
)"""
# What axe found of a page at rest: of an element that is gone when it tells, it does not know the place any more.
CHECKED = """async (options) => {
  for (let attempt = 0; attempt < 10; attempt++) {
    const { violations } = await axe.run(document, { ...options, resultTypes: ["violations"], elementRef: true });
    if (violations.every(({ nodes }) => nodes.every(({ element }) => element.isConnected)))
      return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ target }) => [id, impact, target.join(" ")]));
  }
  throw new Error("The page does not come to rest: what axe finds is gone each time");
}"""
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
# What is said of a setting or a backend, squeezed: beside its number without a gap, under an arrow, or on two lines.
SQUEEZED = """() => {
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility());
  const box = (each) => each.getBoundingClientRect();
  const heads = shown(".head:has(> .tab-like-container)").filter((head) => {
    const [said, number] = [head.querySelector("label"), head.querySelector(".tab-like-container")].map(box);
    return said.right + 8 > number.left && said.bottom > number.top;
  });
  const arrows = shown(".secondary-wrap > .icon-wrap").filter((arrow) => {
    const input = arrow.parentElement.querySelector("input");
    return box(input).right - parseFloat(getComputedStyle(input).paddingRight) > box(arrow).left + 4;
  });
  const states = shown(".mt-backend-state").filter((state) => box(state).height > 20);
  return [...heads, ...arrows, ...states].map((each) => each.outerHTML.slice(0, 200));
}"""


def severe(visit: Visit, *rules: str) -> set[tuple[str, str]]:
    """Rules of axe that the page breaks, of all or of these, each with the element that does."""
    if not visit.page.evaluate("() => 'axe' in window"):
        visit.page.evaluate((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    options = {"runOnly": list(rules)} if rules else {}
    found: list[tuple[str, str, str]] = visit.page.evaluate(CHECKED, options)
    return {(rule, where) for rule, impact, where in found if impact in SEVERE}


def severe_by_day_and_night(visit: Visit) -> set[tuple[str, str]]:
    """The same in both color schemes, which the page follows while it is open; of the dark one its colors are asked."""
    found = set()
    for scheme in ("dark", "light"):
        visit.page.emulate_media(color_scheme=scheme)
        visit.page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
        visit.page.evaluate(SETTLED)
        found |= severe(visit, *(["color-contrast"] if scheme == "dark" else []))
    return found


def others(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(rule, where) for rule, where in found if not any(rule == r and w in where for r, w in GRADIOS)}


def sticking_out(visit: Visit) -> list[str]:
    """Controls that are shown but not within the width of the screen; and the page itself, if it scrolls sideways."""
    return list(
        visit.page.evaluate("""() => {
          const root = document.documentElement, wide = root.scrollWidth > root.clientWidth ? ["the page"] : [];
          const controls = [...document.querySelectorAll("button, a, input, textarea, select, summary, [role=tab]")];
          return wide.concat(controls.filter((control) => {
            const { left, right, width } = control.getBoundingClientRect();
            const hidden = !control.checkVisibility({ visibilityProperty: true }) || width === 0;
            const unseen = control.closest("[aria-hidden=true], .mt-unseen, .visually-hidden");
            return !hidden && !unseen && (left < 0 || right > root.clientWidth);
          }).map((control) => control.outerHTML.slice(0, 200)));
        }""")
    )


@pytest.fixture(scope="module")
def vertical(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A film as phones held upright make it, and a voice: a third of a second."""
    folder = tmp_path_factory.mktemp("vertical")
    frame = np.full((640, 360, 3), 90, np.uint8)
    frame[100:460] = decode(clips.source)[0][:, :360]
    film = write_video(folder / "vertical.mp4", np.repeat(frame[None], 9, axis=0))
    return film, write_wav(folder / "voice.wav", tone(0.36))


def fits(visit: Visit, what: str) -> None:
    """The page fits every screen, from its top, and where it is wide enough its button lies on the first screenful."""
    for width, height in SIZES:
        visit.resize(width, height)
        visit.page.evaluate("scrollTo(0, 0)")
        shown = visit.page.evaluate(TALLEST)
        assert shown, (what, width)
        assert max(shown) <= height, (what, width)
        assert sticking_out(visit) == [], (what, width)
        assert visit.page.evaluate(ODD) == [], (what, width)
        if width >= 1280:
            box = visit.page.locator("#generate").bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= height, (what, width)
    visit.resize(1280, 900)


def test_all_of_it_fits_every_screen_and_axe_finds_nothing_severe(visit: Visit, vertical: tuple[Path, Path]) -> None:
    assert others(severe(visit)) == set()
    visit.give(*vertical)
    visit.preview()
    fits(visit, "preview")
    assert others(severe_by_day_and_night(visit)) == set()

    visit.button("Generate").click()
    visit.say("Done")
    expect(visit.video).to_be_visible()
    visit.page.wait_for_function("() => document.querySelector('#result video').videoHeight > 0")
    fits(visit, "result")
    marker = visit.page.locator("#report .mt-seek").evaluate(MARKER)
    assert marker == ["-10px", "hidden"]  # until somebody points at the line, it is not there
    for summary in visit.page.locator("#report summary").all():
        summary.click()
    assert severe_by_day_and_night(visit) == set()
    visit.tab("Jobs")
    expect(visit.cards).to_have_count(1)
    assert severe_by_day_and_night(visit) == set()
    visit.tab("Models")
    expect(visit.page.locator("#models")).to_be_visible()
    assert severe_by_day_and_night(visit) == set()


def test_a_phone_reaches_everything(new_visitor: Callable[..., Visit], server: Served, clips: Clips) -> None:
    screen = {"width": 390, "height": 844}
    visit = new_visitor(server.address, viewport=screen, has_touch=True, is_mobile=True).open()
    for fold in ("What bbox_shift does", "Mask", "Blending", "Enhancement", "Pauses", "Length", "Output"):
        visit.page.get_by_role("button", name=fold).tap()
    visit.page.get_by_role("radio", name="Come to rest").tap()
    visit.page.get_by_role("checkbox", name="Enhance faces").check()
    expect(visit.page.locator("#enhancer-lacks")).to_be_visible()
    assert sticking_out(visit) == []
    visit.page.get_by_role("checkbox", name="Enhance faces").uncheck()
    for width in (390, 820):
        visit.resize(width, 844)
        assert visit.page.evaluate(SQUEEZED) == [], width
    visit.resize(390, 844)
    visit.give(clips.source, clips.voice)
    visit.button("Preview frame").tap()
    expect(visit.speaking).to_be_visible()
    assert sticking_out(visit) == []
    for name in ("Sample video", "Portrait", "Preview frame", "Generate"):
        visit.button(name).tap(trial=True)
    for name in ("Largest", "Picked", "Ellipse", "End with the voice"):
        visit.page.get_by_text(name, exact=True).tap(trial=True)
    visit.page.get_by_label("Preview at (s)").tap(trial=True)
    visit.page.locator(".mt-backend").first.tap(trial=True)

    visit.button("Generate").tap()
    visit.say("Done")
    expect(visit.video).to_be_visible()
    for summary in visit.page.locator("#report summary").all():
        summary.tap()
    assert sticking_out(visit) == []
    visit.tab("Jobs")
    expect(visit.cards).to_have_count(1)
    assert sticking_out(visit) == []
    for name in ("Open", "Delete"):
        visit.cards.get_by_role("button", name=name).tap(trial=True)
    visit.tab("Models")
    expect(visit.page.locator("#models")).to_be_visible()
    assert sticking_out(visit) == []
    visit.page.get_by_role("tab", name="Compare").tap()
    for name in ("Compare", "Portrait"):
        visit.button(name).tap(trial=True)
    assert sticking_out(visit) == []
    assert others(severe(visit)) == set()

    # What is to be edited comes into view.
    visit.tab("Dub")
    visit.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(visit.box("source")).not_to_be_in_viewport()
    visit.button("Edit and render again").tap()
    visit.say("Ready")
    expect(visit.box("source")).to_be_in_viewport()
