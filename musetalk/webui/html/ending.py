"""What tells the end of a job to whoever looks elsewhere: title, icon, and a notification where it is wanted."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_SCRIPT = Path(__file__).with_name("ending.js")
_CHOICE = (
    '<div class="mt-ending" hidden><label><input type="checkbox"> Notify me when it is done</label>'
    '<span class="mt-ending-refused" role="alert" hidden>This browser does not allow notifications of this page: '
    "allow them in its settings. The tab's title and icon tell the end, too.</span></div>"
)


def ending_box() -> gr.HTML:
    """Return the choice of a notification, built where it is called; shown while a watched job waits or runs."""
    return gr.HTML(_CHOICE, js_on_load=_SCRIPT.read_text(encoding="utf-8"), elem_id="ending")
