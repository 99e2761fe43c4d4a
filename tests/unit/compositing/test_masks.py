"""Masks: what every knob does, and how they end."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from musetalk.backends.types import Framing
from musetalk.compositing.blending import composite
from musetalk.compositing.masks import FaceMask, scale_alpha
from musetalk.compositing.parsed_masks import ParsedMaskOptions, parsed_mask
from musetalk.faces.parsing.face_extent import halved_crop
from musetalk.faces.parsing.labels import FaceLabel, jaw_mask, mouth_mask
from tests.helpers.drawn import SIDE
from tests.helpers.drawn_labels import WHOLE, draw, found, with_hand, with_strand
from tests.helpers.masked import DRAWN, FACE, FPS, PARSED, layout, mask_of, middle, size, whole

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shape", [*DRAWN, *PARSED])
def test_the_offset_moves_every_shape_by_a_share_of_the_face(tmp_path: Path, shape: str) -> None:
    usual, crop = mask_of(layout(tmp_path, shape=shape, mouth_scale_factor=0.5))
    height = FACE.box.height if shape in PARSED else crop.height
    (x, y), (left, _) = size(usual), middle(usual)
    for offset in (0.05, -0.05):
        moved, _ = mask_of(layout(tmp_path, shape=shape, mouth_scale_factor=0.5, mouth_vertical_offset=offset))
        across, down = middle(moved)
        assert across == pytest.approx(left, abs=2)
        assert down - middle(usual)[1] == pytest.approx(offset * height, abs=3.5)
        assert size(moved)[0] == pytest.approx(x, abs=4)
        assert size(moved)[1] == pytest.approx(y, abs=6)


@pytest.mark.parametrize("shape", [*DRAWN, *PARSED])
def test_the_scale_is_around_the_shape_s_middle(tmp_path: Path, shape: str) -> None:
    usual, _ = mask_of(layout(tmp_path, shape=shape, feather=0.02, blur_kernel_ratio=0.02))
    small, _ = mask_of(layout(tmp_path, shape=shape, mouth_scale_factor=0.6, feather=0.02, blur_kernel_ratio=0.02))
    assert middle(small) == pytest.approx(middle(usual), abs=4)
    for before, after in zip(size(usual), size(small), strict=True):
        assert after == pytest.approx(0.6 * before, rel=0.1)


@pytest.mark.parametrize("shape", DRAWN)
@pytest.mark.parametrize("framing", ["halved", "square"])
def test_padding_draws_ellipse_and_box_in(tmp_path: Path, shape: str, framing: Framing) -> None:
    plain = {"shape": shape, "framing": framing, "feather": 0.01}
    usual, _ = mask_of(layout(tmp_path, {}, **plain))  # type: ignore[arg-type]
    padded, _ = mask_of(layout(tmp_path, {}, ellipse_padding_factor=0.2, **plain))  # type: ignore[arg-type]
    for before, after in zip(size(usual), size(padded), strict=True):
        assert after == pytest.approx(0.6 * before, abs=4)
    assert middle(padded) == pytest.approx(middle(usual), abs=1.5)


@pytest.mark.parametrize(
    ("knob", "low", "high"),
    [("upper_boundary_ratio", 0.3, 0.7), ("blur_kernel_ratio", 0.0, 0.2), ("expand_factor", 1.2, 3.0)],
)
@pytest.mark.parametrize("shape", PARSED)
def test_parsed_shapes_heed_their_knobs(tmp_path: Path, shape: str, knob: str, low: float, high: float) -> None:
    alphas = []
    for value in (low, high):
        alphas.append(whole(mask_of(layout(tmp_path, shape=shape, **{knob: value}))[0]))
    below, above = alphas
    if knob == "upper_boundary_ratio":
        assert np.flatnonzero(above.any(axis=1))[0] > np.flatnonzero(below.any(axis=1))[0]
    elif knob == "blur_kernel_ratio":
        assert ((above > 0.01) & (above < 0.99)).sum() > 2 * ((below > 0.01) & (below < 0.99)).sum()
    else:
        assert np.abs(below - above).max() > 0.1  # the blur follows the square, and where it is cut off above


@pytest.mark.parametrize("shape", [*DRAWN, *PARSED])
@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("offset", [-0.3, 0.0, 0.3])
def test_masks_fade_before_the_crop_ends(tmp_path: Path, shape: str, scale: float, offset: float) -> None:
    knobs = {"mouth_scale_factor": scale, "mouth_vertical_offset": offset, "upper_boundary_ratio": 0.0}
    for framing in ("halved", "square"):
        mask, crop = mask_of(layout(tmp_path, shape=shape, framing=framing, **knobs))  # type: ignore[arg-type]
        alpha = whole(mask)
        inside = np.zeros_like(alpha)
        y, x = crop.y + SIDE, crop.x + SIDE
        inside[y + 1 : y + crop.height - 1, x + 1 : x + crop.width - 1] = 1
        assert alpha[inside == 0].max() < 0.01
        steps = max(float(np.abs(np.diff(alpha, axis=axis)).max()) for axis in (0, 1))
        assert steps < 0.3
        assert alpha.max() > 0.9


def test_upstream_s_masks_are_cut_where_the_layout_s_are_not() -> None:
    labels = draw()
    crop = halved_crop(found(labels), size=256)
    cut = parsed_mask(labels, WHOLE, crop, ParsedMaskOptions(shape="raw"))
    faded = parsed_mask(labels, WHOLE, crop, ParsedMaskOptions(shape="raw", boundary=0.75))
    assert cut.alpha[-1].max() > 0.4
    assert faded.alpha[-1].max() == 0
    middle_part = np.s_[30:-30, 30:-30]
    np.testing.assert_array_equal(cut.alpha[middle_part], faded.alpha[middle_part])


@pytest.mark.parametrize("shape", [*DRAWN, *PARSED])
@pytest.mark.parametrize("end", ["low", "usual", "high"])
def test_an_unchanged_crop_changes_nothing(tmp_path: Path, shape: str, end: str) -> None:
    knobs: dict[str, dict[str, object]] = {
        "low": {
            "ellipse_padding_factor": -0.3,
            "blur_kernel_ratio": 0.0,
            "expand_factor": 1.2,
            "feather": 0.0,
            "upper_boundary_ratio": 0.0,
            "mouth_vertical_offset": -0.3,
            "mouth_scale_factor": 0.5,
        },
        "usual": {},
        "high": {
            "ellipse_padding_factor": 0.4,
            "blur_kernel_ratio": 0.2,
            "expand_factor": 3.0,
            "feather": 0.5,
            "upper_boundary_ratio": 0.9,
            "mouth_vertical_offset": 0.3,
            "mouth_scale_factor": 2.0,
        },
    }
    source = np.random.default_rng(8).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    labels = {k: with_strand(draw()) if k % 2 else with_hand(draw()) for k in range(3)}
    made = layout(tmp_path, labels, fps=FPS, shape=shape, **knobs[end])
    mask, crop = mask_of(made, 1)
    assert np.isfinite(mask.alpha).all()
    assert mask.alpha.min() >= 0
    assert mask.alpha.max() <= 1
    frame = source.copy()
    composite(frame, crop.crop(source).copy(), crop, mask)
    np.testing.assert_array_equal(frame, source)


def test_the_mouth_s_shape_is_the_jaw_s_without_cheeks() -> None:
    labels = draw()
    mouth, jaw = mouth_mask(labels) > 0, jaw_mask(labels) > 0
    assert mouth[labels == FaceLabel.LOWER_LIP].all()
    assert mouth.sum() < 0.75 * jaw[240:].sum()
    assert mouth[270:390, 256].all()  # from under the nose over the chin, with room below it
    assert not mouth[:255].any()
    assert not mouth[:, : 256 - 100].any()
    assert not mouth[:, 256 + 100 :].any()
    assert not mouth[440:].any()


def test_the_mouth_s_shape_tilts_with_the_eyes() -> None:
    turn = cv2.getRotationMatrix2D((256, 300), 20, 1)
    tilted = cv2.warpAffine(draw(), turn, (512, 512), flags=cv2.INTER_NEAREST).astype(np.uint8)
    expected = cv2.warpAffine(mouth_mask(draw()), turn, (512, 512), flags=cv2.INTER_NEAREST) > 0
    made = mouth_mask(tilted) > 0
    assert (made & expected).sum() / (made | expected).sum() > 0.85


def test_a_beard_and_an_open_mouth_belong_to_the_mouth_s_shape() -> None:
    labels, shaved = draw(), mouth_mask(draw()) > 0
    rows = np.indices(labels.shape)[0]
    labels[(rows > 300) & (labels == FaceLabel.SKIN)] = FaceLabel.HAIR
    assert ((mouth_mask(labels) > 0) & shaved).sum() > 0.97 * shaved.sum()
    cv2.ellipse(labels, (256, 302), (30, 10), 0, 0, 360, int(FaceLabel.BACKGROUND), -1)
    assert (mouth_mask(labels) > 0)[298:306, 240:270].all()


def test_without_lips_the_mouth_s_shape_is_the_jaw_s() -> None:
    labels = draw(without=(FaceLabel.LOWER_LIP,))
    np.testing.assert_array_equal(mouth_mask(labels), jaw_mask(labels))


def test_thinned_masks_show_a_share() -> None:
    mask = FaceMask(3, 4, np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4))
    assert scale_alpha(mask, 1.0) is mask
    half = scale_alpha(mask, 0.5)
    assert (half.x, half.y, half.alpha.dtype) == (3, 4, np.float32)
    np.testing.assert_array_equal(half.alpha, mask.alpha / 2)
    assert not scale_alpha(mask, 0.0).alpha.any()
