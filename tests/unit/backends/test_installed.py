"""Backends of other packages: found by being installed; a broken one is told and takes nothing else with it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from musetalk.backends.registry import BUILT_IN, BackendRegistry
from musetalk.doctor.environment import examine
from musetalk.errors import BackendError
from musetalk.settings import RenderSettings
from tests.helpers.toy_backend import SOURCE, install


def test_those_built_in_are_called_as_they_are_listed() -> None:
    registry = BackendRegistry()
    assert [backend.name for backend in registry] == list(BUILT_IN)
    assert registry.broken == ()


def test_an_installed_backend_is_listed_last_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    registry = BackendRegistry()
    assert [backend.name for backend in registry] == [*BUILT_IN, "red-mouth"]
    backend = registry.ready(RenderSettings(backend="red-mouth"))
    generator = backend.load(backend.options_in(RenderSettings()))
    assert (generator.crop_size, backend.summary) == (64, "a mouth painted red")


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
    assert [backend.name for backend in registry] == list(BUILT_IN)
    assert f'the backend "red-mouth" (red_mouth:SPEC) cannot be used: {why}' in caplog.text
    with pytest.raises(BackendError) as caught:
        registry.ready(RenderSettings(backend="red-mouth"))
    assert f"red_mouth:SPEC: {why}" in caught.value.problem
    assert caught.value.remedy == "mend or remove the package that it comes from"
    told = dict(examine(registry, RenderSettings(models_dir=tmp_path))["Backends"])
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
