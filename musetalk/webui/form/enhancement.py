"""The fold of enhancers: which there are, and what they lack."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

import gradio as gr

from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.webui.form.settings_form import ENHANCE, ENHANCER, may_be_named
from musetalk.webui.form.table import ENHANCEMENT
from musetalk.webui.html.plain_words import VISITOR, Reader, plain
from musetalk.webui.html.units import sentence
from musetalk.webui.site import UNQUEUED
from musetalk.weights.catalog import GFPGAN
from musetalk.weights.variants import lean_path

_FILES = ("*.pth", "*.safetensors")


def build_enhancement(models_dir: Path, reader: Callable[[], Reader]) -> dict[str, gr.Component]:
    """Build the fold of enhancers where this is called; it looks at what there is of them whenever it is opened."""
    there = enhancers(models_dir)
    with gr.Accordion(ENHANCEMENT.label, open=False) as fold:
        enhance = gr.Checkbox(
            False,
            label="Enhance faces",
            info="Lets another network add detail to the face; it takes longer.",
            elem_classes="enhance",
        )
        lacking = gr.HTML("", elem_id="enhancer-lacks")
        enhancer = gr.Dropdown(
            there, value=there[0], label="Model", info="Which network adds the detail.", elem_classes="when-enhanced"
        )
        settings = {widget.name: widget.build() for widget in ENHANCEMENT.widgets}

    def look(wanted: bool, model: str | None) -> tuple[gr.Dropdown, str]:
        there = enhancers(models_dir)
        model = model if model in there else there[0]
        return gr.Dropdown(choices=there, value=model), lacking_list(model if wanted else None, models_dir, reader())

    gr.on([fold.expand, enhance.input, enhancer.input], look, [enhance, enhancer], [enhancer, lacking], **UNQUEUED)
    return {ENHANCE: enhance, ENHANCER: enhancer, **settings}


def enhancers(models_dir: Path) -> list[str]:
    """Names of the enhancers that can be chosen: GFPGAN, and the files of others that lie beside it."""
    names = [spec.name for spec in EnhancerRegistry() if not spec.missing()]
    own = models_dir / GFPGAN.path
    files = {path.name for pattern in _FILES for path in own.parent.glob(pattern)} - {own.name, lean_path(own).name}
    return [*names, *sorted(name for name in files if may_be_named(name))]


def lacking_list(enhancer: str | None, models_dir: Path, reader: Reader = VISITOR) -> str:
    """Return what is missing to run an enhancer, as HTML; empty: nothing, or none is chosen, or none that can be."""
    if enhancer is None or not may_be_named(enhancer):
        return ""
    items = "".join(
        f"<li>{escape(sentence(plain(line, reader)))}</li>" for line in EnhancerRegistry().lacks(enhancer, models_dir)
    )
    return f'<ul class="mt-lacks" aria-label="What the enhancer lacks">{items}</ul>' if items else ""
