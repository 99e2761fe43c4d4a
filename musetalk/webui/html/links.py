"""Ways within the page: the skip link at its top, and links of other pieces to another tab or widget."""

from __future__ import annotations

import gradio as gr

# The page's own, so it listens on the document: pieces are replaced, and what they link to may be on another tab. The
# skip link leads to the button that starts something on the tab that is open; where there is none, to the first tab's.
_JS = """
const open = (name) => {
  const tab = [...document.querySelectorAll('[role="tab"]')].find((tab) => tab.innerText.trim() === name);
  if (tab?.getAttribute("aria-selected") !== "true") tab?.click();
  return tab;
};
const shown = (query) => [...document.querySelectorAll(query)].find((each) => each.checkVisibility());
const reach = (query, left = 20) => {
  const found = shown(query);
  if (!found) return left ? setTimeout(reach, 50, query, left - 1) : undefined;
  found.scrollIntoView({ block: "center" });
  const focused = found.matches("button, input, a") ? found : found.querySelector("input:checked, input, button, a");
  focused?.focus({ preventScroll: true, focusVisible: true });
};
const starts = ".stage .actions button.primary";
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-lead]");
  if (!link) return;
  event.preventDefault();
  if (link.dataset.tab) open(link.dataset.tab);
  reach(link.dataset.lead);
});
const skip = element.querySelector(".mt-skip");
skip.addEventListener("focus", () => {
  const there = shown(starts);
  skip.innerText = `Skip to ${there?.innerText.trim() || "Generate"}`;
  skip.dataset.lead = starts;
  if (there) delete skip.dataset.tab;
  else skip.dataset.tab = "Dub";
});
"""


def build_links() -> gr.HTML:
    """Build the skip link where it is called, which has to be first on the page; it serves all other links as well."""
    link = '<a class="mt-skip" href="#generate" data-lead="#generate" data-tab="Dub">Skip to Generate</a>'
    return gr.HTML(link, js_on_load=_JS, apply_default_css=False, elem_classes="mt-skips")
