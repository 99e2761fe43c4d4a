"""The curve that masks, fades and mouths rise by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from musetalk.utils.arrays import Float32Array


def smoothstep(t: npt.NDArray[np.floating]) -> Float32Array:
    """Rise from 0 at 0 to 1 at 1, level at both ends and beyond: float32, shaped like `t`."""
    t = np.clip(t, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
