from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from musetalk.batch.doing import do_task
from musetalk.batch.executor import Advanced, Done, Event, RenderTask
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent, Stage
from musetalk.settings import RenderSettings
from tests.helpers.batches import TextEngine, some_rows

TOLD: tuple[tuple[Stage, int], ...] = (("plan", 1), ("plan", 2), ("render", 1), ("render", 2), ("finish", 0))


class Telling(TextEngine):
    """Tells of its progress before it writes."""

    events: tuple[ProgressEvent, ...] = tuple(ProgressEvent(stage, done, 4) for stage, done in TOLD)

    def make(self, request: RenderRequest, out: Path, *, on_progress: ProgressCallback, **_: object) -> RenderReport:  # type: ignore[override]
        for event in self.events:
            on_progress(event)
        return super().make(request, out)


def signs(folder: Path, engine: Telling, seconds: int, **more: bool) -> list[Advanced]:
    """What a worker tells while an engine renders, on a clock that goes on by so many seconds at each look."""
    [row], events = some_rows(folder, ("anna", "hello")), list[Event]()
    task = RenderTask("key-0", row.source, row.voice, folder / "made.mp4", RenderSettings(), **more)
    now = count(0, seconds).__next__
    assert do_task("local-1", task, engine, events.append, CancelToken(), now=now)
    *told, done = events
    assert isinstance(done, Done)
    assert all(isinstance(each, Advanced) for each in told)
    return told  # type: ignore[return-value]


@pytest.mark.parametrize(("seconds", "shares"), [(1, [0.0, 0.0, 0.25, 0.5, 1.0]), (0, [0.0, 0.25, 1.0])])
def test_every_stage_is_a_sign_of_life_now_and_then(tmp_path: Path, seconds: int, shares: list[float]) -> None:
    assert [sign.share for sign in signs(tmp_path, Telling(), seconds)] == shares


def test_notes_are_told_at_once_and_pictures_to_who_looks(tmp_path: Path) -> None:
    engine, frames = Telling(), [ProgressEvent("render", done, 4) for done in range(4)]
    engine.events = (*frames[:2], replace(frames[2], note="look"), replace(frames[3], picture=b"jpeg"))
    assert [sign.event for sign in signs(tmp_path, engine, 0)] == [frames[0], engine.events[2]]
    assert [sign.event for sign in signs(tmp_path, engine, 0, pictures=True)] == [frames[0], *engine.events[2:]]
