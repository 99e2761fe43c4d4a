"""The measures of a render, on pictures whose answers are known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import cv2
import numpy as np
import pytest

from musetalk.audio.envelope import EnvelopeTrack
from musetalk.compositing.masks import FaceMask
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.types import MouthShape
from musetalk.media.frames import frame_of
from musetalk.media.timing.timeline import Timeline
from musetalk.metrics.measurer import MOST_BINS, Measurer
from musetalk.metrics.mouth_region import MOUTH, MeasuredPlaces
from musetalk.metrics.types import Measures
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import BOX, SIDE, drawn_face
from tests.helpers.drawn import MOUTH as LIPS

LIPS_TOP, LIPS_BOTTOM = round(LIPS.cy) - 28, round(LIPS.cy) + 44  # the mouth region at 200 pixels a face
EVERYWHERE = (FaceMask(0, 0, np.ones((SIDE, SIDE), np.float32)),)
Pair = tuple[UInt8Array, UInt8Array]


def plan_of(frames: int, *, tracks: int = 1, mouth: MouthShape = LIPS, scale: float = 1.0) -> FacePlan:
    """The drawn face in every frame; in several tracks, as if it were there several times, moved to the right."""
    rows = frames * tracks
    box = np.array([BOX.x0, BOX.y0, BOX.x1, BOX.y1, 1 / scale], np.float32) * scale
    place = np.array([mouth.cx, mouth.cy, mouth.half_width, mouth.angle / scale], np.float32) * scale
    moved = np.tile(np.arange(tracks, dtype=np.float32), frames)[:, None] * 60 * scale
    return FacePlan(
        frame_count=frames,
        width=round(SIDE * scale),
        height=round(SIDE * scale),
        shots=np.zeros(frames, np.int32),
        frame=np.repeat(np.arange(frames, dtype=np.int64), tracks),
        track=np.tile(np.arange(tracks, dtype=np.int32), frames),
        boxes=np.tile(box, (rows, 1)) + moved * np.array([1, 0, 1, 0, 0], np.float32),
        mouths=np.tile(place, (rows, 1)) + moved * np.array([1, 0, 0, 0], np.float32),
    )


def measurer(
    frames: int,
    *,
    voice: np.ndarray | None = None,
    plan: FacePlan | None = None,
    sources: int | None = None,
) -> Measurer:
    values = np.zeros((frames, 2), np.float32)
    if voice is not None:
        values[:, 0] = voice
    return Measurer(
        Timeline(frames, frames, sources or frames, "pingpong"),
        plan or plan_of(sources or frames),
        EnvelopeTrack(values, np.ones(frames, np.bool_)),
    )


def measured(pairs: Iterable[Pair], frames: int, borders: Sequence[int] = (), **options: Any) -> Measures:  # noqa: ANN401
    """Of pairs of picture and source, masked everywhere."""
    each = measurer(frames, **options)
    for frame, (picture, source) in enumerate(pairs):
        each.add(frame, frame_of(picture), frame_of(source), EVERYWHERE)
    return each.result(borders)


@pytest.fixture(scope="module")
def face() -> UInt8Array:
    return drawn_face()


def lit(face: UInt8Array, levels: float, rows: slice = slice(None), columns: slice = slice(None)) -> UInt8Array:
    """Brighter by so many levels, everywhere or in a part."""
    picture = face.astype(np.float32)
    picture[rows, columns] += levels
    return np.clip(picture, 0, 255).astype(np.uint8)


def opened(face: UInt8Array, openness: float) -> UInt8Array:
    picture = face.copy()
    axes = (round(0.8 * LIPS.half_width), round(20 * openness))
    if axes[1]:
        cv2.ellipse(picture, (round(LIPS.cx), round(LIPS.cy)), axes, 0, 0, 360, (20, 8, 8), -1)
    return picture


def test_what_was_not_changed_measures_as_its_source(face: UInt8Array) -> None:
    found = measured(((lit(face, k % 3), lit(face, k % 3)) for k in range(14)), 14, borders=(7,))
    assert found.picture == found.source
    assert found.relative_sharpness == 1
    assert (found.outside.greatest, found.outside.pixels, found.outside.frames) == (0, 0, 0)
    assert (found.frames, found.face_frames, found.border_frames) == (14, 14, 1)


def test_a_blurred_mouth_is_less_sharp_and_a_noisy_one_sharper(face: UInt8Array) -> None:
    blurred = face.copy()
    rows, columns = slice(160, 260), slice(100, 220)
    blurred[rows, columns] = cv2.GaussianBlur(face, (0, 0), 2)[rows, columns]
    noisy = lit(face, 0)
    noisy[rows, columns] += np.random.default_rng(1).integers(0, 25, (100, 120, 1), np.uint8)
    less, more = (measured([(picture, face)], 1).relative_sharpness for picture in (blurred, noisy))
    assert less is not None
    assert more is not None
    assert less < 0.5
    assert more > 1.5


def test_blur_beside_the_mouth_does_not_count(face: UInt8Array) -> None:
    picture = cv2.GaussianBlur(face, (0, 0), 3)
    picture[170:260, 100:220] = face[170:260, 100:220]
    assert measured([(np.asarray(picture, np.uint8), face)], 1).relative_sharpness == 1


def test_flicker_is_jitter_where_it_is_and_steady_change_is_none(face: UInt8Array) -> None:
    inside = slice(LIPS_TOP, LIPS_BOTTOM), slice(round(LIPS.cx) - 48, round(LIPS.cx) + 48)
    flicker = measured(((lit(face, 6 * (k % 2), *inside), face) for k in range(9)), 9)
    # Up and down by 6: -6 + 2 * 6 ... = 12 at every frame.
    assert flicker.picture.jitter == pytest.approx(12, rel=0.05)
    assert flicker.picture.jitter_around == pytest.approx(0, abs=0.3)
    assert flicker.source.jitter == flicker.source.jitter_around == 0
    steady = measured(((lit(face, 2 * k), face) for k in range(9)), 9)
    assert steady.picture.jitter == pytest.approx(0, abs=0.1)


def test_where_the_source_turns_back_its_motion_is_no_jitter(face: UInt8Array) -> None:
    plays = [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2]  # as a ping-pong of 5 frames goes
    found = measured(((lit(face, 5 * k), lit(face, 5 * k)) for k in plays), len(plays), sources=5)
    assert found.source.jitter == pytest.approx(0, abs=0.1)
    assert found.series.source.jitter[4] is None
    assert found.series.source.jitter[3] is not None


def walk(face: UInt8Array, steps: Sequence[int]) -> list[Pair]:
    levels = np.cumsum(steps)
    return [(lit(face, int(level)), face) for level in levels]


def test_a_jump_where_clips_meet_shows_and_none_does_not(face: UInt8Array) -> None:
    borders = (4, 8, 12)
    jumping = [0] + [5 * (-1) ** k if k in borders else (-1) ** k for k in range(1, 16)]
    even = [0] + [(-1) ** k for k in range(1, 16)]
    assert measured(walk(face, jumping), 16, borders=borders).picture.border_jump == pytest.approx(5, rel=0.02)
    assert measured(walk(face, even), 16, borders=borders).picture.border_jump == pytest.approx(1, rel=0.02)
    assert measured(walk(face, even), 16).picture.border_jump is None
    still = measured(walk(face, [0] * 16), 16, borders=borders)
    assert still.picture.border_jump is None
    alone = measured(walk(face, [4 if k in borders else 0 for k in range(16)]), 16, borders=borders)
    assert alone.picture.border_jump is not None
    assert alone.picture.border_jump > 100


def test_one_pixel_outside_the_mask_is_found(face: UInt8Array) -> None:
    alpha = np.zeros((200, 200), np.float32)
    alpha[50:, 50:] = 0.5
    mask = FaceMask(-20, 60, alpha)  # shows in columns 30 to 179, rows 110 to 259
    each = measurer(3)
    under, beside = face.copy(), face.copy()
    under[110:260, 30:180] += 9
    beside[109, 30, 1] += 7
    each.add(0, frame_of(under), frame_of(face), (mask,))
    assert each.result(()).outside.pixels == 0
    each.add(1, frame_of(beside), frame_of(face), (mask,))
    each.add(2, frame_of(beside), frame_of(face), ())
    assert asdict(each.result(()).outside) == {"greatest": 7, "pixels": 2, "frames": 2}
    assert each.result(()).face_frames == 2


def syllables(frames: int) -> np.ndarray:
    t = np.arange(frames)
    return np.clip(0.5 + 0.3 * np.sin(t / 2.1) + 0.25 * np.sin(t / 1.3 + 1), 0, 1)


@pytest.mark.parametrize("lag", [-2, 0, 2])
def test_a_mouth_that_follows_its_voice_correlates_at_its_lag(face: UInt8Array, lag: int) -> None:
    said = syllables(46)
    shown = said[3 - lag : 43 - lag]
    found = measured(((opened(face, openness), face) for openness in shown), 40, voice=said[3:43])
    assert found.picture.correlation is not None
    assert found.picture.correlation > 0.97
    assert found.picture.lag == lag
    assert found.source.correlation is found.source.lag is None  # it stands still


def test_where_there_is_too_little_to_say_nothing_is_said(face: UInt8Array) -> None:
    said = syllables(20)
    moving = [(opened(face, openness), face) for openness in said]
    assert measured(moving, 20, voice=said).picture.correlation is not None
    assert measured(moving, 20).picture.correlation is None  # silence
    assert measured(moving[:11], 20, voice=said).picture.correlation is None
    assert measured([(face, face)] * 20, 20, voice=said).picture.correlation is None


def test_the_mouth_of_each_track_has_its_own_rest(face: UInt8Array) -> None:
    """In the second track the mouth looks wide open while it is silent: that says nothing of how it moves."""
    said = np.concatenate([0.5 + 0.5 * syllables(20), 0.2 * syllables(20)])
    base = plan_of(40)
    plan = replace(base, shots=(base.frame >= 20).astype(np.int32), track=(base.frame >= 20).astype(np.int32))
    shown = np.concatenate([said[:20] * 0.4, 0.6 + said[20:] * 0.4])
    assert np.corrcoef(said, shown)[0, 1] < 0
    found = measured(((opened(face, openness), face) for openness in shown), 40, voice=said, plan=plan)
    assert found.picture.correlation is not None
    assert found.picture.correlation > 0.9


def test_faces_compare_at_any_size_and_however_they_are_turned(face: UInt8Array) -> None:
    face = np.asarray(cv2.GaussianBlur(face, (0, 0), 1), np.uint8)  # its grain has a size of its own
    upright = MeasuredPlaces(plan_of(1)).place(0)
    assert upright is not None
    wanted = upright.cut_out(face)
    for scale in (0.5, 2.0, 3.0):
        size = (round(SIDE * scale), round(SIDE * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        other = MeasuredPlaces(plan_of(1, scale=scale)).place(0)
        assert other is not None
        assert np.abs(other.cut_out(np.asarray(cv2.resize(face, size, interpolation=how))) - wanted)[MOUTH].mean() < 1
    turn = cv2.getRotationMatrix2D((LIPS.cx - 0.5, LIPS.cy - 0.5), -20, 1)
    turned = np.asarray(cv2.warpAffine(face, turn, (SIDE, SIDE)), np.uint8)
    place = MeasuredPlaces(plan_of(1, mouth=replace(LIPS, angle=math.radians(20)))).place(0)
    assert place is not None
    assert np.abs(place.cut_out(turned) - wanted)[MOUTH].mean() < 1


def test_a_face_at_the_frames_edge_and_beyond_is_measured(face: UInt8Array) -> None:
    for cx, cy in ((3.0, 3.0), (SIDE - 1.0, SIDE - 1.0), (-500.0, 2000.0)):
        place = MeasuredPlaces(plan_of(1, mouth=replace(LIPS, cx=cx, cy=cy))).place(0)
        assert place is not None
        assert np.isfinite(place.cut_out(face)).all()


def test_of_several_faces_the_first_is_measured(face: UInt8Array) -> None:
    changed = lit(face, 30, columns=slice(225, None))  # of the other one, beyond the first one's mouth
    found = measured([(changed, face)], 1, plan=plan_of(1, tracks=2))
    assert found.face_frames == 1
    assert found.relative_sharpness == pytest.approx(1, abs=0.01)


def test_nothing_is_carried_across_frames_without_a_face(face: UInt8Array) -> None:
    each = measurer(8)
    for frame in range(8):
        level = 40 if frame >= 5 else 0
        masks = () if frame in (3, 4) else EVERYWHERE
        each.add(frame, frame_of(lit(face, level)), frame_of(lit(face, level)), masks)
    found = each.result((5,))
    assert (found.face_frames, found.border_frames) == (6, 0)
    assert found.picture.jitter == 0
    assert [value is None for value in found.series.picture.sharpness] == [k in (3, 4) for k in range(8)]


def test_a_long_render_is_told_in_few_numbers() -> None:
    frames = 4 * MOST_BINS + 1
    picture = np.zeros((2, 2, 3), np.uint8)
    voice = np.arange(frames) % 5 / 4
    each = measurer(frames, voice=voice, plan=plan_of(frames))
    for frame in range(frames):
        each.add(frame, frame_of(picture), frame_of(picture), ())
    series = each.result(range(0, frames, 2)).series
    assert series.frames_per_bin == 5
    assert len(series.voice) == len(series.picture.opening) == math.ceil(frames / 5) <= MOST_BINS
    assert set(series.voice[:-1]) == {0.5}
    assert len(series.borders) <= MOST_BINS


@pytest.mark.parametrize("change", [lambda face: face, lambda face: opened(face, 0.5)])
def test_measures_are_plain_json(face: UInt8Array, change: Callable[[UInt8Array], UInt8Array]) -> None:
    found = measured([(change(face), face)] * 3, 5, borders=(2,))
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["frames"] == 3
    assert found.series.picture.sharpness[3:] == (None, None)
