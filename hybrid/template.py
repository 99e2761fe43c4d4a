"""How LatentSync turns a face upright: the similarity that brings its brows and nose closest to a template.

Facts of bytedance/LatentSync (Apache-2.0; latentsync/utils/affine_transform.py, image_processor.py). The network was
trained on nothing else.
"""

from __future__ import annotations

from math import atan2, cos, sin

import numpy as np

from hybrid.mask import SIDE
from musetalk.utils.arrays import Float64Array

TEMPLATE = np.array([[17.0, 20.0], [58.0, 20.0], [37.5, 40.0]])  # brow at the left, brow at the right, nose
_TEMPLATE_WIDTH, _TEMPLATE_HEIGHT = 75, 100
_RATIO = 2.8  # pixels of a crop for 256 per unit of the template


def template_size(size: int = SIDE) -> tuple[int, int]:
    """(width, height) in pixels of the crop before it becomes a square of `size`: 210 x 280 for 256."""
    ratio = _RATIO * size / SIDE
    return int(_TEMPLATE_WIDTH * ratio), int(_TEMPLATE_HEIGHT * ratio)


def template_points(size: int = SIDE) -> Float64Array:
    """Return where the points of a face should lie in the crop before it becomes square: float64 [3, 2], (x, y)."""
    return np.asarray(TEMPLATE * (_RATIO * size / SIDE), dtype=np.float64)


def fit_similarity(points: Float64Array, template: Float64Array) -> Float64Array:
    """Fit rotation, scale and shift that bring points close to a template, as upstream's `transformation_from_points`.

    The rotation is the best in the least squares' sense (Kabsch 1976), never a reflection; the scale is the ratio of
    the spreads.

    Args:
        points: float64 [n, 2], (x, y) in the frame.
        template: float64 [n, 2].

    Returns:
        float64 [2, 3]: times (x, y, 1) of the frame, a place in the crop.

    Raises:
        ValueError: The points coincide.
    """
    middle, target = points.mean(axis=0), template.mean(axis=0)
    own, wanted = points - middle, template - target
    if not np.any(np.abs(own) > 1e-9):
        raise ValueError(f"points that coincide tell no scale: {points.tolist()}")
    # In the plane, the rotation that the singular value decomposition finds is that of the summed complex products.
    angle = atan2(float(np.sum(own[:, 0] * wanted[:, 1] - own[:, 1] * wanted[:, 0])), float(np.sum(own * wanted)))
    scale = float(np.std(wanted) / np.std(own))
    turn = scale * np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
    return np.column_stack([turn, target - turn @ middle])
