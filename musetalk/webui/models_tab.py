"""The Models tab: what each backend needs, and whether it is there."""

from __future__ import annotations

import gradio as gr

from musetalk.webui import panels
from musetalk.webui.site import Site


def build_models(site: Site) -> None:
    """Build the tab where it is called."""
    rows = [
        panels.ModelRow(
            file=str(file.path),
            backend=backend.name,
            state=file.state(site.base.models_dir),
            size=file.size or 0,
            licence=file.licence,
            source=file.source,
        )
        for backend in site.engine.registry
        for file in backend.weights
    ]
    gr.HTML(panels.models_table(rows), elem_id="models")
