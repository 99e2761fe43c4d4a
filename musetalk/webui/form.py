"""The settings of a render as widgets, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import gradio as gr

from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings
from musetalk.webui.figures import figures
from musetalk.webui.texts import FOLDER, text

Value: TypeAlias = str | float | None  # what a widget of the form holds
PICKED = "picked"
_FACES = [
    ("Largest", "largest"),
    ("Leftmost", "leftmost"),
    ("Rightmost", "rightmost"),
    ("All", "all"),
    ("Picked", PICKED),
]
# What only whoever runs the server decides: where it reads and writes, and how much it takes.
_SERVER_ONLY = ("models_dir", "coords_dir", "use_saved_coords", "limits")


@dataclass(frozen=True, slots=True)
class SettingsForm:
    """Widgets in the order in which `read` takes their values."""

    backend: gr.HTML
    bbox_shift: gr.Slider
    face: gr.Radio
    point: gr.Textbox
    shape: gr.Radio
    feather: gr.Slider
    length: gr.Radio
    tail: gr.Radio
    crf: gr.Slider
    preset: gr.Dropdown
    image_fps: gr.Slider

    @property
    def widgets(self) -> list[gr.Component]:
        """As inputs of a handler."""
        return [getattr(self, name) for name in self.__dataclass_fields__]


def build_mouth(backend: gr.HTML) -> dict[str, Any]:
    """The widgets that one always looks at, rendered where this is called."""
    bbox_shift = gr.Slider(
        -20, 20, value=0, step=1, label="Mouth opening (bbox_shift)", info="Pixels of the source; more opens wider"
    )
    with gr.Accordion("What bbox_shift does", open=False):
        gr.Markdown(text("bbox_shift"), elem_classes="help")
        gr.HTML(
            figures(
                [
                    (FOLDER / "bbox_shift_less.jpg", "bbox_shift -9: opens less"),
                    (FOLDER / "bbox_shift_more.jpg", "bbox_shift 9: opens more"),
                ]
            )
        )
    face = gr.Radio(_FACES, value="largest", label="Face", info="Or click a face in the preview frame")
    point = gr.Textbox(label="Point on the picked face", placeholder="x, y in pixels of the source", visible=False)
    face.change(lambda choice: gr.Textbox(visible=choice == PICKED), face, point, queue=False, api_visibility="private")
    return {"backend": backend, "bbox_shift": bbox_shift, "face": face, "point": point}


def build_folded() -> dict[str, Any]:
    """The widgets that most renders leave alone."""
    default = RenderSettings()
    with gr.Accordion("Mask", open=False):
        shape = gr.Radio([("Ellipse", "ellipse"), ("Box", "box")], value=default.mask.shape, label="Shape")
        feather = gr.Slider(
            0, 0.5, value=default.mask.feather, step=0.01, label="Soft edge", info="As a fraction of the face's width"
        )
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
    return {
        "shape": shape,
        "feather": feather,
        "length": length,
        "tail": tail,
        "image_fps": image_fps,
        "crf": crf,
        "preset": preset,
    }


def read(values: tuple[Value, ...], base: RenderSettings) -> RenderSettings:
    """The settings that a form says.

    Args:
        values: Of `SettingsForm.widgets`.
        base: What visitors cannot change.

    Raises:
        SettingsError: A value is out of range, or no face was picked.
    """
    said = dict(zip(SettingsForm.__dataclass_fields__, values, strict=True))
    if said["face"] == PICKED and not str(said["point"] or "").strip():
        raise SettingsError("no face is picked", "click one in the preview frame, or choose another rule under Face")
    return visitors_settings(
        {
            "backend": said["backend"],
            "bbox_shift": said["bbox_shift"],
            "face": said["point"] if said["face"] == PICKED else said["face"],
            "length": said["length"],
            "tail": said["tail"],
            "image_fps": said["image_fps"],
            "mask": {"shape": said["shape"], "feather": said["feather"]},
            "encoder": {"crf": said["crf"], "preset": said["preset"]},
        },
        base,
    )


def visitors_settings(values: dict[str, Any], base: RenderSettings) -> RenderSettings:
    """Settings from somebody who must not decide where the server reads or how much it takes.

    Raises:
        SettingsError: A value is unknown, out of range, or not theirs to set.
    """
    foreign = [name for name in _SERVER_ONLY if name in values]
    if foreign:
        raise SettingsError(f"{', '.join(foreign)} cannot be set from outside", "leave it out")
    return RenderSettings.parse({**values, **{name: getattr(base, name) for name in _SERVER_ONLY}})
