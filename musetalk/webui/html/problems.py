"""What is wrong, told where it can be mended, until it is."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, ParamSpec, TypeAlias

import gradio as gr

from musetalk.errors import MuseTalkError
from musetalk.webui.html.plain_words import Reader, plain
from musetalk.webui.html.units import sentence

Update: TypeAlias = dict[Any, Any]
P = ParamSpec("P")
_SLOT = """
watch("value", () => {
  const problem = element.querySelector(".mt-problem");
  const { top, bottom } = problem?.getBoundingClientRect() ?? { top: 0, bottom: 0 };
  if (top < 0 || bottom > window.innerHeight) problem.scrollIntoView({ block: "center" });
});
const mended = (event) => {
  if (props.value && event.target.closest?.(props.mended_in)) props.value = "";
};
if (props.mended_in) for (const change of ["input", "change"]) document.addEventListener(change, mended, true);
"""


@dataclass(frozen=True, slots=True)
class ProblemSlots:
    """The places of one tab where problems are told.

    Attributes:
        source, voice: Below their boxes.
        backend: Below the choice of backends.
        action: Below the buttons: settings, and whatever has no place of its own.
    """

    source: gr.HTML
    voice: gr.HTML
    backend: gr.HTML
    action: gr.HTML

    @property
    def all(self) -> list[gr.HTML]:
        """As outputs of a handler."""
        return [self.source, self.voice, self.backend, self.action]

    def told(self, error: MuseTalkError, reader: Reader) -> Update:
        """Return an error in its place; what was said below the buttons before is over."""
        places = {"source": self.source, "voice": self.voice, "backend": self.backend}
        return {self.action: "", places.get(error.subject, self.action): problem_html(error, reader)}

    def cleared(self) -> Update:
        """Nothing is wrong any more."""
        return dict.fromkeys(self.all, "")


def telling(handler: Callable[P, Update], slots: ProblemSlots, reader: Callable[[], Reader]) -> Callable[P, Update]:
    """Return a handler whose errors are told in their places, to `reader()`; where it succeeds, all that was told goes.

    Its event has to have the slots among its outputs.
    """

    @functools.wraps(handler)
    def handle(*args: P.args, **kwargs: P.kwargs) -> Update:
        try:
            update = handler(*args, **kwargs)
        except MuseTalkError as error:
            return slots.told(error, reader())
        return {**slots.cleared(), **update}

    return handle


def wire_telling(
    begun: Sequence[tuple[Callable[..., Any], Callable[..., Update]]],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    slots: ProblemSlots,
    reader: Callable[[], Reader],
) -> None:
    """Let events begin work, and tell the errors of their handlers in their places.

    Args:
        begun: Events, and their handlers.
        inputs: Of all of them.
        outputs: The same; the slots come besides.
        slots: Of their tab.
        reader: Says who reads the page.
    """
    for begins, handler in begun:
        begins(
            telling(handler, slots, reader),
            [*inputs],
            [*outputs, *slots.all],
            concurrency_limit=4,
            api_visibility="private",
            show_progress_on=[],
        )


def problem_slot(mended_in: str = "") -> gr.HTML:
    """Return a place for one problem, which comes into view when there is one; nothing is seen of it while it is empty.

    Args:
        mended_in: Selector of the parts of the page where any change may mend it; empty: only handlers say when it is.
    """
    return gr.HTML("", js_on_load=_SLOT, apply_default_css=False, elem_classes="mt-slot", mended_in=mended_in)


def problem_html(error: MuseTalkError, reader: Reader) -> str:
    """Return a problem and its remedy in words for `reader`; escaped."""
    turn = secrets.token_hex(4)  # no two are the same: what is told again is heard again
    return f'<p class="mt-problem" role="alert" data-turn="{turn}">{escape(in_sentences(error, reader))}</p>'


def in_sentences(error: MuseTalkError, reader: Reader) -> str:
    """Problem and remedy in words for `reader`."""
    said = (plain(text, reader) for text in (error.problem, error.remedy))
    return " ".join(f"{sentence(text)}." for text in said if text)
