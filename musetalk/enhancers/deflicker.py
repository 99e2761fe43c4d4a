"""Calming an enhancer's flicker: what it adds to a face is averaged over a few frames, wherever the face holds still.

An enhancer sees each frame alone, so what it adds (its residual) changes from frame to frame although the face hardly
does. Here the residual of each frame is replaced by a weighted mean of its own and those of the frames just before it.
The mean is over a fixed number of frames and never over means, so a frame comes out the same wherever work began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from musetalk.progress import never_stop
from musetalk.utils.arrays import Float32Array, Int16Array, UInt8Array

REMEMBERED = 5  # frames before the own one that are averaged over

# Faces are compared this small, about the width of the mouth's line to a pixel: what grain is in them is averaged away.
_COMPARED_SIDE = 128
_AROUND = 3  # pixels of that around a place that have a say in whether it moved
_STILL, _MOVED = 3.0, 9.0  # grey levels of difference up to which residuals count whole, and from which not at all


@dataclass(frozen=True, slots=True)
class Memory:
    """What the next piece of the same face needs to know of the frames before it, oldest first.

    Attributes:
        inputs: uint8 RGB [S, S, 3] each, what was enhanced; `REMEMBERED` of them at most.
        residuals: int16 [S, S, 3] each, what the enhancer added to them, -255 to 255.
    """

    inputs: tuple[UInt8Array, ...]
    residuals: tuple[Int16Array, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A frame as the mean needs it: its residual, also as float32, and the face small, as it is compared."""

    picture: UInt8Array
    residual: Int16Array
    exact: Float32Array
    small: Float32Array


def deflicker(
    inputs: UInt8Array,
    enhanced: UInt8Array,
    before: Memory | None,
    steadiness: float,
    check: Callable[[], None] = never_stop,
) -> tuple[UInt8Array, Memory]:
    """Calm what an enhancer made of consecutive frames of one face.

    Earlier residuals count as `steadiness` says where the face looks the same as it did then, and not at all where it
    moved. Of flicker that has nothing to do with that of the frame before, 0.7 takes out 76 % of the change between
    frames, 1.0 87 %, where nothing moves.

    Args:
        inputs: uint8 RGB [N, S, S, 3], the faces before enhancing, at the size of the enhanced ones.
        enhanced: uint8 RGB [N, S, S, 3].
        before: What this returned for the frames just before these; None: there are none in this run of frames.
        steadiness: 0 leaves everything as it is; 1 has earlier residuals count as much as the frame's own.
        check: Called before each frame; raises where the work is to end.

    Returns:
        The calmed faces, uint8 RGB [N, S, S, 3], and what the frames after these need. Frames given in pieces come out
        as they do at once.

    Raises:
        ValueError: The arrays, or those remembered, are not of one size.
    """
    before = before or Memory((), ())
    _check(inputs, enhanced, before)
    recent = deque(map(_seen, before.inputs, before.residuals), REMEMBERED + 1)
    calm = np.empty(enhanced.shape, np.uint8)
    for picture, better, result in zip(inputs, enhanced, calm, strict=True):
        check()
        recent.append(_seen(picture, np.subtract(better, picture, dtype=np.int16)))
        if steadiness > 0:
            cv2.add(picture, _mean(recent, steadiness), dst=result, dtype=cv2.CV_8U)
        else:
            result[...] = better
    last = list(recent)[-REMEMBERED:]
    # A copy each: slices would keep the whole piece in memory.
    return calm, Memory(tuple(seen.picture.copy() for seen in last), tuple(seen.residual for seen in last))


def _seen(picture: UInt8Array, residual: Int16Array) -> _Seen:
    side = min(_COMPARED_SIDE, *picture.shape[:2])
    small = cv2.resize(picture.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return _Seen(picture, residual, residual.astype(np.float32), np.asarray(small, np.float32))


def _mean(recent: Sequence[_Seen], steadiness: float) -> Float32Array:
    """Return the mean of residuals, float32 [S, S, 3].

    The last counts whole, the others as far as their frames agree.
    """
    *others, own = recent
    ages = range(len(others), 0, -1)
    shares = [
        steadiness * _weight(age) * _agreement(own.small, other.small) for age, other in zip(ages, others, strict=True)
    ]
    part = np.asarray(1 / (1 + sum(shares)), dtype=np.float32)
    mean = own.exact.copy()
    for share, other in zip(shares, others, strict=True):
        weight = cv2.resize(cv2.merge([share * part] * 3), mean.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        cv2.accumulateProduct(other.exact - own.exact, weight, mean)
    return mean


def _weight(age: int) -> float:
    """Return how much a residual of so many frames ago counts, where the frame's own counts 1.

    A parabola over all of them: of all weights of one length it lets the mean change least from frame to frame.
    """
    return (age + 1) * (REMEMBERED + 1 - age) / (REMEMBERED + 1)


def _agreement(one: Float32Array, other: Float32Array) -> Float32Array:
    """Return how far two small faces look the same around each place: float32 [s, s], 0 to 1."""
    difference = cv2.blur(np.abs(one - other).max(axis=-1), (_AROUND, _AROUND))
    worst = cv2.dilate(difference, np.ones((_AROUND, _AROUND), np.uint8))
    return np.asarray(np.clip((_MOVED - worst) / (_MOVED - _STILL), 0, 1), dtype=np.float32)


def _check(inputs: UInt8Array, enhanced: UInt8Array, before: Memory) -> None:
    if inputs.shape != enhanced.shape:
        raise ValueError(f"faces of shape {inputs.shape} cannot have become {enhanced.shape}")
    for frame in before.inputs:
        if frame.shape != inputs.shape[1:]:
            raise ValueError(f"faces of shape {inputs.shape[1:]} do not follow faces of {frame.shape}")
