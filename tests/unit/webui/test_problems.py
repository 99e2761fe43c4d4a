"""Errors in their places: of whom they are, where they are told, and when they go."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from musetalk.errors import (
    BackendError,
    FaceError,
    JobError,
    MediaError,
    MuseTalkError,
    SettingsError,
    VoiceError,
    about,
)
from musetalk.lipsync import LipSync
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import Limits, RenderSettings
from musetalk.webui.html.plain_words import VISITOR, Reader
from musetalk.webui.html.problems import ProblemSlots, problem_html, problem_slot, telling
from tests.helpers.html_page import Page
from tests.helpers.media import numbered_frames, tone, write_video, write_wav


@pytest.fixture(scope="module")
def slots() -> ProblemSlots:
    async def build() -> ProblemSlots:
        with gr.Blocks(analytics_enabled=False):
            return ProblemSlots(*(problem_slot() for _ in range(4)))

    return asyncio.run(build())  # Gradio would else leave an event loop of its own behind


def raises(error: MuseTalkError) -> Callable[[str], dict[Any, Any]]:
    def handler(_asked: str) -> dict[Any, Any]:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (FaceError("no face"), "source"),
        (VoiceError("no sound"), "voice"),
        (BackendError("no weights"), "backend"),
        (SettingsError("no point"), "action"),
        (JobError("too many"), "action"),
        (MediaError("broken"), "action"),
    ],
)
def test_each_kind_has_its_place(slots: ProblemSlots, error: MuseTalkError, place: str) -> None:
    told = telling(raises(error), slots, lambda: VISITOR)("asked")
    assert error.problem in Page(told.pop(getattr(slots, place))).text.lower()
    assert set(told.values()) <= {""}


def test_a_block_says_what_errors_are_about_and_the_innermost_counts() -> None:
    with pytest.raises(MediaError) as outer, about("voice"), about("source"):
        raise MediaError("broken")
    assert outer.value.subject == "source"
    with pytest.raises(BackendError) as other, about("settings"):
        raise BackendError("no parser")
    assert other.value.subject == "settings"
    assert copy.deepcopy(other.value).subject == "settings"  # as on its way between processes


def test_what_succeeds_takes_away_what_was_told(slots: ProblemSlots) -> None:
    box = object()
    assert telling(lambda: {box: "done"}, slots, lambda: VISITOR)() == {**dict.fromkeys(slots.all, ""), box: "done"}


def test_problems_are_escaped_and_heard_each_time() -> None:
    error = MediaError('"<b>" is broken', "use <another>")
    first, second = (problem_html(error, VISITOR) for _ in range(2))
    assert Page(first).text == '"<b>" is broken. Use <another>.'
    assert first != second


def test_the_engine_says_what_is_too_long_and_the_page_what_to_do(tmp_path: Path) -> None:
    short, long = (write_wav(tmp_path / f"{name}.wav", tone(s)) for name, s in (("short", 0.5), ("long", 2.0)))
    video = write_video(tmp_path / "long.mp4", numbered_frames(50))
    settings = RenderSettings(models_dir=tmp_path, limits=Limits(max_seconds=1.0))
    brief = write_video(tmp_path / "brief.mp4", numbered_frames(10))
    for source, voice, subject in ((video, short, "source"), (brief, long, "voice")):
        with pytest.raises(MuseTalkError) as told:
            LipSync().check(RenderRequest(source, voice, settings))
        assert told.value.subject == subject
        assert "raise limits.max_seconds" in str(told.value)
        assert Page(problem_html(told.value, VISITOR)).text.endswith("more than the 1 s allowed. Cut it shorter.")
        owner = Page(problem_html(told.value, Reader(owner=True))).text
        assert owner.endswith("Cut it shorter or start the app with a larger --max-seconds.")


def test_missing_weights_are_the_backends_and_what_else_is_missing_the_settings(tmp_path: Path) -> None:
    video, voice = write_video(tmp_path / "v.mp4", numbered_frames(10)), write_wav(tmp_path / "v.wav", tone(0.5))
    asked = {"backend": "latentsync-1.5"}, {"mask": {"shape": "jaw"}}
    for values, subject in zip(asked, ("backend", "settings"), strict=True):
        with pytest.raises(BackendError) as told:
            LipSync().check(RenderRequest(video, voice, RenderSettings.parse({**values, "models_dir": tmp_path})))
        assert told.value.subject == subject
        said = Page(problem_html(told.value, Reader(downloads=True))).text
        assert str(tmp_path) in str(told.value)
        assert str(tmp_path) not in said
        assert "on the Models tab" in said
