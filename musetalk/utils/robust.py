"""Numbers for estimates that outliers do not move."""

from __future__ import annotations

SIGMA_BY_MAD = 1.4826  # standard deviation of normal errors by their median absolute deviation
