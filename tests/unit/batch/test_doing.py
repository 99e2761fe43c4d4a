from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from musetalk.batch.doing import do_task
from musetalk.batch.executor import Advanced, Done, Event, RenderTask
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent, Stage
from musetalk.settings import RenderSettings
from tests.helpers.batches import TextEngine, some_rows

STAGES: tuple[tuple[Stage, int], ...] = (("plan", 1), ("speech", 2), ("render", 1), ("finish", 0))


class Telling(TextEngine):
    """Tells of each stage before it writes."""

    def render(self, *inputs: Path | RenderSettings, on_progress: ProgressCallback, **_: object) -> RenderReport:  # type: ignore[override]
        for stage, done in STAGES:
            on_progress(ProgressEvent(stage, done, 4))
        return super().render(*inputs)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "told"), [(1, [0.0, 0.0, 0.25, 0.25]), (0, [])])
def test_every_stage_is_a_sign_of_life_now_and_then(tmp_path: Path, seconds: int, told: list[float]) -> None:
    [row], events = some_rows(tmp_path, ("anna", "hello")), list[Event]()
    task = RenderTask("key-0", row.source, row.voice, tmp_path / "made.mp4", RenderSettings())
    now = count(0, seconds).__next__
    assert do_task("local-1", task, Telling(), events.append, CancelToken(), now=now)
    *signs, done = events
    assert isinstance(done, Done)
    assert signs == [Advanced("local-1", "key-0", share) for share in told]
