"""The preview backend: what moves, what must not, and how far."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from musetalk.assets import PORTRAIT
from musetalk.audio.visemes import BITE, OPENNESS, PRESS, SPREAD, TONGUE, VISEME_KINDS
from musetalk.backends.preview.generator import PreviewGenerator, preview_reach
from musetalk.backends.types import Clip, FaceGenerator, GeneratorSpec
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.metrics.mouth_opening import measure_opening
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn import BOX, MOUTH, SIDE, drawn_face, drawn_sample

OPENINGS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0)


def speak(
    face: UInt8Array, openness: float, spread: float = 0.0, *, sample: FaceSample | None = None, opening: float = 1.0
) -> UInt8Array:
    clip = Clip(face[None], np.array([[openness, spread]], np.float32), (sample or drawn_sample(),))
    return PreviewGenerator(opening=opening).generate(clip)[0]


def test_declares_what_it_needs() -> None:
    generator: FaceGenerator = PreviewGenerator()
    assert (generator.crop_size, generator.clip_length, generator.spec) == (None, 4, GeneratorSpec(visemes=True))


@pytest.mark.parametrize("teeth", [0.0, 9.0])
def test_at_rest_every_byte_is_the_sources(teeth: float) -> None:
    face = drawn_face(teeth=teeth)
    assert np.array_equal(speak(face, 0.0), face)


def test_the_source_is_left_alone() -> None:
    face = drawn_face()
    before = face.copy()
    face.setflags(write=False)
    speak(face, 0.8, -0.5)
    assert np.array_equal(face, before)


@pytest.mark.parametrize("angle", [-0.2, 0.0, 0.3])
@pytest.mark.parametrize(("openness", "spread"), [(1.0, 0.0), (0.0, 1.0), (0.6, -1.0), (1.0, 1.0)])
def test_nothing_changes_beyond_the_reach(angle: float, openness: float, spread: float) -> None:
    mouth = replace(MOUTH, angle=angle)
    face, sample = drawn_face(mouth), drawn_sample(mouth)
    changed = (speak(face, openness, spread, sample=sample, opening=2.0) != face).any(axis=2)
    reach = preview_reach(sample)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    along = (x - reach.cx) * math.cos(reach.angle) + (y - reach.cy) * math.sin(reach.angle)
    across = (y - reach.cy) * math.cos(reach.angle) - (x - reach.cx) * math.sin(reach.angle)
    inside = (along / reach.along) ** 2 + (across / reach.across) ** 2 <= 1
    assert changed.any()
    assert not (changed & ~inside).any()
    x0, y0, x1, y1 = reach.bounds
    box = np.zeros_like(inside)
    box[y0:y1, x0:x1] = True
    assert not (inside & ~box).any()


def test_the_reach_scales_with_the_face() -> None:
    small = preview_reach(drawn_sample())
    doubled = FaceSample(
        0,
        FaceBox(2 * BOX.x0, 2 * BOX.y0, 2 * BOX.x1, 2 * BOX.y1, 1.0),
        MouthShape(2 * MOUTH.cx, 2 * MOUTH.cy, 2 * MOUTH.half_width, 0.0),
    )
    large = preview_reach(doubled)
    assert (large.cx, large.cy, large.along, large.across) == pytest.approx(
        (2 * small.cx, 2 * small.cy, 2 * small.along, 2 * small.across)
    )
    assert small.cy - small.across > BOX.y0 + BOX.height / 2  # eyes stay out of it


@pytest.mark.parametrize("spread", [-0.8, 0.0, 0.8])
@pytest.mark.parametrize("skin", [(214, 170, 145), (120, 84, 66)])
def test_the_mouth_opens_with_the_voice(spread: float, skin: tuple[int, int, int]) -> None:
    face = drawn_face(skin=skin)
    measured = [measure_opening(speak(face, openness, spread), MOUTH) for openness in OPENINGS]
    assert all(later > earlier for earlier, later in pairwise(measured[1:]))
    assert measured[0] < 0.05
    assert 0.15 < measured[-1] < 0.45


def test_the_gain_opens_further() -> None:
    face = drawn_face()
    opened = [measure_opening(speak(face, 0.5, opening=gain), MOUTH) for gain in (0.5, 1.0, 1.5)]
    assert opened[0] < opened[1] < opened[2]


def test_a_mouth_that_shows_teeth_keeps_them_and_opens_below() -> None:
    face = drawn_face(teeth=9.0)
    opened = speak(face, 0.8)
    teeth = np.s_[int(MOUTH.cy) - 3 : int(MOUTH.cy) + 2, int(MOUTH.cx) - 8 : int(MOUTH.cx) + 8]
    below = np.s_[int(MOUTH.cy) + 10 : int(MOUTH.cy) + 16, int(MOUTH.cx) - 8 : int(MOUTH.cx) + 8]
    assert opened[teeth].mean() > 0.9 * face[teeth].mean()
    assert opened[below].mean() < 0.5 * face[below].mean()


def test_spread_widens_and_rounds_the_opening() -> None:
    face = drawn_face()

    def width(spread: float) -> int:
        row = cv2.cvtColor(speak(face, 0.8, spread), cv2.COLOR_RGB2GRAY)[int(MOUTH.cy) + 7]
        return int(np.count_nonzero(row[100:220] < 110))

    assert width(-1.0) < 0.9 * width(0.0)
    assert width(1.0) > width(-1.0)


def test_small_motions_change_little() -> None:
    face = drawn_face()
    nearly = speak(face, 0.01).astype(int)
    assert np.abs(nearly - face).mean() < 0.1
    steps = [speak(face, openness).astype(int) for openness in np.arange(0.4, 0.44, 0.01)]
    assert all(np.abs(b - a).mean() < 1.0 for a, b in pairwise(steps))


def test_frames_do_not_depend_on_their_batch() -> None:
    faces = np.stack([drawn_face(replace(MOUTH, cx=MOUTH.cx + k)) for k in range(4)])
    samples = tuple(drawn_sample(replace(MOUTH, cx=MOUTH.cx + k)) for k in range(4))
    speech = np.array([[0.2, 0.1], [0.9, -0.4], [0.0, 0.0], [0.5, 0.8]], np.float32)
    generator = PreviewGenerator()
    together = generator.generate(Clip(faces, speech, samples))
    for k in (2, 0, 3, 1):
        alone = generator.generate(Clip(faces[k : k + 1], speech[k : k + 1], samples[k : k + 1]))
        assert np.array_equal(alone[0], together[k])


def test_translation_moves_the_result_along() -> None:
    face = drawn_face()
    cut = face[40:300, 30:290]
    box = FaceBox(BOX.x0 - 30, BOX.y0 - 40, BOX.x1 - 30, BOX.y1 - 40, 1.0)
    moved = FaceSample(0, box, replace(MOUTH, cx=MOUTH.cx - 30, cy=MOUTH.cy - 40))
    whole = speak(face, 0.7, 0.2)[40:300, 30:290].astype(int)
    assert np.abs(speak(np.ascontiguousarray(cut), 0.7, 0.2, sample=moved).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("shift", [(-200.0, 0.0), (150.0, 120.0), (0.0, 400.0)])
def test_faces_beyond_the_crop_are_no_error(shift: tuple[float, float]) -> None:
    x, y = shift
    box = FaceBox(BOX.x0 + x, BOX.y0 + y, BOX.x1 + x, BOX.y1 + y, 1.0)
    sample = FaceSample(0, box, replace(MOUTH, cx=MOUTH.cx + x, cy=MOUTH.cy + y))
    assert speak(drawn_face(), 0.9, sample=sample).shape == (SIDE, SIDE, 3)


def test_a_tiny_mouth_is_left_alone() -> None:
    sample = drawn_sample(replace(MOUTH, half_width=1.5))
    assert np.array_equal(speak(drawn_face(), 1.0, sample=sample), drawn_face())


def test_opening_is_measured_whatever_the_tilt() -> None:
    for angle in (-0.3, 0.0, 0.3):
        mouth = replace(MOUTH, angle=angle)
        face = drawn_face(mouth)
        cv2.ellipse(face, (160, 210), (24, 12), math.degrees(angle), 0, 360, (30, 12, 12), -1)
        assert measure_opening(face, mouth) == pytest.approx(24 / 64, abs=0.05)


@pytest.mark.skipif(not PORTRAIT.is_file(), reason="the portrait ships with the repository, not with the package")
def test_the_portrait_speaks_in_proportion() -> None:
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    scale = portrait.shape[1] / 512
    box = FaceBox(177 * scale, 66 * scale, 271 * scale, 160 * scale, 1.0)
    mouth = MouthShape(223 * scale, 142 * scale, 19 * scale, 0.0)
    sample = FaceSample(0, box, mouth)
    driven = np.linspace(0, 1, 9)
    measured = [measure_opening(speak(portrait, openness, sample=sample), mouth) for openness in driven]
    assert np.corrcoef(driven, measured)[0, 1] > 0.9


def say(face: UInt8Array, sample: FaceSample | None = None, **shape: float) -> UInt8Array:
    """A face whose mouth is told what to do."""
    kinds = {"openness": OPENNESS, "spread": SPREAD, "press": PRESS, "bite": BITE, "tongue": TONGUE}
    row = np.zeros((1, VISEME_KINDS), np.float32)
    for name, value in shape.items():
        row[0, kinds[name]] = value
    return PreviewGenerator().generate(Clip(face[None], row, (sample or drawn_sample(),)))[0]


@pytest.mark.parametrize("teeth", [0.0, 6.0, 12.0])
@pytest.mark.parametrize("press", [0.0, 1.0])
def test_lips_meet_whatever_the_source_shows(teeth: float, press: float) -> None:
    face = drawn_face(teeth=teeth)
    assert measure_opening(say(face, press=press), MOUTH) < 0.05
    assert teeth < 10 or measure_opening(face, MOUTH) > 0.1


def test_lips_meet_over_a_tongue_as_red_as_they_are() -> None:
    face = drawn_face(teeth=24.0)
    x, y = int(MOUTH.cx), int(MOUTH.cy)
    cv2.ellipse(face, (x, y + 4), (22, 11), 0, 0, 360, (40, 16, 16), -1)  # upper teeth are left above it
    cv2.ellipse(face, (x, y + 6), (14, 8), 0, 0, 360, (170, 96, 92), -1)
    assert measure_opening(face, MOUTH) > 0.2
    assert measure_opening(say(face, press=1.0), MOUTH) < 0.05


def test_lips_that_are_painted_dark_are_no_hollow() -> None:
    skin, lips = (226, 190, 165), (120, 24, 36)
    face = drawn_face(skin=skin, lips=lips)
    closed = measure_opening(face, MOUTH)
    cv2.ellipse(face, (int(MOUTH.cx), int(MOUTH.cy)), (24, 8), 0, 0, 360, (22, 8, 8), -1)
    assert closed < 0.12
    assert measure_opening(face, MOUTH) > 0.2
    assert measure_opening(drawn_face(teeth=12.0, skin=skin, lips=lips), MOUTH) > 0.2


def test_lips_that_meet_already_are_the_sources() -> None:
    face = drawn_face()
    assert np.array_equal(say(face), face)


def test_a_smile_closes_as_far_as_it_is_asked_to() -> None:
    smile = drawn_face(teeth=12.0)
    measured = [measure_opening(say(smile, openness=openness), MOUTH) for openness in (0.0, 0.1, 0.2, 0.3)]
    assert all(later > earlier + 0.01 for earlier, later in pairwise(measured))
    assert measured[-1] < measure_opening(smile, MOUTH)


@pytest.mark.parametrize("teeth", [0.0, 10.0])
@pytest.mark.parametrize(
    "shape",
    [
        {"press": 1.0},
        {"bite": 1.0, "openness": 0.2},
        {"openness": 1.0, "spread": -1.0},
        {"tongue": 1.0, "openness": 0.4},
    ],
)
def test_visemes_change_nothing_beyond_the_reach(shape: dict[str, float], teeth: float) -> None:
    face = drawn_face(teeth=teeth)
    changed = (say(face, **shape) != face).any(axis=2)
    reach = preview_reach(drawn_sample())
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    outside = ((x - reach.cx) / reach.along) ** 2 + ((y - reach.cy) / reach.across) ** 2 > 1
    assert changed.any()
    assert not (changed & outside).any()


def test_a_bite_shows_teeth_and_a_tongue_is_red() -> None:
    def inside(**shape: float) -> np.ndarray:
        """The mean color of the middle of the opening."""
        said = say(drawn_face(), **shape)
        return said[int(MOUTH.cy) - 1 : int(MOUTH.cy) + 5, 152:168].reshape(-1, 3).astype(float).mean(axis=0)

    open_, bite, tongue = inside(openness=0.4), inside(openness=0.4, bite=1.0), inside(openness=0.4, tongue=1.0)
    assert bite.mean() > open_.mean() + 20
    assert tongue[0] - tongue[1] > open_[0] - open_[1] + 15


def test_rounding_narrows_a_smile() -> None:
    face = drawn_face(teeth=10.0)

    def width(spread: float) -> int:
        said = say(face, openness=0.25, spread=spread)[int(MOUTH.cy) - 10 : int(MOUTH.cy) + 10, 100:220]
        return int(np.count_nonzero((said.min(axis=2) > 190).any(axis=0)))  # of the teeth: lips and skin have less blue

    assert width(-1.0) < 0.8 * width(0.0)


@pytest.mark.skipif(not PORTRAIT.is_file(), reason="the portrait ships with the repository, not with the package")
def test_the_portraits_smile_closes() -> None:
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    scale = portrait.shape[1] / 512
    sample = FaceSample(
        0,
        FaceBox(177 * scale, 66 * scale, 271 * scale, 160 * scale, 1.0),
        MouthShape(223 * scale, 142 * scale, 19 * scale, 0.0),
    )
    assert measure_opening(portrait, sample.mouth) > 0.06
    assert measure_opening(say(portrait, sample, press=1.0), sample.mouth) < 0.05
