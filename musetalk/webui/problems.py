"""What is wrong, told where it can be mended, until it is."""

from __future__ import annotations

from html import escape

import gradio as gr

from musetalk.errors import MuseTalkError
from musetalk.webui.site import Site


def problem_slot(elem_id: str | None = None) -> gr.HTML:
    """A place for one problem; nothing is seen of it while it is empty."""
    return gr.HTML("", apply_default_css=False, elem_id=elem_id, elem_classes="mt-slot")


def problem_html(error: MuseTalkError, site: Site) -> str:
    """A problem and its remedy, for a slot; escaped."""
    said = " ".join(f"{text[:1].upper()}{text[1:]}." for text in (error.problem, error.remedy) if text)
    return f'<p class="mt-problem" role="alert">{escape(said)}</p>'
