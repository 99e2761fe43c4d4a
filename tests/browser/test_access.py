"""For everybody: screen readers, keyboards, phones."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from tests.browser.drive import BrowserContext, Clips, Visit, expect
from tests.helpers.served import Served

pytestmark = pytest.mark.integration
NewVisitor = Callable[..., BrowserContext]
SEVERE = {"serious", "critical"}
GRADIOS = {("aria-allowed-attr", "empty")}  # Gradio's own markup of an empty picture: a label on a plain element
SETTLED = """() => Promise.allSettled(
  document.getAnimations().filter((each) => each instanceof CSSTransition).map((each) => each.finished)
)"""


def severe(visit: Visit) -> set[tuple[str, str]]:
    """Rules of axe that the page breaks, each with the element that does."""
    if not visit.page.evaluate("() => 'axe' in window"):
        visit.page.evaluate((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    violations: list[dict[str, Any]] = visit.page.evaluate("async () => (await axe.run(document)).violations")
    return {
        (violation["id"], " ".join(map(str, node["target"])))
        for violation in violations
        for node in violation["nodes"]
        if violation["impact"] in SEVERE
    }


def severe_by_day_and_night(visit: Visit) -> set[tuple[str, str]]:
    """The same in both color schemes, which the page follows while it is open."""
    found = set()
    for scheme in ("dark", "light"):
        visit.page.emulate_media(color_scheme=scheme)
        visit.page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
        visit.page.evaluate(SETTLED)
        found |= severe(visit)
    return found


def others(found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(rule, where) for rule, where in found if not any(rule == r and w in where for r, w in GRADIOS)}


def test_axe_finds_nothing_severe(visit: Visit, clips: Clips) -> None:
    assert others(severe_by_day_and_night(visit)) == set()
    visit.give(clips.source, clips.voice)
    visit.button("Preview frame").click()
    expect(visit.page.locator("#speaking img")).to_be_visible()
    expect(visit.page.locator("#note .pending")).to_have_count(0)  # dimmed until then
    assert others(severe_by_day_and_night(visit)) == set()

    visit.button("Generate").click()
    visit.say("Done")
    expect(visit.video).to_be_visible()
    for summary in visit.page.locator("#report summary").all():
        summary.click()
    assert severe_by_day_and_night(visit) == set()
    visit.tab("Jobs")
    expect(visit.cards).to_have_count(1)
    assert severe_by_day_and_night(visit) == set()
    visit.tab("Models")
    expect(visit.page.locator("#models")).to_be_visible()
    assert severe_by_day_and_night(visit) == set()


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


def test_a_phone_reaches_everything(new_visitor: NewVisitor, server: Served, clips: Clips) -> None:
    context = new_visitor(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    visit = Visit(context.new_page(), server.address).open()
    for fold in ("What bbox_shift does", "Mask", "Length", "Output"):
        visit.page.get_by_role("button", name=fold).tap()
    assert sticking_out(visit) == []
    for width in (390, 820):
        visit.page.set_viewport_size({"width": width, "height": 844})
        assert visit.page.evaluate(SQUEEZED) == [], width
    visit.page.set_viewport_size({"width": 390, "height": 844})
    visit.give(clips.source, clips.voice)
    visit.button("Preview frame").tap()
    expect(visit.page.locator("#speaking img")).to_be_visible()
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


def test_tab_leads_past_inputs_and_backends_to_generate(visit: Visit) -> None:
    reached: list[str] = []
    while "Generate" not in reached and len(reached) < 25:
        visit.page.keyboard.press("Tab")
        reached.append(
            visit.page.evaluate("""() => {
              const at = document.activeElement;
              return at.getAttribute("aria-label") || at.innerText || at.value || at.tagName;
            }""").strip()
        )
    expect(visit.button("Generate")).to_be_focused()
    assert visit.button("Generate").evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
    order = [reached.index(name) for name in ("Skip to Generate", "Dub", "preview", "Preview frame", "Generate")]
    assert order == sorted(order)
