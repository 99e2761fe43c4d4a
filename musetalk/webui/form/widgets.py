"""The kinds of widgets that settings have in the form. Bounds and defaults are those of the settings' own fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Any, TypeAlias

import gradio as gr

from musetalk.faces.detection.registry import DetectorRegistry
from musetalk.frame_steps.registry import FrameStepRegistry, options_text
from musetalk.settings import AUTO, FrameStepChoice, RenderSettings, SettingField, setting_fields
from musetalk.webui.html.units import sentence

Value: TypeAlias = str | float | bool | list[str] | None  # what a widget of the form holds
FIELDS: Mapping[str, SettingField] = MappingProxyType({each.name: each for each in setting_fields(RenderSettings)})


def fields_within(name: str) -> tuple[SettingField, ...]:
    """Return a setting, or all settings of a group."""
    return tuple(field for each, field in FIELDS.items() if each == name or each.startswith(f"{name}."))


@dataclass(frozen=True)
class SettingWidget:
    """A setting in the form.

    Attributes:
        name: The setting by its dotted name.
        label: What the page calls it.
        info: What it does, in a sentence for visitors.
        shown: The style sheet's word for when it is of use; empty: always.
    """

    name: str
    label: str
    info: str
    shown: str = field(default="", kw_only=True)

    @property
    def setting(self) -> SettingField:
        """What the settings say of it."""
        return FIELDS[self.name]

    def build(self) -> gr.Component:
        """Build the widget where this is called."""
        raise NotImplementedError

    def held(self, value: Any) -> Value:  # noqa: ANN401 - whatever a setting is
        """Return what the widget holds where the setting has a value."""
        return value  # type: ignore[no-any-return]

    def said(self, held: Value) -> Any:  # noqa: ANN401 - whatever a setting is
        """Return the value that a widget which holds this says."""
        return held

    def _told(self) -> dict[str, Any]:
        """Return what every widget is told."""
        value = self.held(self.setting.default)
        return {"value": value, "label": self.label, "info": self.info, "elem_classes": self.shown or None}


@dataclass(frozen=True)
class Slide(SettingWidget):
    """A number on a slider; `within`: a narrower range than the setting's, in which people look for it."""

    step: float = field(default=0.01, kw_only=True)
    within: tuple[float, float] | None = field(default=None, kw_only=True)

    def build(self) -> gr.Component:
        """Build the slider where this is called."""
        low, high = self.within or (self.setting.low, self.setting.high)
        if low is None or high is None:
            raise TypeError(f"{self.name} has no bounds to slide between, and none are given here")
        return gr.Slider(low, high, step=self.step, **self._told())


@dataclass(frozen=True)
class Count(SettingWidget):
    """A whole number, where 0 and an empty box say nothing."""

    def build(self) -> gr.Component:
        """Build the box where this is called."""
        return gr.Number(precision=0, minimum=0, maximum=self.setting.high, **self._told())

    def held(self, value: Any) -> Value:  # noqa: ANN401
        """Return 0 for nothing."""
        return value or 0

    def said(self, held: Value) -> Any:  # noqa: ANN401
        """Return nothing for 0."""
        return held or None


@dataclass(frozen=True)
class Write(SettingWidget):
    """A text, where an empty box says nothing: an empty box of numbers would say 0."""

    placeholder: str = field(default="", kw_only=True)

    def build(self) -> gr.Component:
        """Build the box where this is called."""
        return gr.Textbox(placeholder=self.placeholder, **self._told())

    def held(self, value: Any) -> Value:  # noqa: ANN401
        """Return an empty text for nothing."""
        return "" if value is None else str(value)

    def said(self, held: Value) -> Any:  # noqa: ANN401
        """Return nothing for an empty text."""
        return str(held or "").strip() or None


@dataclass(frozen=True)
class Made(SettingWidget):
    """A setting that says itself what kind of widget it needs, for settings that other packages bring."""

    def build(self) -> gr.Component:
        """Build the widget where this is called."""
        field, told = self.setting, self._told()
        if field.choices and None not in (field.default, *field.choices):
            return gr.Radio([(str(each), each) for each in field.choices], **told)
        if field.kind is bool:
            return gr.Checkbox(**told)
        if field.kind not in (int, float) or field.default is None:
            return gr.Textbox(**told)
        step = 1 if field.kind is int else 0.01
        if field.low is None or field.high is None:
            return gr.Number(minimum=field.low, maximum=field.high, precision=0 if step == 1 else None, **told)
        return gr.Slider(field.low, field.high, step=step, **told)

    def held(self, value: Any) -> Value:  # noqa: ANN401
        """Return an empty text for nothing."""
        return "" if value is None else value

    def said(self, held: Value) -> Any:  # noqa: ANN401
        """Return nothing for an empty text."""
        return None if held == "" and self.setting.default is None else held


@dataclass(frozen=True)
class Choose(SettingWidget):
    """One of a few words, all of them in sight.

    Attributes:
        choices: What the page calls each value.
    """

    choices: Mapping[Any, str] = field(kw_only=True)

    def build(self) -> gr.Component:
        """Build the buttons where this is called."""
        choices: list[Any] = [(label, self.held(value)) for value, label in self.choices.items()]
        return gr.Radio(choices, **self._told())


@dataclass(frozen=True)
class ChooseOrNot(Choose):
    """Yes, no, or neither, as words: Gradio's own buttons cannot hold None."""

    def held(self, value: Any) -> Value:  # noqa: ANN401
        """Return the word on the button."""
        return self.choices[value].lower()

    def said(self, held: Value) -> Any:  # noqa: ANN401
        """Return what the word means; an unknown one means neither."""
        return next((value for value in self.choices if self.held(value) == held), None)


@dataclass(frozen=True)
class Pick(Write):
    """One of many texts, from a list; `free`: any other may be typed."""

    choices: Mapping[str, str] = field(kw_only=True)
    free: bool = field(default=False, kw_only=True)

    def build(self) -> gr.Component:
        """Build the list where this is called."""
        choices = [(label, value) for value, label in self.choices.items()]
        return gr.Dropdown(choices, allow_custom_value=self.free, **self._told())


@dataclass(frozen=True)
class ChooseDetector(SettingWidget):
    """What finds faces: one of those there are."""

    def build(self) -> gr.Component:
        """Build the buttons where this is called."""
        choices = [("Auto", AUTO), *((spec.title, spec.name) for spec in DetectorRegistry())]
        return gr.Radio(choices, **self._told())


@dataclass(frozen=True)
class PickSteps(SettingWidget):
    """Frame steps in a row, from a list of those there are; one with options is typed."""

    def build(self) -> gr.Component:
        """Build the list where this is called."""
        specs = [spec for spec in FrameStepRegistry() if not spec.server_only]
        picked = gr.Dropdown([spec.name for spec in specs], multiselect=True, allow_custom_value=True, **self._told())
        said = "".join(
            f"<dt>{escape(spec.name)}</dt>"
            f"<dd>{escape(sentence(spec.summary))}. Options: {escape(options_text(spec))}.</dd>"
            for spec in specs
        )
        summary = "<summary>Which there are, and their options</summary>"
        gr.HTML(f'<details class="mt-finishing">{summary}<dl>{said}</dl></details>')
        return picked

    def held(self, value: Any) -> Value:  # noqa: ANN401
        """Return each step in one line."""
        return [FrameStepChoice.model_validate(step).text for step in value]


@dataclass(frozen=True)
class Tick(SettingWidget):
    """A setting of two words as a box to tick."""

    on: str = field(kw_only=True)
    off: str = field(kw_only=True)

    def build(self) -> gr.Component:
        """Build the box where this is called."""
        return gr.Checkbox(**self._told())

    def held(self, value: Any) -> Value:  # noqa: ANN401
        """Return whether it is ticked."""
        return bool(value == self.on)

    def said(self, held: Value) -> Any:  # noqa: ANN401
        """Return the word that it says."""
        return self.on if held else self.off
