"""The settings of a render as widgets, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import gradio as gr

from musetalk.enhancers.registry import BY_PACKAGE, BY_SPANDREL, NONE
from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings, left_to_the_look
from musetalk.webui.html.figures import figures
from musetalk.webui.site import UNQUEUED
from musetalk.webui.texts import FOLDER, text

Value: TypeAlias = str | float | bool | None  # what a widget of the form holds
PICKED = "picked"
# For scripts: a value as text, of a file its path. Whatever says nothing (an empty box, no number, zero, off) is alike.
TOLD = """const told = (value) => (!value || value === "0" ? "" : String(value.path ?? value));"""
FACE = "largest"  # who is chosen at first
MUSETALK, LATENTSYNC = "musetalk-", "latentsync-"  # what the names of their backends begin with
_FACES = [
    ("Largest", "largest"),
    ("Leftmost", "leftmost"),
    ("Rightmost", "rightmost"),
    ("All", "all"),
    ("Picked", PICKED),
]
# What only whoever runs the server decides: where it reads and writes, how much it takes, and what it runs on.
SERVER_ONLY = ("models_dir", "coords_dir", "debug_dir", "use_saved_coords", "limits")
SERVERS_NETWORK = ("device", "compile")
# Which restorers visitors may name: those that have a name, and files by their bare name, never by a path.
_NAMED_RESTORERS = (NONE, BY_SPANDREL, BY_PACKAGE)
_RESTORER_FILE = re.compile(r"(?!.*\.\.)\w[\w .+-]*\.(?:pth|safetensors)")
# Settings, and the widgets that say them as they are.
MASK = {
    "shape": "shape",
    "feather": "feather",
    "ellipse_padding_factor": "padding",
    "blur_kernel_ratio": "blur",
    "expand_factor": "square",
    "upper_boundary_ratio": "upper",
    "left_cheek_width": "left_cheek",
    "right_cheek_width": "right_cheek",
    "mouth_vertical_offset": "offset",
    "mouth_scale_factor": "scale",
    "smoothing_seconds": "mask_smoothing",
}
OCCLUSION = {"auto": None, "always": True, "never": False}
ENHANCE = {
    "model": "restorer",
    "strength": "strength",
    "region": "region",
    "upscale": "upscale",
    "steadiness": "steadiness",
}
SILENCE = {"mode": "silence", "min_pause_seconds": "pause", "fade_seconds": "fade"}


@dataclass(frozen=True, slots=True)
class SettingsForm:
    """Widgets in the order in which `read` takes their values."""

    backend: gr.HTML
    bbox_shift: gr.Slider
    face: gr.Radio
    point: gr.Textbox
    shape: gr.Radio
    feather: gr.Slider
    padding: gr.Slider
    blur: gr.Slider
    square: gr.Slider
    upper: gr.Slider
    left_cheek: gr.Slider
    right_cheek: gr.Slider
    offset: gr.Slider
    scale: gr.Slider
    mask_smoothing: gr.Slider
    occlusion: gr.Radio
    look: gr.Radio
    blend: gr.Radio
    color: gr.Checkbox
    sharpness: gr.Checkbox
    restore: gr.Checkbox
    restorer: gr.Dropdown
    strength: gr.Slider
    region: gr.Radio
    upscale: gr.Radio
    steadiness: gr.Slider
    silence: gr.Radio
    pause: gr.Slider
    fade: gr.Slider
    extra_margin: gr.Slider
    sampler: gr.Radio
    steps: gr.Number
    guidance: gr.Slider
    overlap: gr.Slider
    framing: gr.Radio
    fallback: gr.Radio
    decoder: gr.Radio
    detector: gr.Radio
    dtype: gr.Radio
    batch_size: gr.Number
    seed: gr.Textbox
    length: gr.Radio
    tail: gr.Radio
    crf: gr.Slider
    preset: gr.Dropdown
    fps: gr.Dropdown
    voice_track: gr.Number
    alpha_background: gr.Radio
    deinterlace: gr.Radio

    @property
    def widgets(self) -> list[gr.Component]:
        """As inputs of a handler."""
        return [getattr(self, name) for name in self.__dataclass_fields__]


def build_mouth(backend: gr.HTML) -> dict[str, Any]:
    """The widgets that one always looks at, rendered where this is called."""
    bbox_shift = gr.Slider(
        -20,
        20,
        value=0,
        step=1,
        label="Mouth opening (bbox_shift)",
        info="Moves where the mouth is painted, in pixels of the source: more opens it wider.",
        elem_classes="when-shift",
    )
    with gr.Accordion("What bbox_shift does", open=False, elem_classes="when-shift"):
        gr.Markdown(text("bbox_shift"), elem_classes="help")
        gr.HTML(
            figures(
                [
                    (FOLDER / "bbox_shift_less.jpg", "bbox_shift -9: opens less"),
                    (FOLDER / "bbox_shift_more.jpg", "bbox_shift 9: opens more"),
                ]
            )
        )
    face = gr.Radio(
        _FACES,
        value=FACE,
        label="Face",
        info="Who speaks where several faces are seen; or click one in the preview frame.",
    )
    point = gr.Textbox(
        label="Point on the picked face",
        placeholder="x, y",
        info="Where the speaking face is in the source, in pixels from its left and top.",
        visible=False,
    )
    face.change(lambda choice: gr.Textbox(visible=choice == PICKED), face, point, **UNQUEUED)
    return {"backend": backend, "bbox_shift": bbox_shift, "face": face, "point": point}


def short_label(widget: gr.Component) -> str:
    """A widget's label without the name that its setting has elsewhere."""
    return str(widget.label).partition(" (")[0]


def picked(values: tuple[Value, ...]) -> bool:
    """Whether the face is one that was picked in the Dub tab's source; `values` as for `read`."""
    return dict(zip(SettingsForm.__dataclass_fields__, values, strict=True))["face"] == PICKED


def read(values: tuple[Value, ...], base: RenderSettings, backends: Sequence[str] = ()) -> RenderSettings:
    """The settings that a form says.

    Args:
        values: Of `SettingsForm.widgets`.
        base: What visitors cannot change.
        backends: What the settings are for, the first of them theirs; empty: what the form has chosen.

    Raises:
        SettingsError: A value is out of range, or no face was picked.
    """
    said = dict(zip(SettingsForm.__dataclass_fields__, values, strict=True))
    if said["face"] == PICKED and not str(said["point"] or "").strip():
        raise SettingsError("no face is picked", "click one in the preview frame, or choose another rule under Face")
    backends = backends or (str(said["backend"]),)
    of_backends: dict[str, Any] = {}
    for backend in backends:
        of_backends |= _of_backend(said, backend)
    wanted = left_to_the_look(
        {
            "backend": backends[0],
            "look": said["look"],
            "face": said["point"] if said["face"] == PICKED else said["face"],
            "length": said["length"],
            "tail": said["tail"],
            "fps": said["fps"],
            "voice_track": said["voice_track"] or None,  # empty and 0: its default one
            "alpha_background": said["alpha_background"],
            "deinterlace": said["deinterlace"],
            "detector": {"name": said["detector"]},
            **_of_looks(said),
            "encoder": {"crf": said["crf"], "preset": said["preset"]},
            **of_backends,
        }
    )
    return visitors_settings(wanted, base)


def _of_looks(said: dict[str, Value]) -> dict[str, Any]:
    """What is the same for every backend."""
    matched = {name: "match" if said[name] else "none" for name in ("color", "sharpness")}
    return {
        "mask": {**_told(said, MASK), "occlusion": OCCLUSION.get(str(said["occlusion"]))},
        "blend": {"method": said["blend"], **matched},
        "enhance": _told(said, ENHANCE) if said["restore"] else {"model": NONE},
        "silence": _told(said, SILENCE),
    }


def _told(said: dict[str, Value], widgets: dict[str, str]) -> dict[str, Value]:
    return {setting: said[widget] for setting, widget in widgets.items()}


def _of_backend(said: dict[str, Value], backend: str) -> dict[str, Any]:
    """What is shown with some backends only; where it is hidden, it says nothing."""
    latentsync = backend.startswith(LATENTSYNC)
    upright = latentsync and said["framing"] == "aligned"
    values: dict[str, Any] = {} if upright else {"bbox_shift": said["bbox_shift"]}
    if backend == f"{MUSETALK}v15" or (latentsync and not upright):
        values["extra_margin"] = said["extra_margin"]
    if latentsync:
        values["latentsync"] = _of_latentsync(said)
    if latentsync or backend.startswith(MUSETALK):
        values |= _of_network(said)
    return values


def _of_latentsync(said: dict[str, Value]) -> dict[str, Any]:
    return {
        "preset": said["sampler"],
        "steps": said["steps"] or None,  # empty and 0: the preset's
        "guidance": said["guidance"],
        "overlap": said["overlap"],
        "framing": said["framing"],
        "fallback": said["fallback"],
    }


def _of_network(said: dict[str, Value]) -> dict[str, Any]:
    return {
        "network": {
            "decoder": said["decoder"],
            "dtype": said["dtype"],
            "batch_size": said["batch_size"] or None,  # empty and 0: automatic
            "seed": str(said["seed"] or "").strip() or None,  # a text: an empty number widget says 0
        },
    }


def visitors_settings(values: dict[str, Any], base: RenderSettings) -> RenderSettings:
    """Settings from somebody who must not decide where the server reads, how much it takes, or what it runs on.

    Raises:
        SettingsError: A value is unknown, out of range, or not theirs to set.
    """
    if not isinstance(values, dict):  # from a program, anything that JSON can say
        raise SettingsError("settings are no object", 'give names and values, like {"bbox_shift": 5}')
    network = values.get("network", {})
    foreign = [name for name in SERVER_ONLY if name in values]
    if isinstance(network, dict):
        foreign += [f"network.{name}" for name in SERVERS_NETWORK if name in network]
        network = {**network, **{name: getattr(base.network, name) for name in SERVERS_NETWORK}}
    if foreign:
        raise SettingsError(f"{', '.join(foreign)} cannot be set from outside", "leave it out")
    kept = {name: getattr(base, name) for name in SERVER_ONLY}
    settings = RenderSettings.parse({**values, "network": network, **kept})
    if not may_be_named(settings.enhance.model):
        raise SettingsError(
            "enhance.model is no restorer's name",
            f"give {', '.join(_NAMED_RESTORERS)}, or the bare name of a .pth or .safetensors file on the server",
        )
    return settings


def renewed(settings: RenderSettings, base: RenderSettings) -> RenderSettings:
    """A job's settings with what the server decides as it is decided now."""
    network = settings.network.model_copy(update={name: getattr(base.network, name) for name in SERVERS_NETWORK})
    return settings.model_copy(update={"network": network, **{name: getattr(base, name) for name in SERVER_ONLY}})


def may_be_named(restorer: str) -> bool:
    """Whether visitors may name a restorer: by its name, or by that of a file in the server's folder, no path."""
    return restorer in _NAMED_RESTORERS or _RESTORER_FILE.fullmatch(restorer) is not None
