"""A box that takes several pictures, chosen or dropped, and names them as a script does."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr

_ACCEPT = ".png,.jpg,.jpeg,.webp"
# What is inside the element is replaced at each answer of the server, so listeners sit on it.
_JS = """
let uploading = null;
const box = () => element.querySelector(".mt-media");
const say = (text) => (element.querySelector("[data-live]").textContent = text);
const complain = (text) => {
  const problem = element.querySelector(".mt-problem");
  problem.hidden = !text;
  problem.textContent = text;
};
const rest = (text = "") => {
  uploading = null;
  box().removeAttribute("data-busy");
  say("");
  complain(text);
};
const send = async (files) => {
  uploading?.abort();
  const large = files.find((file) => file.size > props.max_bytes);
  if (large) return rest(`\\u201c${large.name}\\u201d is larger than what is taken here.`);
  const mine = (uploading = new AbortController()), form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  complain("");
  box().setAttribute("data-busy", "");
  say(files.length > 1 ? `Uploading ${files.length} pictures` : `Uploading ${files[0].name}`);
  try {
    const answer = await fetch("gradio_api/upload", { method: "POST", body: form, signal: mine.signal });
    if (uploading !== mine) return;
    if (!answer.ok) return rest(`The pictures did not arrive: the server answers ${answer.status}. Try again.`);
    const paths = await answer.json();
    if (uploading === mine) trigger("upload", { paths });
  } catch {
    if (uploading === mine) rest("The pictures did not arrive: the server cannot be reached. Try again.");
  }
};
element.addEventListener("change", (event) => {
  const files = [...(event.target.files ?? [])];
  event.target.value = ""; // so that the same one can be chosen again
  if (files.length) send(files);
});
element.addEventListener("click", (event) => {
  const { place } = event.target.closest("button[data-place]")?.dataset ?? {};
  if (place) trigger("delete", { place: Number(place) });
});
element.addEventListener("dragover", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  box().setAttribute("data-over", "");
});
element.addEventListener("dragleave", (event) => {
  if (!element.contains(event.relatedTarget)) box().removeAttribute("data-over");
});
element.addEventListener("drop", (event) => {
  event.preventDefault();
  box().removeAttribute("data-over");
  const files = [...event.dataTransfer.files];
  if (files.length) send(files);
});
watch("value", () => rest());
"""


def slides_box(max_bytes: int) -> gr.HTML:
    """The component. It sends "upload" with {paths}, and "delete" with the {place} of a picture.

    What arrives in a handler is the browser's word, the paths included.
    """
    return gr.HTML(
        slides_html(()), js_on_load=_JS, apply_default_css=False, elem_classes="mt-media-block", max_bytes=max_bytes
    )


def slides_html(slides: Sequence[Path]) -> str:
    """Return a box that holds some pictures; their names are escaped.

    No two are the same, so that the page notices each answer.
    """
    state, word = ("held", "Add pictures") if slides else ("empty", "Choose pictures")
    inside = '<p class="mt-media-invitation">Drop the pictures here that the script names</p>'
    if slides:
        inside = f'<ul class="mt-slides">{"".join(_item(*each) for each in enumerate(slides))}</ul>'
    return (
        f'<section class="mt-media" data-state="{state}" data-turn="{secrets.token_hex(4)}" aria-label="Slides">'
        f'<h2 class="mt-media-title">Slides</h2><div class="mt-media-body">{inside}'
        '<div class="mt-media-actions"><label class="mt-button"><input type="file" multiple class="mt-unseen" '
        f'accept="{_ACCEPT}" aria-label="{word}: slides">{word}</label>'
        '<p class="mt-media-figures" role="status" data-live></p></div></div>'
        '<p class="mt-problem" role="alert" hidden></p></section>'
    )


def _item(place: int, slide: Path) -> str:
    name = escape(slide.name)
    return (
        f'<li><code title="{name}">[slide {name}]</code><button type="button" class="mt-button" data-place="{place}">'
        f'Remove<span class="mt-unseen"> {name}</span></button></li>'
    )
