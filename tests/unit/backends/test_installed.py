"""Backends of other packages: found by being installed; a broken one is told and takes nothing else with it."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from musetalk.assets import PORTRAIT
from musetalk.backends.registry import BackendRegistry
from musetalk.comparison.compare import compare
from musetalk.doctor.backends import check_backend
from musetalk.doctor.environment import examine
from musetalk.doctor.sample_clip import make_scene
from musetalk.errors import BackendError
from musetalk.lipsync import LipSync
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import RenderSettings
from musetalk.utils.extensions import BACKENDS
from musetalk.webui.downloads import Downloads, weight_sets
from musetalk.webui.form.backend_picker import backend_entries
from musetalk.webui.html.plain_words import Reader
from musetalk.webui.tabs.compare_handlers import choices
from musetalk.webui.tabs.models import panel
from tests.helpers.command import musetalk
from tests.helpers.media import tone, write_wav
from tests.helpers.toys import SOURCE, install


def test_those_built_in_are_called_as_they_are_listed() -> None:
    registry = BackendRegistry()
    assert [backend.name for backend in registry] == list(BACKENDS.built_in)
    assert registry.broken == ()


def test_an_installed_backend_is_listed_last_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    registry = BackendRegistry()
    assert [backend.name for backend in registry] == [*BACKENDS.built_in, "red-mouth"]
    backend = registry.configured(RenderSettings(backend="red-mouth"))
    backend.check_ready()
    generator = backend.spec.load(backend.options)
    assert (generator.crop_size, backend.spec.summary) == (64, "a mouth painted red")


WITH_WEIGHTS = """
from dataclasses import replace
from pathlib import PurePosixPath
from musetalk.weights import HubPlace, WeightFile
SPEC = replace(SPEC, weights=(WeightFile(PurePosixPath("red/net.pth"), HubPlace("some/red", "net.pth"), "MIT", 7),))
SPEC = replace(SPEC, ui_groups=frozenset({"network", "margin"}))
"""


def test_it_is_chosen_compared_downloaded_and_examined_by_being_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, SOURCE + WITH_WEIGHTS)
    models = tmp_path / "models"
    base, registry = RenderSettings(models_dir=models), BackendRegistry()
    assert "red-mouth" in musetalk("doctor", "--models-dir", models)[1]
    assert "red/net.pth" in musetalk("weights", "list", "--models-dir", models)[1]
    cards = {entry.name: entry for entry in backend_entries(registry, base, downloads=True)}
    assert (cards["red-mouth"].summary, cards["red-mouth"].weights.missing) == ("a mouth painted red", 1)
    assert cards["red-mouth"].groups == {"network", "margin"}
    downloads = Downloads(weight_sets(registry), models)
    site = SimpleNamespace(engine=LipSync(registry), base=base, downloads=downloads, reader=Reader())
    assert "red-mouth" in panel(cast(Any, site))
    assert "red-mouth" not in choices(cast(Any, site))[0]  # it lacks its file
    (models / "red").mkdir(parents=True)
    (models / "red" / "net.pth").write_bytes(b"weights")
    assert "red-mouth" in choices(cast(Any, site))[0]


def test_it_renders_and_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    registry = BackendRegistry()
    settings = RenderSettings.parse({"backend": "red-mouth", "detector": {"name": "haar"}, "models_dir": tmp_path})
    chosen = registry.configured(settings)
    found = check_backend(chosen, make_scene(), settings.network, settings.crop, settings.mask)
    assert found.failures == ()
    voice = write_wav(tmp_path / "voice.wav", tone(0.2))
    compared = compare(
        LipSync(registry), RenderRequest(PORTRAIT, voice, settings), tmp_path / "both", ["preview", "red-mouth"]
    )
    assert [(part.backend, report.face_frames) for part, report in compared.rendered] == [
        ("preview", 5),
        ("red-mouth", 5),
    ]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("SPEC = 7\n", "TypeError: it is a int, no BackendSpec"),
        (SOURCE.replace('"red-mouth"', '"another"'), 'ValueError: it calls itself "another"'),
        ("raise SystemError('odd')\n", "SystemError: odd"),
    ],
)
def test_a_broken_one_is_logged_and_told_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, source: str, why: str
) -> None:
    install(tmp_path, monkeypatch, source)
    with caplog.at_level(logging.WARNING):
        registry = BackendRegistry()
    assert [backend.name for backend in registry] == list(BACKENDS.built_in)
    assert f'the backend "red-mouth" (red_mouth:SPEC) cannot be used: {why}' in caplog.text
    with pytest.raises(BackendError) as caught:
        registry.configured(RenderSettings(backend="red-mouth"))
    assert f"red_mouth:SPEC: {why}" in caught.value.problem
    assert caught.value.remedy == "mend or remove the package that it comes from"
    told = dict(examine(registry, tmp_path)["Backends"])
    assert told["red-mouth"] == f"installed, and cannot be used (red_mouth:SPEC: {why})"


def test_one_that_takes_the_name_of_another_is_told_and_that_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, SOURCE.replace("red-mouth", "preview"), "preview")
    registry = BackendRegistry()
    assert registry.get("preview").summary != "a mouth painted red"
    assert [(broken.name, broken.why) for broken in registry.broken] == [
        ("preview", "ValueError: there is another backend of that name")
    ]


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(BackendError, match=r'no backend "lips".*preview.*latentsync-1\.6'):
        BackendRegistry().get("lips")
