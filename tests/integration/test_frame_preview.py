"""A previewed frame against the same frame of the whole render, on the sample that ships."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from musetalk.assets import VOICE
from musetalk.lipsync import LipSync
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import render_frames
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings

pytestmark = pytest.mark.integration
# What the render knows and the preview does not moves a box by a hundredth of a pixel here.
WORST_LEVELS, MEAN_LEVELS = 6, 0.02


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync()


@pytest.fixture(scope="module")
def prepared(engine: LipSync, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderPlan]:
    with engine.preparing(sample, VOICE, RenderSettings(), tmp_path_factory.mktemp("render")) as plan:
        yield plan


@pytest.mark.parametrize("frame", [12, 42, 92, 127, 159, 184])  # both shots, the cutaway, and backwards
def test_a_previewed_frame_is_that_of_the_render(
    engine: LipSync, sample: Path, prepared: RenderPlan, frame: int
) -> None:
    [rendered] = render_frames(prepared, frame, frame + 1, RenderRun())
    found = engine.preview_frame(sample, VOICE, at=frame / 25)
    assert found.source_frame == prepared.timeline.source_frame(frame)
    assert found.result is not None
    difference = np.abs(found.result.astype(int) - rendered.astype(int))
    assert difference.max() <= WORST_LEVELS
    assert difference.mean() <= MEAN_LEVELS
    expected = prepared.face_plan.faces(found.source_frame)
    assert len(found.chosen) == len(expected)
    for face, known in zip(found.chosen, expected, strict=True):
        assert abs(face.box.center[0] - known.box.center[0]) < 0.5
        assert abs(face.mouth.cy - known.mouth.cy) < 0.5


def test_the_sample_is_shown_while_it_speaks(engine: LipSync, sample: Path, portrait: Path) -> None:
    found = engine.preview_frame(sample, VOICE, RenderSettings(backend="preview"))
    assert found.chosen
    assert found.notes == ()
    assert found.result is not None
    assert (found.result != found.frame).any(axis=2).sum() > 1000
    still = engine.preview_frame(portrait, VOICE, RenderSettings(backend="preview"))
    assert (still.source_frame, len(still.chosen), still.notes) == (0, 1, ())


def test_inputs_may_be_named_by_text_as_in_a_render(engine: LipSync, sample: Path) -> None:
    settings = RenderSettings(backend="preview")
    video, voice = cast("Path", str(sample)), cast("Path", str(VOICE))
    found = engine.preview_frame(video, voice, settings, at=0.5)
    assert np.array_equal(found.frame, engine.preview_frame(sample, VOICE, settings, at=0.5).frame)


def test_the_cutaway_has_no_face(engine: LipSync, sample: Path) -> None:
    found = engine.preview_frame(sample, VOICE, at=3.2)
    assert found.source_frame == 80
    assert (found.boxes, found.chosen) == ((), ())
    assert any("No face" in note for note in found.notes)
    np.testing.assert_array_equal(found.result, found.frame)
