"""From settings back to the form: what a job was rendered with can be changed and rendered again."""

from __future__ import annotations

import random
from typing import Any

import gradio as gr
import pytest

from musetalk.settings import RenderSettings
from musetalk.webui.form import form_values
from musetalk.webui.form.settings_form import SettingsForm, read
from tests.unit.webui.test_form import made_form

BACKENDS = ("preview", "musetalk-v1", "musetalk-v15", "latentsync-1.5", "latentsync-1.6")


@pytest.fixture(scope="module")
def form() -> SettingsForm:
    return made_form()


def some(widget: gr.Component, draw: random.Random) -> Any:  # noqa: ANN401 - whatever widgets hold
    """One of the values that a widget can show."""
    if isinstance(widget, gr.Radio | gr.Dropdown):
        return draw.choice([value for _, value in widget.choices])
    if isinstance(widget, gr.Slider):
        steps = round((widget.maximum - widget.minimum) / widget.step)
        return round(widget.minimum + draw.randint(0, steps) * widget.step, 6)
    if isinstance(widget, gr.Number):
        return draw.randint(0, 12)
    return draw.random() < 0.5


def filled(form: SettingsForm, backend: str, draw: random.Random) -> dict[str, Any]:
    values = {name: some(widget, draw) for name, widget in form.by_name.items() if name != "backend"}
    texts = {"point": "12.5, 40", "network.seed": draw.choice(["", "7"]), "fps": draw.choice(["", "29.97", "24"])}
    return {"backend": backend, **values, **texts}


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_form_said_is_what_it_shows_again(form: SettingsForm, backend: str) -> None:
    draw, base = random.Random(backend), RenderSettings()
    at_first = {name: widget.value for name, widget in form.by_name.items()}
    for _ in range(30):
        values = filled(form, backend, draw)
        settings = read(values, base)
        again = {**at_first, **form_values.values_of(settings).shown}
        assert read(again, base) == settings
        assert form_values.not_in_form(form_values.values_of(settings), form) == []
        assert all(form_values.fits(form[name], value) for name, value in again.items())


def test_an_untouched_form_has_nothing_unusual(form: SettingsForm) -> None:
    for backend in BACKENDS:
        usual = form_values.values_of(RenderSettings(backend=backend))
        assert form_values.differences(usual, form, form_values.titles(form)) == []
    published = RenderSettings.parse({"look": "published", "backend": "musetalk-v15"})
    assert form_values.differences(form_values.values_of(published), form, form_values.titles(form)) == [
        ("Blending: look", "The published programs'")
    ]


def test_what_is_unusual_is_said_in_the_forms_words(form: SettingsForm) -> None:
    settings = RenderSettings.parse(
        {
            "bbox_shift": 5,
            "face": [30, 40.5],
            "mask": {"shape": "jaw", "occlusion": False},
            "enhance": {"model": "gfpgan"},
            "fps": "29.97",
            "detector": {"min_face": 0.2},
            "encoder": {"crf": 3},
        }
    )
    assert form_values.differences(form_values.values_of(settings), form, form_values.titles(form)) == [
        ("Mouth opening", "5"),
        ("Point on the picked face", "30, 40.5"),
        ("Mask: shape", "Jaw"),
        ("Mask: keep hair, hands and glasses in front", "Never"),
        ("Enhancement: model", "gfpgan"),
        ("Length: frame rate", "30000/1001"),
        ("Output: compression", "3"),
        ("detector.min_face", "0.2"),
    ]
    assert form_values.not_in_form(form_values.values_of(settings), form) == ["detector.min_face", "encoder.crf"]
