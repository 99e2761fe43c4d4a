"""The widgets that most renders leave alone, in folds.

What the chosen backend or mask has no use for is hidden by the style sheet, which sees both at once: nothing waits for
the server, and hidden widgets keep what was set.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from musetalk.settings import RenderSettings
from musetalk.webui.form_networks import build_networks

_WIDEST_CHEEK = 256  # half of the 512 columns of a parsed face


def build_folds() -> dict[str, Any]:
    """Build all of them where this is called; by the names of `SettingsForm`."""
    default = RenderSettings()
    return {**_mask(default), **build_networks(default), **_length(default), **_output(default)}


def _mask(default: RenderSettings) -> dict[str, Any]:
    with gr.Accordion("Mask", open=False):
        shape = gr.Radio(
            [
                ("As published", "auto"),
                ("Ellipse", "ellipse"),
                ("Box", "box"),
                ("Jaw", "jaw"),
                ("Raw", "raw"),
                ("Neck", "neck"),
            ],
            value=default.mask.shape,
            label="Shape",
            info="Jaw, raw and neck are MuseTalk's parsing modes: they follow the parsed face, and need its weights",
            elem_classes="mask-shape",
        )
        feather = _soft_edge("ellipse and box", default.mask.feather, 0.5, "face's width", "when-drawn")
        square = "blended square, half as large again as the crop"
        blur = _soft_edge("jaw, raw and neck", default.mask.blur, 0.2, square, "when-parsed")
        left, right = (
            gr.Slider(
                0,
                _WIDEST_CHEEK,
                value=getattr(default.mask, f"{side}_cheek_width"),
                step=1,
                label=f"{side.capitalize()} cheek width",
                info=f"Of jaw: columns of 512 {side} of the middle that are kept whole",
                elem_classes="when-jaw",
            )
            for side in ("left", "right")
        )
    return {"shape": shape, "feather": feather, "blur": blur, "left_cheek": left, "right_cheek": right}


def _soft_edge(shapes: str, value: float, most: float, whole: str, shown: str) -> gr.Slider:
    """How soft the edge of some shapes is; `shown` is the style sheet's word for when they are chosen."""
    return gr.Slider(
        0,
        most,
        value=value,
        step=0.01,
        label=f"Soft edge of {shapes}",
        info=f"As a fraction of the {whole}",
        elem_classes=shown,
    )


def _length(default: RenderSettings) -> dict[str, Any]:
    with gr.Accordion("Length", open=False):
        length = gr.Radio(
            [("Back and forth", "pingpong"), ("Start over", "loop"), ("Hold the last frame", "hold")],
            value=default.length,
            label="Where the voice is longer than the video",
        )
        tail = gr.Radio(
            [("End with the voice", "cut"), ("Let the video go on", "keep")],
            value=default.tail,
            label="Where it is shorter",
        )
        image_fps = gr.Slider(
            5, 60, value=default.image_fps, step=1, label="Frame rate of a picture", info="Videos keep their own"
        )
    return {"length": length, "tail": tail, "image_fps": image_fps}


def _output(default: RenderSettings) -> dict[str, Any]:
    with gr.Accordion("Output", open=False):
        crf = gr.Slider(
            10, 35, value=default.encoder.crf, step=1, label="Compression (CRF)", info="Lower is better and larger"
        )
        preset = gr.Dropdown(
            ["ultrafast", "veryfast", "fast", "medium", "slow"],
            value=default.encoder.preset,
            label="Encoder's speed",
            info="Slower makes smaller files",
        )
    return {"crf": crf, "preset": preset}
