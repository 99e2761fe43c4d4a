"""Settings that a backend of another package brings itself: options, keys of files and widgets as all others are."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from musetalk.backends.registry import BackendRegistry
from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings
from tests.helpers.errors import raises_kind
from tests.helpers.programs import run_program
from tests.helpers.served import ROOT
from tests.helpers.toys import first_example, install

GUIDE = "adding_a_backend.md"
OWN = """
from musetalk.settings import Settings, group, setting

class Brush(Settings):
    width: int = setting(3, "how wide it is", ge=1, le=9)
    file: str = setting("brush", "where it is", server_only=True)

class Paint(Settings):
    strength: float = setting(1.0, "how red it is", ge=0, le=1)
    tone: str = setting("warm", "what kind of red", values="WORD", max_length=8)
    folder: str = setting("pots", "where the paint is", old=("pots",), server_only=True)
    brush: Brush = group(Brush, "Brush")

from dataclasses import replace
SPEC = replace(SPEC, own_settings=Paint, load=lambda paint: (RedMouth(), paint))
"""
ASKS_THE_FORM = """
import asyncio, json, gradio as gr
from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings
from musetalk.webui.form.backend_picker import backend_picker
from musetalk.webui.form.form_values import differences, not_in_form, titles, values_of
from musetalk.webui.form.sections import build_folds
from musetalk.webui.form.settings_form import SettingsForm, build_mouth, read, renewed, visitors_settings
from musetalk.webui.form.table import OWN_STYLE

async def build():
    with gr.Blocks(analytics_enabled=False):
        return SettingsForm({**build_mouth(backend_picker([], "auto")), **build_folds(RenderSettings().models_dir)})

form = asyncio.run(build())
held = {name: widget.value for name, widget in form.by_name.items()}
name = "backend_options.red-mouth.strength"
base = RenderSettings.parse({"backend_options": {"red-mouth": {"folder": "mine"}}})
chosen = read({**held, "backend": "red-mouth", name: 0.5}, base)
other = read({**held, "backend": "preview", name: 0.5}, base)
def refused(**said):
    try:
        return visitors_settings({"backend_options": {"red-mouth": said}}, base).backend_options
    except SettingsError as error:
        return error.names
print(json.dumps({
    "widget": [type(form[name]).__name__, form[name].minimum, form[name].maximum, form[name].label],
    "folder": "backend_options.red-mouth.folder" in form.by_name,
    "chosen": chosen.backend_options, "other": other.backend_options,
    "refused": [refused(folder="/etc"), refused(pots="/etc"), refused(brush={"file": "/etc"})],
    "taken": refused(tone="cold", brush={"width": 5}),
    "renewed": renewed(chosen, RenderSettings()).backend_options,
    "told": differences(values_of(chosen), form, titles(form)),
    "style": OWN_STYLE,
}))
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackendRegistry:
    install(tmp_path, monkeypatch, first_example(GUIDE) + OWN)
    return BackendRegistry()


def asking(**said: object) -> RenderSettings:
    return RenderSettings.parse({"backend": "red-mouth", "backend_options": {"red-mouth": said}})


def test_load_is_given_them(installed: BackendRegistry) -> None:
    backend = installed.configured(asking(strength=0.25))
    _, paint = backend.spec.load(backend.options)  # type: ignore[misc]
    assert (paint.strength, paint.tone) == (0.25, "warm")
    assert installed.configured(asking()).options != backend.options  # under which it is kept


@pytest.mark.parametrize(
    ("said", "name"), [({"strength": 2}, "red-mouth.strength"), ({"colour": "red"}, "red-mouth.colour")]
)
def test_what_cannot_be_is_refused_by_its_name(installed: BackendRegistry, said: dict[str, object], name: str) -> None:
    for backend in ("red-mouth", "preview"):
        with raises_kind(SettingsError, names=(f"backend_options.{name}",)):
            installed.configured(asking(**said).with_backend(backend))


def test_what_is_said_of_none_that_is_there_is_refused() -> None:
    for nobody in ("red-mouth", "preview"):
        settings = RenderSettings.parse({"backend": "preview", "backend_options": {nobody: {"strength": 1}}})
        with raises_kind(SettingsError, names=(f"backend_options.{nobody}.strength",)):
            BackendRegistry().configured(settings)


def test_they_are_options_and_widgets_of_a_program_that_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: BackendRegistry
) -> None:
    assert installed.get("red-mouth")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(ROOT))))
    monkeypatch.setenv("COLUMNS", "200")
    said = run_program([sys.executable, "-m", "musetalk", "render", "--help"]).stdout
    assert "--red-mouth-brush-width" in said
    assert "--red-mouth-strength" in said and "How red it is (0 to 1; default: 1)." in said
    told = json.loads(run_program([sys.executable, "-c", ASKS_THE_FORM]).stdout)
    assert told["widget"] == ["Slider", 0, 1, "Strength"]
    assert not told["folder"]
    assert told["chosen"] == {"red-mouth": {"strength": 0.5, "tone": "warm", "brush": {"width": 3}, "folder": "mine"}}
    assert told["other"] == {"red-mouth": {"folder": "mine"}}
    servers = [f"backend_options.red-mouth.{name}" for name in ("folder", "brush.file")]
    assert told["refused"] == [servers[:1], servers[:1], servers[1:]]
    assert told["taken"] == {"red-mouth": {"tone": "cold", "brush": {"width": 5}, "folder": "mine"}}
    assert told["renewed"] == {"red-mouth": {"strength": 0.5, "tone": "warm", "brush": {"width": 3}}}
    assert ["red-mouth: strength", "0.5"] in told["told"]
    assert ".when-own-red-mouth" in told["style"]
