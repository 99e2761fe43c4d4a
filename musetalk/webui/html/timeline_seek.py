"""A timeline that answers: a click or a key goes to that frame in the result, and a line says what it is, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from html import escape
from typing import Any

_MOST_STRETCHES, _MOST_REASONS = 180, 20  # of fallbacks; they bound the size of the page
HINT = "Point at the line to see what a frame is; click to go there."
# Of each kind of frame what it is, and why it is so.
_WHY = {
    "face": "the mouth is painted",
    "rest": "the voice pauses, the source's own mouth is kept",
    "cutaway": "no face to paint was found, the source is untouched",
    "tail": "the voice has ended, the source goes on",
    "fallback": "painted by a fallback",
}
# Listens on the component, which outlives its content. Frames are told by the shapes in the plot: fallbacks lie on top
# of the others, and a shape that was merged of several says so in its title.
SEEK_JS = """{
const seeks = (event) => event.target.closest?.(".mt-seek");
const facts = (seek) => JSON.parse(seek.dataset.facts);
const video = () => element.closest(".stage")?.querySelector("#result video, #side-by-side video, #talk-result video");
const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
const shapeAt = (seek, frame) => {
  const x = ((frame + 0.5) / facts(seek).frames) * 1000;
  const covers = (path) => {
    const [, left, width] = /^M([\\d.]+) [\\d.]+h([\\d.]+)/.exec(path.getAttribute("d"));
    return x >= Number(left) - 0.05 && x <= Number(left) + Number(width) + 0.05;
  };
  const svg = seek.closest("figure").querySelector("svg");
  const onTop = svg.querySelectorAll("g.mt-fallback path"), below = svg.querySelectorAll("g:not(.mt-fallback) path");
  return [...onTop, ...below].find(covers);
};
const said = (seek, frame) => {
  const { frames, seconds, why, stretches, reasons } = facts(seek), shape = shapeAt(seek, frame);
  const where = `${clock((frame * seconds) / frames)}, frame ${frame}`;
  if (!shape) return where;
  const kind = shape.parentNode.getAttribute("class").replace("mt-", "");
  const mostly = /, \\d+ \\w+$/.test(shape.textContent) ? "around here mostly: " : "";
  const stretch = kind === "fallback" && stretches.find(([start, stop]) => start <= frame && frame < stop);
  return `${where}: ${mostly}${stretch ? reasons[stretch[2]] : why[kind]}`;
};
const tell = (seek, frame) => {
  seek.closest("figure").querySelector(".mt-readout").textContent = said(seek, frame);
};
const head = (seek, frame) => {
  seek.style.setProperty("--at", `${((frame + 0.5) / facts(seek).frames) * 100}%`);
  seek.setAttribute("aria-valuenow", frame);
  seek.setAttribute("aria-valuetext", said(seek, frame));
};
const under = (seek, event) => {
  const { left, width } = seek.getBoundingClientRect(), { frames } = facts(seek);
  return Math.min(frames - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * frames)));
};
const go = (seek, frame) => {
  const { frames, seconds } = facts(seek), shown = video();
  if (shown) shown.currentTime = ((frame + 0.5) * seconds) / frames;
  head(seek, frame);
  tell(seek, frame);
};
const edge = (seek, frame, step) => {
  const { frames } = facts(seek), shape = shapeAt(seek, frame);
  let at = frame;
  while (at + step >= 0 && at + step < frames && shapeAt(seek, at) === shape) at += step;
  return at;
};
element.addEventListener("click", (event) => seeks(event) && go(seeks(event), under(seeks(event), event)));
element.addEventListener("pointermove", (event) => seeks(event) && tell(seeks(event), under(seeks(event), event)));
element.addEventListener("pointerout", (event) => {
  if (seeks(event)) tell(seeks(event), Number(seeks(event).getAttribute("aria-valuenow")));
});
element.addEventListener("keydown", (event) => {
  const seek = seeks(event);
  if (!seek || event.ctrlKey || event.metaKey || event.altKey) return;
  const now = Number(seek.getAttribute("aria-valuenow")), last = facts(seek).frames - 1;
  const to = {
    ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: last,
    PageDown: edge(seek, now, -1), PageUp: edge(seek, now, 1),
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  go(seek, Math.min(last, Math.max(0, to)));
});
const follow = (event) => {
  if (event.target !== video()) return;
  for (const seek of element.querySelectorAll(".mt-seek")) {
    const { frames, seconds } = facts(seek);
    head(seek, Math.min(frames - 1, Math.floor((event.target.currentTime / seconds) * frames)));
  }
};
document.addEventListener("timeupdate", follow, true);
document.addEventListener("seeked", follow, true);
}"""


def seek_bar(report: Mapping[str, Any], frames: int) -> str:
    """Return what lies over the plot of a timeline and answers clicks and keys, and the line that says what a frame is.

    Args:
        report: `RenderReport.to_dict()`, or the same from JSON.
        frames: Output frames.
    """
    stretches, reasons = _reasons(report.get("fallbacks", ()))
    seconds = float(frames / Fraction(report["fps"]))
    facts = {"frames": frames, "seconds": seconds, "why": _WHY, "stretches": stretches, "reasons": reasons}
    return (
        f'<div class="mt-seek" role="slider" tabindex="0" aria-label="Go to a frame of the result" aria-valuemin="0" '
        f'aria-valuemax="{frames - 1}" aria-valuenow="0" aria-valuetext="frame 0" '
        f'data-facts="{escape(json.dumps(facts))}"></div>'
    )


def readout() -> str:
    """Return the line that says what a frame is."""
    return f'<p class="mt-readout">{HINT}</p>'


def _reasons(fallbacks: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[int, int, int]], list[str]]:
    """Frames [start, stop) of the first stretches that others painted, each with the place of its reason in a list."""
    reasons: dict[str, int] = {}
    stretches = []
    for each in fallbacks[:_MOST_STRETCHES]:
        said = f"painted by {each.get('backend') or 'a fallback'}: {each['reason']}"
        if said in reasons or len(reasons) < _MOST_REASONS:
            stretches.append((each["start"], each["stop"], reasons.setdefault(said, len(reasons))))
    return stretches, list(reasons)
