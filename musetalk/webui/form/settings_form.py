"""The settings of a render as widgets, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gradio as gr

from musetalk.backends.automatic import ranked
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import OWN, own_group
from musetalk.enhancers.registry import NONE
from musetalk.errors import SettingsError
from musetalk.frame_steps.registry import FrameStepRegistry
from musetalk.settings import AUTO, RenderSettings, current_names, left_to_the_look, nested
from musetalk.utils.extensions import BACKENDS, ENHANCERS
from musetalk.webui.form.table import SHIFT, WIDGETS
from musetalk.webui.form.widgets import FIELDS, Value, fields_within
from musetalk.webui.html.figures import figures
from musetalk.webui.site import in_turn
from musetalk.webui.texts import FOLDER, text

PICKED = "picked"
# For scripts: a value as text, of a file its path. Whatever says nothing (an empty box, no number, zero, off) is alike.
TOLD = """const told = (value) => (!value || value === "0" ? "" : String(value.path ?? value));"""
FACE: str = FIELDS["face"].default  # who is chosen at first
_FACES = [
    ("Largest", "largest"),
    ("Leftmost", "leftmost"),
    ("Rightmost", "rightmost"),
    ("All", "all"),
    ("Picked", PICKED),
]
# What only whoever runs the server decides, as the settings say it of themselves: settings and whole groups, and those
# of other groups.
SERVER_ONLY: tuple[str, ...] = tuple(
    top for top in RenderSettings.model_fields if top != OWN and all(each.server_only for each in fields_within(top))
)
SERVER_ONLY_IN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        top: leaves
        for top in RenderSettings.model_fields
        if top not in (*SERVER_ONLY, OWN)
        and (leaves := tuple(each.name.removeprefix(f"{top}.") for each in fields_within(top) if each.server_only))
    }
)
_OWN_FILES = ("captions", "speech.phonemes")  # settings that name files of a job's own
_NOTHING = object()  # where nothing is said
_SERVERS_OWN = tuple(name for name, field in FIELDS.items() if field.server_only and name.startswith(f"{OWN}."))
# Which files of enhancers visitors may name: by their bare name, never by a path.
_ENHANCER_FILE = re.compile(r"(?!.*\.\.)\w[\w .+-]*\.(?:pth|safetensors)")
# The form's values by name: of most settings their dotted names. "face" may say that one is picked, and "point" where;
# whether faces are enhanced at all ("enhance") is asked beside the enhancer.
ENHANCE, ENHANCER, POINT = "enhance", "enhance.model", "point"
_BEFORE: Mapping[str, tuple[str, ...]] = {"enhance.strength": (ENHANCE, ENHANCER)}
NAMES: tuple[str, ...] = (
    *("backend", "bbox_shift", "face", POINT),
    *(each for name in WIDGETS if name != "bbox_shift" for each in (*_BEFORE.get(name, ()), name)),
)


class SettingsForm:
    """The widgets of the form.

    Attributes:
        by_name: Each by its name in `NAMES`, in that order.
    """

    def __init__(self, widgets: Mapping[str, gr.Component]) -> None:
        self.by_name: dict[str, Any] = {name: widgets[name] for name in NAMES}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whichever of Gradio's components it is
        """Return the widget of that name."""
        return self.by_name[name]

    @property
    def widgets(self) -> list[gr.Component]:
        """As inputs of a handler, which `named` gives their names back."""
        return list(self.by_name.values())


def named(values: Sequence[Value]) -> dict[str, Value]:
    """Return what a handler got of `SettingsForm.widgets`, by name."""
    return dict(zip(NAMES, values, strict=True))


def build_mouth(backend: gr.HTML) -> dict[str, gr.Component]:
    """Build the widgets that one always looks at where this is called."""
    bbox_shift = SHIFT.build()
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
    in_turn([face.change], lambda choice: gr.Textbox(visible=choice == PICKED), face, point)
    return {"backend": backend, "bbox_shift": bbox_shift, "face": face, POINT: point}


def short_label(widget: gr.Component) -> str:
    """Return a widget's label without the name that its setting has elsewhere."""
    return str(widget.label).partition(" (")[0]


def picked(said: Mapping[str, Value]) -> bool:
    """Return whether the face is one that was picked in the Dub tab's source; `said` as for `read`."""
    return said["face"] == PICKED


def read(
    said: Mapping[str, Value],
    base: RenderSettings,
    backends: Sequence[str] = (),
    registry: BackendRegistry | None = None,
) -> RenderSettings:
    """Return the settings that a form says.

    Args:
        said: What its widgets hold, by name.
        base: What visitors cannot change.
        backends: What the settings are for, the first of them theirs; empty: what the form has chosen.
        registry: Which backends there are; None: those built in or installed.

    Raises:
        SettingsError: A value is out of range, or no face was picked.
    """
    if picked(said) and not str(said[POINT] or "").strip():
        raise SettingsError(
            "no face is picked", "click one in the preview frame, or choose another rule under Face", names=("face",)
        )
    backends = backends or (str(said["backend"]),)
    registry = registry or BackendRegistry()
    values = {name: widget.said(said[name]) for name, widget in WIDGETS.items()}
    if AUTO in backends:
        meant = [each for each in ranked(registry) if not each.configured(base).lacks()]
    else:
        meant = [each for each in registry if each.name in backends]
    groups = [each.groups for each in meant] or [frozenset()]
    values = {name: value for name, value in values.items() if any(_counts(name, said, each) for each in groups)}
    values |= {
        "backend": backends[0],
        "face": said[POINT] if picked(said) else said["face"],
        ENHANCER: said[ENHANCER] if said[ENHANCE] else NONE,
    }
    return visitors_settings(left_to_the_look(nested(values)), base)


def _counts(name: str, said: Mapping[str, Value], groups: frozenset[str]) -> bool:
    """Return whether a setting is shown with a backend of these groups; where it is hidden, it says nothing."""
    upright = "latentsync" in groups and said["latentsync.framing"] == "aligned"
    if name == "bbox_shift":
        return not upright
    if name == "extra_margin":
        return "margin" in groups and not upright
    if name.startswith("enhance."):
        return bool(said[ENHANCE])
    group, _, leaf = name.partition(".")
    if group == OWN:
        return own_group(leaf.partition(".")[0]) in groups
    return group not in ("network", "latentsync") or group in groups


def visitors_settings(values: dict[str, Any], base: RenderSettings) -> RenderSettings:
    """Settings from somebody who must not decide where the server reads, how much it takes, or what it runs on.

    Raises:
        SettingsError: A value is unknown, out of range, or not theirs to set.
    """
    if not isinstance(values, dict):  # from a program, anything that JSON can say
        raise SettingsError("settings are no object", 'give names and values, like {"bbox_shift": 5}')
    values = current_names(RenderSettings, values)
    foreign = [name for name in SERVER_ONLY if name in values]
    kept: dict[str, Any] = {name: getattr(base, name) for name in SERVER_ONLY}
    for group, leaves in SERVER_ONLY_IN.items():
        within = values.get(group, {})
        if isinstance(within, Mapping):  # what else it may be, validation refuses
            foreign += [f"{group}.{leaf}" for leaf in leaves if leaf in within]
            kept[group] = {**within, **{leaf: getattr(getattr(base, group), leaf) for leaf in leaves}}
    own = _own_by_present_names(values.get(OWN, {}))
    if isinstance(own, Mapping):
        foreign += [name for name in _SERVERS_OWN if _at(own, name) is not _NOTHING]
        kept[OWN] = _with_servers_own(own, base)
    if foreign:
        raise SettingsError(f"{', '.join(foreign)} cannot be set from outside", "leave it out", names=foreign)
    settings = RenderSettings.parse({**values, **kept})
    if not may_be_named(settings.enhance.model):
        raise SettingsError(
            "enhance.model is no enhancer's name",
            f"give {', '.join((NONE, *ENHANCERS.names()))}, "
            "or the bare name of a .pth or .safetensors file on the server",
            names=("enhance.model",),
        )
    steps = FrameStepRegistry().by_name
    servers = [step.name for step in settings.frame_steps if step.name in steps and steps[step.name].server_only]
    if servers:
        raise SettingsError(
            f"the frame step {', '.join(servers)} cannot be chosen from outside", "leave it out", names=("frame_steps",)
        )
    return settings


def renewed(settings: RenderSettings, base: RenderSettings) -> RenderSettings:
    """Return a job's settings with what the server decides as it is decided now; files of its own stay."""
    now: dict[str, Any] = {name: getattr(base, name) for name in SERVER_ONLY if name not in _OWN_FILES}
    for group, leaves in SERVER_ONLY_IN.items():
        own = getattr(base, group)
        now[group] = getattr(settings, group).model_copy(
            update={leaf: getattr(own, leaf) for leaf in leaves if f"{group}.{leaf}" not in _OWN_FILES}
        )
    now[OWN] = _with_servers_own(settings.backend_options, base)
    return settings.model_copy(update=now)


def _own_by_present_names(own: Any) -> Any:  # noqa: ANN401 - from a program, anything that JSON can say
    """Return what is said of backends' own settings, none of them by a former name."""
    if not isinstance(own, Mapping):
        return own
    models = BACKENDS.own_settings()
    return {
        key: current_names(models[key], within) if key in models and isinstance(within, Mapping) else within
        for key, within in own.items()
    }


def _with_servers_own(own: Mapping[str, Any], base: RenderSettings) -> dict[str, Any]:
    """Return backends' own settings with those that only the server decides as it has them."""
    kept = dict(own)
    for name in _SERVERS_OWN:
        kept = _put(kept, name.split(".")[1:], _at(base.backend_options, name))
    return kept


def _at(own: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - whatever a setting is
    """Return what is said of a backend's own setting, by its dotted name; `_NOTHING`: nothing is."""
    found: Any = own
    for part in name.split(".")[1:]:
        found = found.get(part, _NOTHING) if isinstance(found, Mapping) else _NOTHING
    return found


def _put(values: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return values with another one at a place, or, where that is `_NOTHING`, without any."""
    first, *rest = path
    within = values.get(first, {})
    if rest and isinstance(within, Mapping):  # what else it may be, validation refuses
        value = _put(within, rest, value) or _NOTHING
    elif rest:
        value = within
    others = {key: held for key, held in values.items() if key != first}
    return others if value is _NOTHING else {**others, first: value}


def may_be_named(enhancer: str) -> bool:
    """Whether visitors may name an enhancer: by its name, or by that of a file in the server's folder, no path."""
    return enhancer == NONE or enhancer in ENHANCERS.names() or _ENHANCER_FILE.fullmatch(enhancer) is not None
