"""LatentSync's alignment as upstream has it, and what is ours: the way back, and the soft edge."""

from __future__ import annotations

import json
from math import cos, hypot, radians, sin
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hybrid.crop import FEATHER, AlignedCropTransform, pasted_mask, place_aligned, whole_mask
from hybrid.landmarks import FacePoints
from hybrid.mask import PAINTED_BOX, SIDE, keep_mask, visible_mask
from hybrid.template import fit_similarity, template_points, template_size
from musetalk.compositing.blending import composite
from musetalk.compositing.masks import FaceMask
from musetalk.faces.crops.crop import Scaling
from musetalk.faces.types import FaceBox, FaceSample, MouthShape

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[2] / "golden"
SIZES = [256, 512]
TRAILING = 0.2  # share of the frame before in upstream's smoothing
Golden = dict[str, Any]


@pytest.fixture(scope="module")
def facts() -> Golden:
    made: Golden = json.loads((GOLDEN / "latentsync_mask.json").read_text(encoding="utf-8"))["alignment"]
    return made


@pytest.fixture(scope="module")
def golden() -> Golden:
    with np.load(GOLDEN / "latentsync_align.npz") as file:
        return {name: file[name] for name in file.files}


def placed(matrix: np.ndarray, scaling: Scaling = "fine") -> AlignedCropTransform:
    (a, _, tx), (b, _, ty) = matrix.tolist()
    return AlignedCropTransform(a, b, tx, ty, 256, scaling)


def trailing_offset(
    points: np.ndarray, template: np.ndarray, before: tuple[float, float] | None = None
) -> tuple[float, float]:
    """What upstream adds to a fit's shift to smooth it: how far the nose misses its place, mixed with that before.

    In standard deviations, although it is added to pixels. Ours smooths the points, without lag.
    """
    sets = (template, points)
    there, here = (((s[-1] - s.mean(axis=0)) / np.std(s - s.mean(axis=0), ddof=1)) for s in sets)
    gap = there - here
    mixed = gap if before is None else TRAILING * np.array(before) + (1 - TRAILING) * gap
    return float(mixed[0]), float(mixed[1])


def painted_mask(transform: AlignedCropTransform) -> FaceMask:
    """What shows of a crop: only what the network painted, softly."""
    unit = transform.size / SIDE
    x0, y0, x1, y1 = (edge * unit for edge in PAINTED_BOX)
    return transform.warp_alpha(visible_mask(transform.size, FEATHER), transform.bounds_of(x0, y0, x1, y1))


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b.astype(int))


@pytest.mark.parametrize("size", SIZES)
def test_the_template_is_upstreams(facts: Golden, size: int) -> None:
    right = facts["resolutions"][str(size)]
    np.testing.assert_allclose(template_points(size), right["face_template_xy"], atol=1e-9)
    assert list(template_size(size)) == right["face_size_wh"]


@pytest.mark.parametrize("size", SIZES)
def test_matrices_are_upstreams(facts: Golden, size: int) -> None:
    vectors = facts["vectors"][str(size)]
    template = template_points(size)
    before = None
    for frame in vectors["sequence"]:
        points = np.array(frame["landmarks3_xy"])
        fit = fit_similarity(points, template)
        np.testing.assert_allclose(fit, frame["matrix_plain"], atol=1e-3)
        before = trailing_offset(points, template, before)
        np.testing.assert_allclose(before, frame["p_bias_after"], atol=1e-6)
        fit[:, 2] += before
        np.testing.assert_allclose(fit, frame["matrix_smooth"], atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_a_mirrored_face_is_turned_not_mirrored(facts: Golden, size: int) -> None:
    case = facts["vectors"][str(size)]["mirrored"]
    points, template = np.array(case["landmarks3_xy"]), template_points(size)
    fit = fit_similarity(points, template)
    fit[:, 2] += trailing_offset(points, template)
    np.testing.assert_allclose(fit, case["matrix_smooth"], atol=1e-3)


def test_points_that_coincide_are_refused() -> None:
    with pytest.raises(ValueError, match="coincide"):
        fit_similarity(np.full((3, 2), 7.0), template_points())


def test_crops_are_upstreams(golden: Golden) -> None:
    transform = placed(golden["matrix"][0])
    face = difference(transform.face(golden["image"]), golden["face_crop"])
    assert face.max() <= 1  # upstream cuts where this rounds
    square = difference(transform.crop(golden["image"]), golden["face_256"])
    assert square.mean() < 0.6
    assert square.max() <= 2
    resized = cv2.resize(golden["face_crop"], (256, 256), interpolation=cv2.INTER_LANCZOS4)
    np.testing.assert_array_equal(resized, golden["face_256"])


@pytest.mark.parametrize("trimmed", [False, True])
def test_the_published_way_back_is_upstreams(golden: Golden, trimmed: bool) -> None:
    transform = placed(golden["matrix"][0], scaling="upstream")
    frame = golden["image"].copy()
    mask = pasted_mask(transform) if trimmed else whole_mask(transform, (0, 0, *frame.shape[1::-1]))
    composite(frame, golden["generated_face"], transform, mask)
    off = difference(frame, golden["restored"])
    assert off.mean() < 0.15
    assert off.max() <= 2
    assert (off > 1).mean() < 0.001  # upstream cuts where this rounds, twice


# Ours.

FACE = FacePoints((420.3, 260.8), (575.1, 243.2), (508.7, 372.4))


def smooth_picture(height: int = 720, width: int = 960) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 37 + k) + np.cos(y / (29 + 5 * k)) for k in range(3)]
    return (np.stack(waves, axis=-1) * 60 + 128).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_points_are_found_in_the_crop_where_the_picture_shows_them(size: int) -> None:
    picture = np.zeros((720, 960, 3), np.uint8)
    [transform] = place_aligned([FACE], size)
    for point in (FACE.left, FACE.right, FACE.nose):
        spot = picture.copy()
        cv2.circle(spot, (round(point[0] * 16 - 8), round(point[1] * 16 - 8)), 8 * 16, (255, 255, 255), -1, shift=4)
        crop = transform.crop(spot)[..., 0].astype(float)
        middle = [float((crop * (grid + 0.5)).sum() / crop.sum()) for grid in np.mgrid[:size, :size][::-1]]
        assert middle == pytest.approx(transform.point_in_crop(*point), abs=0.3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_there_and_back_is_the_frame(size: int, scale: float) -> None:
    frame = smooth_picture(round(720 * scale), round(960 * scale))
    grown = FacePoints(*((x * scale, y * scale) for x, y in (FACE.left, FACE.right, FACE.nose)))
    [transform] = place_aligned([grown], size)
    changed = frame.copy()
    composite(changed, transform.crop(frame), transform, painted_mask(transform))
    off = difference(changed, frame)
    assert off.max() <= 4
    assert off.mean() < 0.5


@pytest.mark.parametrize("size", SIZES)
def test_only_painted_pixels_change(size: int) -> None:
    frame = smooth_picture()
    [transform] = place_aligned([FACE], size)
    changed = frame.copy()
    mask = painted_mask(transform)
    composite(changed, np.full((size, size, 3), 255, np.uint8), transform, mask)
    touched = (changed != frame).any(axis=-1)
    rows, columns = np.nonzero(touched)
    places = np.array([transform.point_in_crop(x + 0.5, y + 0.5) for y, x in zip(rows, columns, strict=True)])
    u, v = places.astype(int).T
    assert len(rows) > 10_000
    assert keep_mask(size)[v, u].max() < 0.5
    assert mask.y <= rows.min() <= rows.max() < mask.y + mask.alpha.shape[0]
    assert mask.alpha[[0, -1]].max() < 0.02
    assert mask.alpha[:, [0, -1]].max() < 0.02
    rows, columns = mask.alpha.shape
    assert 0 < transform.first_row(mask.x, mask.y, mask.x + columns, mask.y + rows) <= v.min()


def test_the_rectangle_holds_the_crop() -> None:
    [transform] = place_aligned([FACE])
    corners = [
        transform.point_in_crop(transform.x + u * transform.width, transform.y + v * transform.height)
        for u in (0, 1)
        for v in (0, 1)
    ]
    us, vs = zip(*corners, strict=True)
    assert max(min(us), min(vs)) < 0
    assert min(max(us), max(vs)) > 256
    assert transform.warp_back(np.zeros((512, 512, 3), np.uint8)).shape == (transform.height, transform.width, 3)


def test_a_face_that_leaves_the_frame_is_cut_and_put_back() -> None:
    frame = smooth_picture(300, 300)
    near_corner = FacePoints((10.0, 20.0), (90.0, 12.0), (52.0, 80.0))
    [transform] = place_aligned([near_corner])
    assert transform.x < 0
    assert transform.y < 0
    assert (transform.crop(frame)[0, 0] == 127).all()
    composite(frame, transform.crop(frame), transform, painted_mask(transform))
    assert frame.shape == (300, 300, 3)


def test_faces_stand_upright_in_the_crop() -> None:
    tilt = radians(20)
    turn = np.array([[cos(tilt), -sin(tilt)], [sin(tilt), cos(tilt)]])
    level = np.array([(-60.0, -100.0), (60.0, -100.0), (0.0, 0.0), (0.0, 50.0)])
    *three, mouth = (level @ turn.T + (300, 300)).tolist()
    [transform] = place_aligned([FacePoints(*(tuple(p) for p in three))])  # type: ignore[arg-type]
    sample = FaceSample(4, FaceBox(200, 190, 400, 390, 0.7), MouthShape(*mouth, 30.0, tilt))
    seen = transform.to_crop(sample)
    assert seen.track == 4
    assert seen.mouth.angle == pytest.approx(0, abs=1e-6)
    assert (seen.mouth.cx, seen.mouth.cy) == pytest.approx(transform.point_in_crop(*mouth))
    assert seen.mouth.cx == pytest.approx(128, abs=1)
    assert seen.mouth.half_width == pytest.approx(30 * hypot(transform.a, transform.b) * 256 / 210)
    assert seen.box.center == pytest.approx(transform.point_in_crop(300, 290))
