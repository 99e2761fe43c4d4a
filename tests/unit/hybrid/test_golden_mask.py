"""LatentSync's mask as upstream has it: every pixel, every latent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from hybrid.mask import PAINTED_BOX, hide_painted, keep_mask, latent_mask, paste_kept, visible_mask

SIZES = [256, 512]


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    path = Path(__file__).parents[2] / "golden" / "latentsync_mask.json"
    made: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["mask"]
    return made


def picture(golden: dict[str, Any]) -> np.ndarray:
    mask = np.ones((256, 256), np.float32)
    for row, *runs in golden["replace_region"]["runs"]:
        for first, last in runs:
            mask[row, first : last + 1] = 0
    return mask


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_every_pixel_is_upstreams(golden: dict[str, Any]) -> None:
    np.testing.assert_array_equal(keep_mask(), picture(golden))
    assert int((keep_mask() == 0).sum()) == golden["replace_region"]["pixels"]


def test_the_polygon_overlaps(golden: dict[str, Any]) -> None:
    drawn = np.zeros((256, 256), np.uint8)
    cv2.fillPoly(drawn, [np.array(golden["replace_region"]["polygon"]["vertices_xy"], np.int32)], 1)
    assert overlap(drawn > 0, keep_mask() < 0.5) >= 0.995


def test_the_box_is_the_painted_part(golden: dict[str, Any]) -> None:
    x0, y0, x1, y1 = golden["replace_region"]["bounding_box_inclusive_xyxy"]
    assert (x0, y0, x1 + 1, y1 + 1) == PAINTED_BOX


@pytest.mark.parametrize("size", SIZES)
def test_it_is_resized_as_upstream_does(golden: dict[str, Any], size: int) -> None:
    mask, facts = keep_mask(size), golden["at_resolution"][str(size)]
    assert mask.shape == (size, size)
    assert float(mask.mean()) == pytest.approx(facts["mean"], abs=1e-6)
    assert int(((mask > 0) & (mask < 1)).sum()) == facts["soft_pixels"]
    assert int((mask < 0.5).sum()) == facts["replace_pixels_below_half"]
    large = cv2.resize(picture(golden), (size, size), interpolation=cv2.INTER_NEAREST)
    assert overlap(large < 0.5, mask < 0.5) >= 0.995


@pytest.mark.parametrize("size", SIZES)
def test_latents_see_what_upstreams_see(golden: dict[str, Any], size: int) -> None:
    facts = golden["latent_mask_nearest"][str(size)]
    soft = facts["soft_values"]
    right = [
        [soft[f"{y},{x}"] if sign == "s" else float(sign) for x, sign in enumerate(row)]
        for y, row in enumerate(facts["rows"])
    ]
    np.testing.assert_allclose(latent_mask(size), right, atol=1e-6)
    assert float(latent_mask(size).sum()) == pytest.approx(facts["sum"], abs=1e-3)


def test_other_sizes_need_whole_latents() -> None:
    with pytest.raises(ValueError, match="100"):
        latent_mask(100)


@pytest.mark.parametrize("size", SIZES)
def test_hidden_pixels_are_grey_and_the_rest_stays(size: int) -> None:
    pixels = torch.full((2, 3, size, size), -0.75)
    hidden = hide_painted(pixels)
    keep = torch.tensor(keep_mask(size)).expand_as(hidden)
    assert hidden[keep == 0].abs().max() == 0
    assert (hidden[keep == 1] == -0.75).all()
    assert (pixels == -0.75).all()


def test_kept_pixels_come_back() -> None:
    crops = np.random.default_rng(1).integers(0, 256, (2, 256, 256, 3), np.uint8)
    painted = np.full_like(crops, 9)
    pasted = paste_kept(painted, crops)
    keep = keep_mask() == 1
    np.testing.assert_array_equal(pasted[:, keep], crops[:, keep])
    assert (pasted[:, ~keep] == 9).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("feather", [0.0, 0.04, 0.1])
def test_the_soft_edge_lies_inside(size: int, feather: float) -> None:
    alpha, keep = visible_mask(size, feather), keep_mask(size)
    assert alpha[keep >= 0.5].max() == 0
    assert alpha.max() == 1
    assert np.abs(np.diff(alpha, axis=0)).max() <= 1.6 / max(1.0, feather * size)  # no steeper than a smoothstep
