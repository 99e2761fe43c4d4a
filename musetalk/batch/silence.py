"""Workers that give no sign of life: for how long they are borne, and what is said of them then."""

from __future__ import annotations

from musetalk.utils.units import roughly

STALL_SECONDS = 1800.0  # usual limit on the silence of a task
_DEAF_SECONDS = 5.0  # between two looks, of which more is not held against workers: this machine was busy, or asleep


def listened(seconds: float) -> float:
    """Return how much of what has passed between two looks counts as silence, in seconds."""
    return min(seconds, _DEAF_SECONDS)


def no_sign_of_life(seconds: float) -> str:
    """Return why a worker is ended that was silent for so long."""
    return f"it gave no sign of life for {roughly(seconds)}"
