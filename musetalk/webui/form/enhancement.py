"""The fold of restorers: which there are, and what they lack."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

import gradio as gr

from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.webui.form.settings_form import RESTORE, RESTORER, may_be_named
from musetalk.webui.form.table import ENHANCEMENT
from musetalk.webui.html.plain_words import VISITOR, Reader, plain
from musetalk.webui.html.units import sentence
from musetalk.webui.site import UNQUEUED
from musetalk.weights.catalog import GFPGAN
from musetalk.weights.variants import lean_path

_FILES = ("*.pth", "*.safetensors")


def build_enhancement(models_dir: Path, reader: Callable[[], Reader]) -> dict[str, gr.Component]:
    """Build the fold of restorers where this is called; it looks at what there is of them whenever it is opened."""
    there = restorers(models_dir)
    with gr.Accordion(ENHANCEMENT.label, open=False) as fold:
        restore = gr.Checkbox(
            False,
            label="Restore faces",
            info="Lets another network add detail to the face; it takes longer.",
            elem_classes="restore",
        )
        lacking = gr.HTML("", elem_id="restorer-lacks")
        restorer = gr.Dropdown(
            there, value=there[0], label="Model", info="Which network adds the detail.", elem_classes="when-restored"
        )
        settings = {widget.name: widget.build() for widget in ENHANCEMENT.widgets}

    def look(wanted: bool, model: str | None) -> tuple[gr.Dropdown, str]:
        there = restorers(models_dir)
        model = model if model in there else there[0]
        return gr.Dropdown(choices=there, value=model), lacking_list(model if wanted else None, models_dir, reader())

    gr.on([fold.expand, restore.input, restorer.input], look, [restore, restorer], [restorer, lacking], **UNQUEUED)
    return {RESTORE: restore, RESTORER: restorer, **settings}


def restorers(models_dir: Path) -> list[str]:
    """Names of the restorers that can be chosen: GFPGAN, and the files of others that lie beside it."""
    names = [spec.name for spec in EnhancerRegistry() if not spec.missing()]
    own = models_dir / GFPGAN.path
    files = {path.name for pattern in _FILES for path in own.parent.glob(pattern)} - {own.name, lean_path(own).name}
    return [*names, *sorted(name for name in files if may_be_named(name))]


def lacking_list(restorer: str | None, models_dir: Path, reader: Reader = VISITOR) -> str:
    """Return what is missing to run a restorer, as HTML; empty: nothing, or none is chosen, or none that can be."""
    if restorer is None or not may_be_named(restorer):
        return ""
    items = "".join(
        f"<li>{escape(sentence(plain(line, reader)))}</li>" for line in EnhancerRegistry().lacks(restorer, models_dir)
    )
    return f'<ul class="mt-lacks" aria-label="What the restorer lacks">{items}</ul>' if items else ""
