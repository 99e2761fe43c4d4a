"""Workers that give no sign of life: for how long they are borne, and what is said of them then."""

from __future__ import annotations

from musetalk.utils.units import roughly

STALL_SECONDS = 1800.0  # usual limit on the silence of a task
TOLD_SECONDS = 60.0  # of silence, from which on it is told; some networks take as long on a CPU, so it may be all right
_DEAF_SECONDS = 5.0  # between two looks, of which more is not held against workers: this machine was busy, or asleep


def listened(seconds: float) -> float:
    """Return how much of what has passed between two looks counts as silence, in seconds."""
    return min(seconds, _DEAF_SECONDS)


def silence_of(seconds: float) -> str:
    """Return what is said of a worker that is, or was, silent for so long; empty: it is not worth telling."""
    return f"silent for {roughly(seconds)}" if seconds >= TOLD_SECONDS else ""


def no_sign_of_life(seconds: float) -> str:
    """Return why a worker is ended that was silent for so long."""
    return f"it gave no sign of life for {roughly(seconds)}"
