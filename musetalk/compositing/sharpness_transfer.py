"""Sharpness transfer: makes a generated face as sharp and as grainy as the picture around it.

Detail is what a small blur takes away, in the green channel, which holds most of what is seen of it. Part of it is
grain: what of it changes from one frame to the next where the picture is flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from musetalk.compositing.boundary import Boundary
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.robust import SIGMA_BY_MAD

_SIGMA = 1.2  # pixels, of the blur
_KERNEL = (5, 5)
_MOST_PIXELS = 20_000  # of one frame's boundary that are looked at
_ROOT_2 = np.float32(np.sqrt(2))
_TOGETHER = 32  # pixels, at least, of which a mean square is taken: smaller blocks are taken together
_FLAT = 0.3  # of the blocks, those with least detail, where grain is looked for
_LEAST_BLOCKS = 16  # fewer say nothing
_FEW = 32  # so many more say half of what they would
_FAINT = 0.35  # levels squared: less detail than this is rounding
# An unsharp mask of amount 1 nearly doubles what is fine, but less of what is coarser.
_STRENGTH = 0.7
_BAND = 0.1  # of the logarithm of the ratio: so much of a difference is left alone
_UNSURE = 3.0  # standard errors of the median's: so much more
_MOST_SHARPENED = 0.7
_MOST_BLURRED = 0.7
_UNSEEN_GRAIN = 0.5  # levels: so much is not missed
_MOST_GRAIN = 6.0  # levels
_NOISE_SIDE = 1024
_NOISE_PLACES = 128  # rows and columns, at least, among which a pattern may begin
_NOISE_LEVELS = 24.0  # its standard deviation
_NOISE_SIGMA = 0.55  # pixels: grain that went through a codec is not finer


@dataclass(frozen=True, slots=True)
class Sharpness:
    """What a face lacks.

    Attributes:
        sharpen: Amount of the unsharp mask; negative: of the blur.
        grain: Standard deviation of the grain to be added, in levels.
    """

    sharpen: float = 0.0
    grain: float = 0.0


@dataclass(frozen=True, slots=True)
class Details:
    """The detail of source and generated face in one patch.

    Attributes:
        x, y: The patch's upper left corner in the frame.
        source, generated: int16 [h, w], levels.
        boundary: Where both should have as much.
    """

    x: int
    y: int
    source: npt.NDArray[np.int16]
    generated: npt.NDArray[np.int16]
    boundary: Boundary


def details_of(place: tuple[int, int], source: UInt8Array, generated: UInt8Array, boundary: Boundary) -> Details:
    """Take the detail of a patch.

    Args:
        place: The patch's upper left corner in the frame, (x, y).
        source: uint8 [h, w], the frame's green there.
        generated: uint8 [h, w], the face's green.
        boundary: Where they are compared.
    """
    return Details(*place, _detail(source), _detail(generated), boundary)


def measure_sharpness(pairs: Sequence[Sequence[Details]]) -> Sharpness:
    """Find what generated faces lack.

    Args:
        pairs: Of each place in the piece that is looked at, one frame or two consecutive ones.
    """
    energies = [_energies(details) for pair in pairs for details in pair]
    if sum(len(each) for each in energies) < _LEAST_BLOCKS:
        return Sharpness()
    source, generated = np.concatenate(energies).T
    changes = [_changes(*pair) for pair in pairs if len(pair) == 2]
    grain, own = _grain(np.concatenate(changes)) if changes else (0.0, 0.0)
    ratio = _ratio(source - grain, generated - own)
    amount = float(np.clip((ratio - 1) / _STRENGTH, -_MOST_BLURRED, _MOST_SHARPENED))
    lacking = float(np.sqrt(max(0.0, grain - own - _UNSEEN_GRAIN**2)))
    return Sharpness(amount, min(_MOST_GRAIN, lacking / _detail_of_noise()))  # only part of grain is detail


def sharpen(face: UInt8Array, amount: float) -> UInt8Array:
    """Sharpen a picture, uint8 RGB [h, w, 3], by an unsharp mask, or blur it where `amount` is negative."""
    if amount == 0:
        return face
    blurred = cv2.GaussianBlur(face, _KERNEL, _SIGMA)
    return np.asarray(cv2.addWeighted(face, 1 + amount, blurred, -amount, 0), dtype=np.uint8)


def add_grain(face: UInt8Array, strength: float, frame: int) -> UInt8Array:
    """Add grey grain to a picture, uint8 RGB [h, w, 3]: `strength` in levels, another pattern for every `frame`."""
    if strength == 0:
        return face
    rows, columns = face.shape[:2]
    noise = _noise()
    more = [max(0, side + _NOISE_PLACES - _NOISE_SIDE) for side in (rows, columns)]
    if any(more):
        noise = np.asarray(cv2.copyMakeBorder(noise, 0, more[0], 0, more[1], cv2.BORDER_WRAP), dtype=np.uint8)
    spare = (noise.shape[0] - rows + 1, noise.shape[1] - columns + 1)
    top, left = np.random.Generator(np.random.Philox(frame)).integers(0, spare)
    share = strength / _NOISE_LEVELS
    part = noise[top : top + rows, left : left + columns]
    return np.asarray(cv2.addWeighted(face, 1, part, share, -128 * share), dtype=np.uint8)


def _detail(green: UInt8Array) -> npt.NDArray[np.int16]:
    blurred = cv2.GaussianBlur(green, _KERNEL, _SIGMA)
    return np.asarray(cv2.subtract(green, blurred, dtype=cv2.CV_16S), dtype=np.int16)


def _energies(details: Details) -> Float32Array:
    """Mean squares of source and generated detail, by block of the boundary: float32 [n, 2]."""
    rows, columns = _corners(details.boundary)
    blocks = [_blocks(each, rows, columns, details.boundary.block) for each in (details.source, details.generated)]
    return np.stack([_mean_squares(each) for each in blocks], axis=1)


def _changes(before: Details, after: Details) -> Float32Array:
    """Return what changes of the detail, and the detail, in the blocks of a boundary that both frames have.

    Returns:
        float32 [n, 4], mean squares: change and detail of the source, then of the generated face.
    """
    rows, columns = _corners(after.boundary)
    block = after.boundary.block
    rows_before, columns_before = rows + (after.y - before.y), columns + (after.x - before.x)
    height, width = before.source.shape
    inside = (rows_before >= 0) & (rows_before + block <= height)
    inside &= (columns_before >= 0) & (columns_before + block <= width)
    rows, columns, rows_before, columns_before = (each[inside] for each in (rows, columns, rows_before, columns_before))
    found: list[Float32Array] = []
    for then, now in ((before.source, after.source), (before.generated, after.generated)):
        change = _blocks(now, rows, columns, block) - _blocks(then, rows_before, columns_before, block)
        found.append(_mean_squares(change / _ROOT_2))  # each frame has its own grain
        found.append(_mean_squares(_blocks(now, rows, columns, block)))
    return np.stack(found, axis=1)


def _grain(changes: Float32Array) -> tuple[float, float]:
    """Mean squares of the grain's detail in source and generated face, where the picture is flat.

    Each says where the other one is flat: chosen by its own detail, its blocks would be those whose grain happens to be
    weak.
    """
    if len(changes) < _LEAST_BLOCKS:
        return 0.0, 0.0
    found = []
    for own, other in ((changes[:, :2], changes[:, 3]), (changes[:, 2:], changes[:, 1])):
        change, detail = np.median(own[other <= np.quantile(other, _FLAT)], axis=0).tolist()
        found.append(min(change, detail))  # where a face moves, all of its detail changes
    return found[0], found[1]


def _ratio(source: Float32Array, generated: Float32Array) -> float:
    """Return how many times the generated face's detail the source has, block by block; 1 where that is not sure.

    A mouth that is open in only one of both has more detail there, and must not count: so blocks are chosen by what
    both have, and their middle one is taken.
    """
    both = np.minimum(source, generated)
    rich = both >= max(_FAINT, float(np.median(both)))
    if np.count_nonzero(rich) < _LEAST_BLOCKS:
        return 1.0
    ratios = np.log(source[rich] / generated[rich]) / 2
    middle = float(np.median(ratios))
    spread = SIGMA_BY_MAD * float(np.median(np.abs(ratios - middle)))
    band = _BAND + _UNSURE * spread / float(np.sqrt(len(ratios)))
    more = len(ratios) - _LEAST_BLOCKS
    sure = more / (more + _FEW)
    return float(np.exp(sure * np.sign(middle) * max(0.0, abs(middle) - band)))


def _corners(boundary: Boundary) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns, in pixels of the patch, where the blocks that are looked at begin."""
    step = -(-len(boundary.rows) * boundary.block**2 // _MOST_PIXELS)
    return boundary.rows[::step] * boundary.block, boundary.columns[::step] * boundary.block


def _blocks(
    detail: npt.NDArray[np.int16], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], block: int
) -> Float32Array:
    """Return the pixels of some blocks: float32 [n, block * block]."""
    width = detail.shape[1]
    inside = (np.arange(block)[:, None] * width + np.arange(block)).ravel()
    return np.asarray(detail.ravel()[(rows * width + columns)[:, None] + inside], dtype=np.float32)


def _mean_squares(blocks: Float32Array) -> Float32Array:
    """Mean squares of blocks [n, pixels], or of several one after the other where they are small."""
    count = -(-_TOGETHER // blocks.shape[1])
    whole = len(blocks) // count * count
    return np.asarray(np.square(blocks[:whole]).reshape(-1, count * blocks.shape[1]).mean(axis=1))


@lru_cache(maxsize=1)
def _noise() -> UInt8Array:
    """Grey noise around 128 that continues beyond its edges: uint8 RGB [1024, 1024, 3]."""
    values = np.random.Generator(np.random.Philox(0)).standard_normal((_NOISE_SIDE, _NOISE_SIDE), dtype=np.float32)
    wrapped = np.pad(values, 8, mode="wrap")
    soft = cv2.GaussianBlur(wrapped, (0, 0), _NOISE_SIGMA)[8:-8, 8:-8]
    grey = np.clip(np.rint(128 + soft * (_NOISE_LEVELS / soft.std())), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@lru_cache(maxsize=1)
def _detail_of_noise() -> float:
    """Return how much of the grain's standard deviation is detail."""
    return float(_detail(_noise()[..., 1]).std()) / _NOISE_LEVELS
