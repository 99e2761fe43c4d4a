"""The widgets that most renders leave alone, in folds.

What the chosen backend or mask has no use for is hidden by the style sheet, which sees both at once: nothing waits for
the server, and hidden widgets keep what was set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from musetalk.settings import MaskSettings, RenderSettings
from musetalk.webui.form.look import build_look, build_pauses, slider
from musetalk.webui.form.networks import build_networks
from musetalk.webui.html.plain_words import VISITOR, Reader

_RATES = ("24", "25", "30", "50", "60")  # frames a second that one chooses
_WIDEST_CHEEK = 256  # half of the 512 columns of a parsed face


def build_folds(base: RenderSettings, reader: Callable[[], Reader] = lambda: VISITOR) -> dict[str, Any]:
    """Build all of them where this is called; by the names of `SettingsForm`.

    Args:
        base: Says where weights are.
        reader: Says who is told what is missing.
    """
    default = RenderSettings()
    return {
        **_mask(default.mask),
        **build_look(base, reader),
        **build_networks(default),
        **_faces(default),
        **build_pauses(default.silence),
        **_length(default),
        **_output(default),
    }


def _mask(default: MaskSettings) -> dict[str, Any]:
    with gr.Accordion("Mask", open=False):
        shape = gr.Radio(
            [
                ("As published", "auto"),
                ("Ellipse", "ellipse"),
                ("Box", "box"),
                ("Jaw", "jaw"),
                ("Raw", "raw"),
                ("Neck", "neck"),
                ("Mouth", "mouth"),
            ],
            value=default.shape,
            label="Shape",
            info="What of the face is replaced; jaw, raw, neck and mouth follow its outline, which needs a download.",
            elem_classes="mask-shape",
        )
        return {"shape": shape, **_drawn(default), **_parsed(default), **_any_shape(default)}


def _drawn(default: MaskSettings) -> dict[str, Any]:
    shown, inset = "when-drawn", default.ellipse_padding_factor
    soft = "How wide the new mouth fades into the old face, as a share of the face's width."
    padding = "Makes the mask smaller on every side, by this share of its size; below 0 larger."
    return {
        "feather": slider(0, 0.5, default.feather, "Soft edge of ellipse and box", soft, shown),
        "padding": slider(-0.3, 0.4, inset, "Padding (ellipse_padding_factor)", padding, shown),
    }


def _parsed(default: MaskSettings) -> dict[str, Any]:
    shown = "when-parsed"
    soft, square = "Soft edge of jaw, raw, neck and mouth", "Blended square (expand_factor)"
    upper = "How much of the square, from its top, stays as in the source."
    left, right = (
        slider(
            0,
            _WIDEST_CHEEK,
            getattr(default, f"{side}_cheek_width"),
            f"{side.capitalize()} cheek width",
            f"How far {side} of the middle the mask keeps its full width, in 512ths of the square.",
            "when-jaw",
            step=1,
        )
        for side in ("left", "right")
    )
    return {
        "blur": slider(
            0,
            0.2,
            default.blur_kernel_ratio,
            soft,
            "How wide the new mouth fades into the old face, as a share of the square.",
            shown,
        ),
        "square": slider(
            1.2,
            3,
            default.expand_factor,
            square,
            "How large the square around the face is in which anything may change, in sides of the crop.",
            shown,
            step=0.1,
        ),
        "upper": slider(0, 0.9, default.upper_boundary_ratio, "Kept above (upper_boundary_ratio)", upper, shown),
        "left_cheek": left,
        "right_cheek": right,
        "mask_smoothing": slider(
            0,
            1,
            default.smoothing_seconds,
            "Steadied over time",
            "Over how many seconds the mask's edge is evened out, so that it does not flicker.",
            shown,
        ),
    }


def _any_shape(default: MaskSettings) -> dict[str, Any]:
    down, scale = "Moved down (mouth_vertical_offset)", "Scale (mouth_scale_factor)"
    share = "Moves the mask down by this share of the face's height; below 0 up."
    return {
        "offset": slider(-0.3, 0.3, default.mouth_vertical_offset, down, share),
        "scale": slider(
            0.5,
            2,
            default.mouth_scale_factor,
            scale,
            "Makes the whole mask larger or smaller around its middle.",
            step=0.05,
        ),
        "occlusion": gr.Radio(
            [("Auto", "auto"), ("Always", "always"), ("Never", "never")],
            value="auto",
            label="Keep hair, hands and glasses in front",
            info="Leaves alone what covers the mouth; auto does so where outlines are known, always needs a download.",
        ),
    }


def _faces(default: RenderSettings) -> dict[str, Any]:
    with gr.Accordion("Faces", open=False):
        detector = gr.Radio(
            [("Auto", "auto"), ("S3FD", "s3fd"), ("MTCNN", "mtcnn"), ("YuNet", "yunet"), ("Haar", "haar")],
            value=default.detector.name,
            label="Face detector",
            info="What looks for faces: try another where none is found; S3FD and YuNet need a download.",
        )
    return {"detector": detector}


def _length(default: RenderSettings) -> dict[str, Any]:
    with gr.Accordion("Length", open=False):
        length = gr.Radio(
            [("Back and forth", "pingpong"), ("Start over", "loop"), ("Hold the last frame", "hold")],
            value=default.length,
            label="Where the voice is longer than the video",
            info="How the picture goes on when the video is over and the voice is not.",
        )
        tail = gr.Radio(
            [("End with the voice", "cut"), ("Let the video go on", "keep")],
            value=default.tail,
            label="Where it is shorter",
            info="Whether the result ends with the voice or shows the rest of the video.",
        )
        fps = gr.Dropdown(
            [("As the source; of pictures 25", ""), *((rate, rate) for rate in _RATES)],
            value="" if default.fps is None else str(default.fps),
            label="Frame rate",
            info="Pictures a second in the result; one that is not listed can be typed, like 29.97.",
            allow_custom_value=True,
        )
        voice_track = gr.Number(
            value=default.voice_track or 0,
            precision=0,
            minimum=0,
            label="Sound track of the voice",
            info="Which one is heard where the voice's file has several, from 1; 0 takes its default one.",
        )
    return {"length": length, "tail": tail, "fps": fps, "voice_track": voice_track}


def _output(default: RenderSettings) -> dict[str, Any]:
    with gr.Accordion("Output", open=False):
        crf = gr.Slider(
            10,
            35,
            value=default.encoder.crf,
            step=1,
            label="Compression (CRF)",
            info="How much the result is squeezed: lower looks better and makes a larger file.",
        )
        preset = gr.Dropdown(
            ["ultrafast", "veryfast", "fast", "medium", "slow"],
            value=default.encoder.preset,
            label="Encoder's speed",
            info="How long is spent on squeezing: slower makes smaller files.",
        )
        background = gr.Radio(
            [("White", "white"), ("Black", "black")],
            value=default.alpha_background,
            label="Behind transparent parts of the source",
            info="The colour that shows where a picture has none.",
        )
        deinterlace = gr.Radio(
            [("What looks interlaced", "auto"), ("Everything", "on"), ("Nothing", "off")],
            value=default.deinterlace,
            label="Deinterlace",
            info="Mends moving edges that look like combs, as in recordings of television and older cameras.",
        )
    return {"crf": crf, "preset": preset, "alpha_background": background, "deinterlace": deinterlace}
