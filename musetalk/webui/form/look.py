"""The folds that decide how painted faces look: restored, blended in, and while the voice pauses."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.enhancers.registry import BY_PACKAGE, BY_SPANDREL, lacks
from musetalk.settings import BlendSettings, EnhanceSettings, RenderSettings, SilenceSettings
from musetalk.webui.form.settings_form import may_be_named
from musetalk.webui.html.plain_words import VISITOR, Reader, plain
from musetalk.webui.html.units import sentence
from musetalk.webui.site import UNQUEUED
from musetalk.weights.catalog import GFPGAN
from musetalk.weights.variants import lean_path

_FILES = ("*.pth", "*.safetensors")


def slider(
    least: float, most: float, value: float, label: str, info: str, shown: str | None = None, step: float = 0.01
) -> gr.Slider:
    """A slider; `shown` is the style sheet's word for when it is of use."""
    return gr.Slider(least, most, value=value, step=step, label=label, info=info, elem_classes=shown)


def build_look(base: RenderSettings, reader: Callable[[], Reader]) -> dict[str, Any]:
    """Build the folds of blending and enhancement where this is called; by the names of `SettingsForm`."""
    return {**_blending(BlendSettings()), **_enhancement(EnhanceSettings(), base, reader)}


def _blending(default: BlendSettings) -> dict[str, Any]:
    with gr.Accordion("Blending", open=False):
        look = gr.Radio(
            [("Ours", "ours"), ("The published programs'", "published")],
            value="ours",
            label="Look",
            info="Theirs leaves out what this program adds, to compare with their demos; other settings stay.",
        )
        blend = gr.Radio(
            [("Alpha", "alpha"), ("Poisson", "poisson")],
            value=default.method,
            label="Method",
            info="How the new mouth is laid in; Poisson fits its light to the skin around it, and takes longer.",
        )
        color = gr.Checkbox(
            default.color == "match",
            label="Match the colour",
            info="Gives the new mouth the colours of the skin around it.",
        )
        sharpness = gr.Checkbox(
            default.sharpness == "match",
            label="Match the sharpness",
            info="Makes the new mouth as sharp and as grainy as the rest of the picture.",
        )
    return {"look": look, "blend": blend, "color": color, "sharpness": sharpness}


def _enhancement(default: EnhanceSettings, base: RenderSettings, reader: Callable[[], Reader]) -> dict[str, Any]:
    """The fold, which looks at what restorers there are whenever it is opened."""
    shown = "when-restored"
    there = restorers(base.models_dir)
    with gr.Accordion("Enhancement", open=False) as fold:
        restore = gr.Checkbox(
            False,
            label="Restore faces",
            info="Lets another network add detail to the face; it takes longer.",
            elem_classes="restore",
        )
        lacking = gr.HTML("", elem_id="restorer-lacks")
        restorer = gr.Dropdown(
            there, value=there[0], label="Model", info="Which network adds the detail.", elem_classes=shown
        )
        strength = slider(
            0, 1, default.strength, "Strength", "How much of the restored face is taken: 0 nothing, 1 all of it.", shown
        )
        region = gr.Radio(
            [("Mouth: what was painted", "mouth"), ("Whole face", "face")],
            value=default.region,
            label="Region",
            info="How much of the face may change.",
            elem_classes=shown,
        )
        upscale = gr.Radio(
            [("256 pixels", 1), ("512 pixels", 2), ("1024 pixels", 4)],
            value=default.upscale,
            label="Side of the restored face",
            info="How large the face is restored: more is sharper on large faces, and slower.",
            elem_classes=shown,
        )
        steadiness = slider(
            0,
            1,
            default.steadiness,
            "Steadiness",
            "How much of the flicker that restoring brings is taken out again.",
            shown,
        )

    def look(wanted: bool, model: str | None) -> tuple[gr.Dropdown, str]:
        there = restorers(base.models_dir)
        model = model if model in there else there[0]
        return gr.Dropdown(choices=there, value=model), lacking_list(model if wanted else None, base, reader())

    gr.on([fold.expand, restore.input, restorer.input], look, [restore, restorer], [restorer, lacking], **UNQUEUED)
    return {
        "restore": restore,
        "restorer": restorer,
        "strength": strength,
        "region": region,
        "upscale": upscale,
        "steadiness": steadiness,
    }


def restorers(models_dir: Path) -> list[str]:
    """Names of the restorers that can be chosen: GFPGAN, and the files of others that lie beside it."""
    names = [BY_SPANDREL] if find_spec("gfpgan") is None else [BY_SPANDREL, BY_PACKAGE]
    own = models_dir / GFPGAN.path
    files = {path.name for pattern in _FILES for path in own.parent.glob(pattern)} - {own.name, lean_path(own).name}
    return [*names, *sorted(name for name in files if may_be_named(name))]


def lacking_list(restorer: str | None, base: RenderSettings, reader: Reader = VISITOR) -> str:
    """What is missing to run a restorer, as HTML; empty: nothing, or none is chosen, or none that can be."""
    if restorer is None or not may_be_named(restorer):
        return ""
    settings = base.model_copy(update={"enhance": EnhanceSettings(model=restorer)})
    items = "".join(f"<li>{escape(sentence(plain(line, reader)))}</li>" for line in lacks(settings))
    return f'<ul class="mt-lacks" aria-label="What the restorer lacks">{items}</ul>' if items else ""


def build_pauses(default: SilenceSettings) -> dict[str, Any]:
    """Build the fold of silence where this is called; by the names of `SettingsForm`."""
    shown = "when-resting"
    with gr.Accordion("Pauses", open=False):
        silence = gr.Radio(
            [("As painted", "generate"), ("Keep the source's mouth", "keep"), ("Come to rest", "rest")],
            value=default.mode,
            label="While the voice pauses",
            info="What the mouth does meanwhile; at rest it closes, then the source's own is shown.",
            elem_classes="silence",
        )
        pause = slider(
            0.1,
            10,
            default.min_pause_seconds,
            "Shortest pause",
            "How many seconds of silence count as a pause; in shorter ones the mouth goes on.",
            shown,
            0.1,
        )
        fade = slider(
            0.04, 2, default.fade_seconds, "Cross-fade", "How many seconds one mouth takes to become the other.", shown
        )
    return {"silence": silence, "pause": pause, "fade": fade}
