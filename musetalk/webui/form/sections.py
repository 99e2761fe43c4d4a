"""The folds of the form, as its table has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr

from musetalk.webui.form.enhancement import build_enhancement
from musetalk.webui.form.table import ENHANCEMENT, SECTIONS
from musetalk.webui.html.plain_words import VISITOR, Reader


def build_folds(models_dir: Path, reader: Callable[[], Reader] = lambda: VISITOR) -> dict[str, gr.Component]:
    """Build all of them where this is called; by the names of `settings_form.NAMES`.

    Args:
        models_dir: Where weights are.
        reader: Says who is told what is missing.
    """
    built: dict[str, gr.Component] = {}
    for section in SECTIONS:
        if section is ENHANCEMENT:
            built |= build_enhancement(models_dir, reader)
            continue
        with gr.Accordion(section.label, open=False, elem_classes=section.shown or None):
            built |= {widget.name: widget.build() for widget in section.widgets}
    return built
