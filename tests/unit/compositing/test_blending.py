"""Putting faces back: what is cut, what is matched over a piece, and that nothing is lost where nothing was painted."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.compositing.appearance import apply_correction, interpolate, measure_appearance
from musetalk.compositing.blending import BlendMethod, Patch, blend, composite, make_patch
from musetalk.compositing.boundary import Borders, find_boundary
from musetalk.compositing.masks import FaceMask, crop_mask, face_mask
from musetalk.compositing.parsed_masks import ParsedMaskOptions, parsed_mask
from musetalk.compositing.sharpness_transfer import Sharpness
from musetalk.faces.crops.crop import BoxCropTransform, CropTransform
from musetalk.faces.parsing.face_extent import halved_crop
from musetalk.faces.types import FaceBox
from musetalk.settings import BlendSettings, MaskSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.drawn_labels import WHOLE, draw, found

pytestmark = pytest.mark.slow

PARSED = ["raw", "jaw", "neck", "mouth"]
SHAPES = ["ellipse", "box", "hard box", *PARSED]
METHODS: list[BlendMethod] = ["alpha", "poisson"]
LABELS = draw()
CROP = replace(halved_crop(found(LABELS), size=None, extra_margin=10), size=None)
BOX = FaceBox(CROP.x - 20, CROP.y, CROP.x + CROP.width + 20, CROP.y + CROP.height - 30, 1.0)


@cache
def drawn_picture(seed: int, low: int, high: int) -> UInt8Array:
    """A textured picture, its values away from both ends."""
    random = np.random.default_rng(seed)
    coarse = cv2.GaussianBlur(random.normal(size=(540, 540, 3)).astype(np.float32), (0, 0), 25)
    fine = cv2.GaussianBlur(random.normal(size=(540, 540, 1)).astype(np.float32), (0, 0), 1.5)
    picture = coarse / coarse.std() + 0.25 * fine[..., None] / fine.std()
    return np.clip(128 + 30 * picture, low, high).astype(np.uint8)


def film(count: int = 4, seed: int = 0, low: int = 40, high: int = 215) -> list[UInt8Array]:
    """Frames of a picture that drifts a little, each an array of its own."""
    levels = drawn_picture(seed, low, high)
    return [levels[8 + i : 520 + i, 10 - i : 522 - i].copy() for i in range(count)]


SMALL = film(1)[0][:32, :32]


def mask_of(shape: str) -> FaceMask:
    if shape in PARSED:
        return parsed_mask(LABELS, WHOLE, CROP, ParsedMaskOptions(shape=shape))  # type: ignore[arg-type]
    if shape == "hard box":
        return face_mask(BOX, MaskSettings(shape="box", feather=0))
    return crop_mask(CROP, MaskSettings(shape=shape))


def patches_of(frames: list[UInt8Array], generated: list[UInt8Array], mask: FaceMask) -> list[Patch]:
    made = [make_patch(frame, face, CROP, mask) for frame, face in zip(frames, generated, strict=True)]
    assert None not in made
    return [patch for patch in made if patch is not None]


def finished(
    frames: list[UInt8Array], generated: list[UInt8Array], mask: FaceMask, method: BlendMethod = "alpha"
) -> list[UInt8Array]:
    """A piece, composited with everything matched."""
    patches = patches_of(frames, generated, mask)
    look = measure_appearance(frames, patches, BlendSettings(method=method))
    results = [frame.copy() for frame in frames]
    for number, (result, patch) in enumerate(zip(results, patches, strict=True)):
        blend(result, apply_correction(patch, look, number), method)
    return results


def rounded(values: np.ndarray) -> UInt8Array:
    levels: UInt8Array = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return levels


def shifted(crop: UInt8Array, *levels: int) -> UInt8Array:
    return rounded(crop + np.array(levels))


def exposed(crop: UInt8Array, gain: float) -> UInt8Array:
    return rounded(255 * ((crop / 255) ** 2.2 * gain) ** (1 / 2.2))


CASTS = {
    "+10": lambda crop: shifted(crop, 10, 10, 10),
    "-10": lambda crop: shifted(crop, -10, -10, -10),
    "per channel": lambda crop: shifted(crop, 10, -7, 4),
    "brighter": lambda crop: exposed(crop, 1.15),
    "darker": lambda crop: exposed(crop, 0.85),
}


def alpha_over(frame: UInt8Array, mask: FaceMask) -> np.ndarray:
    alpha = np.zeros(frame.shape[:2], np.float32)
    rows, columns = mask.alpha.shape
    alpha[mask.y : mask.y + rows, mask.x : mask.x + columns] = mask.alpha
    return alpha


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_unchanged_crops_change_no_byte_however_they_are_matched(shape: str, method: BlendMethod) -> None:
    frames = film()
    grainy = [shifted(frame, *np.random.default_rng(i).integers(-9, 9, 3).tolist()) for i, frame in enumerate(frames)]
    results = finished(grainy, [CROP.crop(frame).copy() for frame in grainy], mask_of(shape), method)
    np.testing.assert_array_equal(results, grainy)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("shape", ["ellipse", "hard box", "jaw", "mouth"])
def test_casts_leave_no_more_than_two_levels_at_the_rim(shape: str, cast: str, seed: int) -> None:
    frames, mask = film(seed=seed), mask_of(shape)
    generated = [CASTS[cast](CROP.crop(frame)) for frame in frames]
    results = finished(frames, generated, mask)
    alpha = alpha_over(frames[0], mask)
    boundary, inside = (alpha > 0) & (alpha < 0.7), alpha >= 0.7
    off = np.abs(np.array(results).astype(int) - frames)
    if boundary.any():
        assert off[:, boundary].max() <= 2
    assert off[:, inside].max() <= 4
    assert off[:, inside].mean() < 1
    assert off[:, alpha == 0].max() == 0


@pytest.mark.parametrize("cast", ["+10", "-10", "per channel"])
def test_poisson_takes_a_cast_away_without_matching(cast: str) -> None:
    frames, mask = film(1), mask_of("jaw")
    [patch] = patches_of(frames, [CASTS[cast](CROP.crop(frames[0]))], mask)
    result = frames[0].copy()
    blend(result, patch, "poisson")
    assert np.abs(result.astype(int) - frames[0]).max() <= 1


def test_a_repainted_mouth_does_not_lead_the_match_astray() -> None:
    frames, mask = film(), mask_of("jaw")
    generated = [shifted(CROP.crop(frame), 10, -7, 4) for frame in frames]
    size = (CROP.width, CROP.height)
    for face in generated:
        cv2.ellipse(face, (size[0] // 2, size[1] * 3 // 4), (size[0] // 5, size[1] // 6), 0, 0, 360, (50, 5, 8), -1)
        face[-size[1] // 12 :] = 250  # and a chin that moved
    patches = patches_of(frames, generated, mask)
    correction = measure_appearance(frames, patches, BlendSettings()).correction
    np.testing.assert_allclose(correction[:, 120], [-10, 7, -4], atol=1)


def test_what_is_not_wanted_is_not_matched() -> None:
    frames, mask = film(), mask_of("ellipse")
    blurred = [np.asarray(cv2.GaussianBlur(CROP.crop(frame), (0, 0), 2), dtype=np.uint8) for frame in frames]
    soft = [shifted(face, 9, 9, 9) for face in blurred]
    patches = patches_of(frames, soft, mask)
    color = measure_appearance(frames, patches, BlendSettings(sharpness="none"))
    assert color.correction.any()
    assert color.sharpness == Sharpness()
    sharpness = measure_appearance(frames, patches, BlendSettings(color="none"))
    assert not sharpness.correction.any()
    assert sharpness.sharpness.sharpen > 0.1
    neither = measure_appearance(frames, patches, BlendSettings(color="none", sharpness="none"))
    assert apply_correction(patches[0], neither, 3).face is patches[0].face


def test_a_piece_without_patches_has_a_look_that_changes_nothing() -> None:
    look = measure_appearance([], [], BlendSettings())
    assert not look.correction.any()
    assert look.sharpness == Sharpness()


def test_looks_pass_smoothly_from_the_piece_before() -> None:
    frames, mask = film(), mask_of("ellipse")
    looks = []
    for level in (4, 12):
        patches = patches_of(frames, [shifted(CROP.crop(frame), level, 0, 0) for frame in frames], mask)
        looks.append(measure_appearance(frames, patches, BlendSettings()))
    before, own = looks
    ramp = [interpolate(before, own, share).correction[0, 120] for share in (0, 0.25, 0.5, 0.75, 1)]
    np.testing.assert_allclose(ramp, [-4, -6, -8, -10, -12], atol=0.6)
    assert interpolate(None, own, 0.25) is own


def test_patches_hold_what_the_mask_shows_inside_the_frame_and_no_more() -> None:
    frame = film(1)[0]
    alpha = np.zeros((60, 80), np.float32)
    alpha[10:50, 5:70] = 0.5
    transform = BoxCropTransform(-20, 470, 100, 100)
    generated = np.full((100, 100, 3), 9, np.uint8)
    patch = make_patch(frame, generated, transform, FaceMask(-20, 480, alpha))
    assert patch is not None
    assert (patch.x, patch.y, patch.alpha.shape) == (0, 490, (22, 50))
    assert patch.face.shape == (22, 50, 3)
    assert patch.borders == Borders(bottom=True, left=True)
    assert make_patch(frame, generated, transform, FaceMask(-20, 480, np.zeros_like(alpha))) is None
    assert make_patch(frame, generated, transform, FaceMask(-90, 480, alpha)) is None


@given(x=st.integers(-80, 150), y=st.integers(-80, 150), size=st.integers(1, 130), seed=st.integers(0, 9))
def test_patches_show_what_the_whole_crop_would(x: int, y: int, size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    frame = random.integers(0, 256, (140, 150, 3), dtype=np.uint8)
    generated = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    transform = BoxCropTransform(x, y, size, size + 3, 40)
    mask = FaceMask(x - 2, y + 1, np.round(random.random((size, size + 4)), 1).astype(np.float32))
    result = frame.copy()
    composite(result, generated, transform, mask)
    face, alpha = (np.zeros((400, 400, *more)) for more in ((3,), (1,)))  # of a larger picture around the frame
    face[100 + y : 103 + y + size, 100 + x : 100 + x + size] = transform.warp_back(generated)
    inside = np.zeros((400, 400), bool)
    inside[100 + y : 103 + y + size, 100 + x : 100 + x + size] = True
    alpha[101 + y : 101 + y + size, 98 + x : 102 + x + size, 0] = mask.alpha
    alpha[~inside] = 0
    face, alpha = face[100:240, 100:250], alpha[100:240, 100:250]
    np.testing.assert_allclose(result, alpha * face + (1 - alpha) * frame, atol=0.51)


@pytest.mark.parametrize("method", METHODS)
@given(x=st.integers(-40, 40), y=st.integers(-40, 40), rows=st.integers(1, 30), columns=st.integers(1, 30))
def test_the_smallest_patches_are_matched_and_laid(
    method: BlendMethod, x: int, y: int, rows: int, columns: int
) -> None:
    frame = SMALL.copy()
    mask = FaceMask(x, y, np.full((rows, columns), 0.4, np.float32))
    transform = BoxCropTransform(x, y, columns, rows)
    patch = make_patch(frame, np.full((rows, columns, 3), 200, np.uint8), transform, mask)
    if patch is not None:
        look = measure_appearance([frame], [patch], BlendSettings())
        blend(frame, apply_correction(patch, look, 0), method)
        assert frame.max() <= 215


def test_a_mask_that_the_frame_cuts_has_no_rim_there() -> None:
    whole = np.ones((80, 80), np.float32)
    assert find_boundary(whole, Borders(top=True, bottom=True, left=True, right=True)) is None
    boundary = find_boundary(whole, Borders(top=True, bottom=True, left=True))
    assert boundary is not None
    assert set(boundary.columns * boundary.block) == {80 - boundary.block}


@pytest.mark.parametrize("size", [150, 300])
def test_scaling_back_keeps_more_than_bilinear(size: int) -> None:
    """There and back: 256 of the source's pixels, seen as more or fewer."""
    frame = film(1)[0]
    transforms: list[CropTransform] = [
        BoxCropTransform(100, 90, 256, 240, size, back="fine"),
        BoxCropTransform(100, 90, 256, 240, size, back="upstream"),
    ]
    fine, plain = (
        float(np.abs(place.warp_back(place.crop(frame)).astype(int) - frame[90:330, 100:356]).mean())
        for place in transforms
    )
    assert fine < 0.9 * plain


def test_what_shrinks_much_on_its_way_back_is_averaged() -> None:
    stripes = np.zeros((1000, 1000, 3), np.uint8)
    stripes[:, ::2] = 200
    back = BoxCropTransform(0, 0, 230, 230, 256).warp_back(stripes)
    assert back.std() < 4
    assert back.mean() == pytest.approx(100, abs=1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", ["ellipse", "mouth"])
def test_a_face_that_fades_is_mixed_by_its_share_whatever_the_method(shape: str, method: BlendMethod) -> None:
    [source] = film(1)
    mask = mask_of(shape)
    painted = CROP.crop(source).astype(int)
    painted[60:, :, 1] -= 30  # also inside: where the boundary lies must not depend on the share
    generated = np.clip(painted, 0, 255).astype(np.uint8)
    whole = source.copy()
    composite_by(whole, generated, mask, method, 1.0)
    for share in (0.1, 0.29, 0.31, 0.69, 0.71):
        part = source.copy()
        composite_by(part, generated, mask, method, share)
        expected = source + share * (whole.astype(float) - source)
        assert np.abs(part - expected).max() <= 1.01


def composite_by(frame: UInt8Array, generated: UInt8Array, mask: FaceMask, method: BlendMethod, share: float) -> None:
    patch = make_patch(frame, generated, CROP, mask, share)
    assert patch is not None
    blend(frame, patch, method)


def test_the_share_of_a_face_says_nothing_of_its_look() -> None:
    frames = film(4)
    made = [np.clip(CROP.crop(frame).astype(int) + 12, 0, 255).astype(np.uint8) for frame in frames]
    mask = mask_of("jaw")
    whole = measure_appearance(frames, patches_of(frames, made, mask), BlendSettings())
    faded = [replace(patch, share=0.2) for patch in patches_of(frames, made, mask)]
    np.testing.assert_array_equal(measure_appearance(frames, faded, BlendSettings()).correction, whole.correction)
