from __future__ import annotations

import numpy as np
import pytest

from musetalk.compositing.blending import composite
from musetalk.compositing.parsed_masks import ParsedMaskOptions, parsed_mask
from musetalk.faces.crops.crop import BoxCropTransform, square_around
from musetalk.faces.parsing.labels import FaceLabel
from tests.golden.read import Golden, read_golden

CASES = [
    *("centre", "odd", "near_left_top", "near_bottom_right", "partly_outside_left", "partly_outside_bottom"),
    *("wide", "tiny"),
]
PATHS = {"get_image": 0.05, "get_image_blending": 0.1}  # upstream's function, and the blur of its mask


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read_golden("blending.npz")


def place(golden: Golden, case: str) -> BoxCropTransform:
    x0, y0, x1, y1 = golden["meta"]["cases"][case]["box"]
    return BoxCropTransform(x0, y0, x1 - x0, y1 - y0, 256, "upstream", back="upstream")


def labels_of(golden: Golden, version: str) -> np.ndarray:
    """Labels from which the version's shape is the golden stand-in: skin for "raw", lips (never narrowed) for "jaw"."""
    packed, label = ("mask_raw", FaceLabel.SKIN) if version == "v1" else ("mask_jaw", FaceLabel.UPPER_LIP)
    return np.unpackbits(golden[packed])[: 512 * 512].reshape(512, 512) * np.uint8(label)


def expected(golden: Golden, name: str, place_of: list[int]) -> np.ndarray:
    x0, y0, x1, y1 = place_of
    picture = golden["image"].copy()
    picture[y0:y1, x0:x1] = golden[name]
    return picture


def difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize("case", CASES)
def test_the_blended_square_is_upstreams(golden: Golden, case: str) -> None:
    for expand, (corners, half) in golden["meta"]["cases"][case]["crop_box"].items():
        square = square_around(place(golden, case), float(expand))
        assert [square.x, square.y, square.x + square.width, square.y + square.height] == corners
        assert square.width == square.height == 2 * half


@pytest.mark.parametrize("case", CASES)
def test_faces_are_scaled_back_as_upstream_scales(golden: Golden, case: str) -> None:
    np.testing.assert_array_equal(place(golden, case).warp_back(golden["face256"]), golden[f"{case}.face"])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("version", ["v1", "v15"])
@pytest.mark.parametrize("case", CASES)
def test_results_are_upstreams_within_one_level(golden: Golden, case: str, version: str, path: str) -> None:
    crop = place(golden, case)
    options = ParsedMaskOptions(shape="raw" if version == "v1" else "jaw", blur=PATHS[path])
    mask = parsed_mask(labels_of(golden, version), square_around(crop, 1.5), crop, options)
    frame = golden["image"].copy()
    composite(frame, golden["face256"], crop, mask)
    right = expected(golden, f"{case}.{version}.{path}", golden["meta"]["cases"][case][f"{version}.{path}.changed_box"])
    assert difference(frame, right) <= 1
    assert np.count_nonzero(frame != right) <= 20
    assert difference(frame, golden["image"]) > 20


@pytest.mark.parametrize("version", ["v1", "v15"])
@pytest.mark.parametrize("case", CASES)
def test_masks_are_upstreams_within_one_level(golden: Golden, case: str, version: str) -> None:
    crop = place(golden, case)
    square = square_around(crop, 1.5)
    options = ParsedMaskOptions(shape="raw" if version == "v1" else "jaw", blur=0.1)
    mask = parsed_mask(labels_of(golden, version), square, crop, options)
    rows, columns = mask.alpha.shape
    x, y = mask.x - square.x, mask.y - square.y
    right = golden[f"{case}.{version}.material_mask"]
    assert np.abs(mask.alpha * 255 - right[y : y + rows, x : x + columns]).max() <= 1.01
    assert not right[:y, x : x + columns].any()


def test_other_squares_and_boundaries_are_upstreams(golden: Golden) -> None:
    crop = place(golden, "centre")
    options = ParsedMaskOptions(shape="jaw", expand=1.2, upper=0.35)
    mask = parsed_mask(labels_of(golden, "v15"), square_around(crop, 1.2), crop, options)
    frame = golden["image"].copy()
    composite(frame, golden["face256"], crop, mask)
    right = expected(golden, "centre.alt", golden["meta"]["cases"]["centre"]["alt.changed_box"])
    assert difference(frame, right) <= 1
