"""The published look through every door: the command line, files of tasks, comparisons, sheets, programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import musetalk.comparison.compare
from musetalk.backends.registry import BackendRegistry
from musetalk.cli.main import app
from musetalk.errors import FaceError
from musetalk.lipsync import LipSync
from musetalk.pipeline.components import ComponentLoader
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import RenderSettings

pytestmark = pytest.mark.slow

VIDEO_AND_VOICE = ("film.mp4", "voice.wav")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RenderSettings]:
    """The settings that reach whatever does the work, which ends there."""
    seen: list[RenderSettings] = []

    def refuse(*args: object, **rest: object) -> None:
        given = (arg.settings if isinstance(arg, RenderRequest) else arg for arg in (*args, *rest.values()))
        seen.extend(arg for arg in given if isinstance(arg, RenderSettings))
        raise FaceError("there is no face", "use another film")

    for name in ("make", "preview_frame", "check_source"):
        monkeypatch.setattr(LipSync, name, refuse)
    monkeypatch.setattr(musetalk.comparison.compare, "compare", refuse)
    return seen


@pytest.mark.parametrize(
    "command",
    [
        ("render", *VIDEO_AND_VOICE, "-o", "out.mp4"),
        ("compare", *VIDEO_AND_VOICE, "-o", "folder", "--backends", "preview,musetalk-v15"),
        ("inspect", *VIDEO_AND_VOICE, "-o", "sheet.png"),
    ],
    ids=lambda command: command[0],
)
def test_commands_take_the_look_and_what_is_set_beside_it(
    asked: list[RenderSettings], command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VIDEO_AND_VOICE:
        (tmp_path / name).touch()
    for further in ((), ("--set", "blend.color=match")):
        result = CliRunner().invoke(app, [*command, "--look", "published", *further])
        assert isinstance(result.exception, FaceError), result.output
    assert [settings.look for settings in asked] == ["published", "published"]
    assert [settings.beside_the_look for settings in asked] == [(), ("blend.color",)]


def test_a_file_of_tasks_takes_it(asked: list[RenderSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VIDEO_AND_VOICE:
        (tmp_path / name).touch()
    task = "{video_path: film.mp4, audio_path: voice.wav, look: published, occlusion: true}"
    Path("tasks.yaml").write_text(f"one: {task}\n", encoding="utf-8")
    CliRunner().invoke(app, ["render", "--config", "tasks.yaml", "--sharpness", "match"])
    [settings] = asked
    assert settings.beside_the_look == ("mask.occlusion", "blend.sharpness")


def test_it_is_said_with_what_was_set_otherwise() -> None:
    loader = ComponentLoader(BackendRegistry())

    def notes(**values: object) -> tuple[str, ...]:
        settings = RenderSettings.parse({"backend": "preview", "detector": {"name": "haar"}, **values})
        with loader.lease(loader.check(settings)) as components:
            return components.notes

    assert notes() == ()
    [plain] = notes(look="published")
    assert plain.startswith("this is the published look")
    assert plain.endswith("as the published programs leave them")
    [mixed] = notes(look="published", blend={"color": "match"})
    assert mixed == f"{plain}, but for blend.color, which was set otherwise"
