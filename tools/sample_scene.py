"""Draws the cutaway: stars, and the edge of a planet at dawn. Made of numbers only; nobody's picture.

Everything is drawn at twice the size of the frames, float32 RGB in linear light, and averaged down.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]

SEED = 34
SUPERSAMPLING = 2
MARGIN = 80  # pixels drawn around what the camera sees, room for the pan
STAR_PAN, PLANET_PAN = (9.0, 3.0), (34.0, 8.0)  # pixels over the whole cutaway: what is near moves more
STARS = 1700
SEA, LAND, CLOUD = (0.006, 0.040, 0.130), (0.120, 0.085, 0.030), (0.95, 0.93, 0.92)
AIR, SUN = (0.16, 0.42, 1.0), (1.0, 0.86, 0.66)


def _noise(rng: np.random.Generator, height: int, width: int, cells: int, octaves: int) -> Float32Array:
    """Return fractal noise [height, width], mean 0, deviation 1; its largest shapes are width / cells wide."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        columns = cells * 2**octave
        grid = rng.standard_normal((max(2, columns * height // width), columns)).astype(np.float32)
        total += 0.55**octave * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def _ramp(values: NDArray[np.floating], low: float, high: float) -> Float32Array:
    """Smooth step from 0 at `low` to 1 at `high`."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


class SpaceScene:
    """A slow pan over a night sky with a planet's horizon.

    Args:
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        rng = np.random.default_rng(SEED)
        self._size = (width, height)
        rows, columns = (SUPERSAMPLING * (side + 2 * MARGIN) for side in (height, width))
        self._sky = _sky(rng, rows, columns)
        self._planet, self._cover = _planet(rng, rows, columns)
        self._grain = rng.standard_normal((height, width, 1)).astype(np.float32)

    def frame(self, progress: float) -> UInt8Array:
        """Draw one frame, `progress` (0 to 1) through the pan: uint8 RGB [height, width, 3]."""
        sky = self._pan(self._sky, STAR_PAN, progress)
        planet, cover = (self._pan(layer, PLANET_PAN, progress) for layer in (self._planet, self._cover))
        light = sky * (1 - cover[..., None]) + planet
        # Filmic shoulder, display gamma, and grain that keeps the encoder from drawing bands into the glow.
        shown = 255 * (1 - np.exp(-1.6 * light)) ** (1 / 2.2)
        grain = np.roll(self._grain, int(progress * 9973), axis=1)
        return np.asarray(np.clip(shown + 1.1 * grain + 0.5, 0, 255), np.uint8)

    def _pan(self, layer: Float32Array, pan: tuple[float, float], progress: float) -> Float32Array:
        """Cut the frame out of a layer, moved by part of its pan, averaged down to the frame's size."""
        width, height = self._size
        offset = [SUPERSAMPLING * (MARGIN + (progress - 0.5) * way) for way in pan]
        matrix = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
        large = (SUPERSAMPLING * width, SUPERSAMPLING * height)
        moved = cv2.warpAffine(layer, matrix, large, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return np.asarray(cv2.resize(moved, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _sky(rng: np.random.Generator, rows: int, columns: int) -> Float32Array:
    """Return stars of many sizes and tints over a faint band of dust, [rows, columns, 3]."""
    points = np.zeros((rows, columns, 3), np.float32)
    ys, xs = rng.integers(0, rows, STARS), rng.integers(0, columns, STARS)
    brightness = np.minimum(0.12 * rng.pareto(1.4, STARS) + 0.06, 3.0)
    warmth = rng.uniform(-1, 1, STARS)[:, None] * np.array([0.3, 0.0, -0.3])
    points[ys, xs] = brightness[:, None] * (1 + warmth)
    stars = 9.0 * cv2.GaussianBlur(points, (0, 0), 0.95) + 2.0 * cv2.GaussianBlur(points, (0, 0), 3.0)
    y, x = np.mgrid[:rows, :columns].astype(np.float32) / columns
    band = np.exp(-(((y - 0.42 + 0.5 * (x - 0.2)) / 0.11) ** 2))
    dust = band * np.exp(0.7 * _noise(rng, rows, columns, 6, 6))
    return np.asarray(stars + 0.0020 * dust[..., None] * np.array([0.85, 0.8, 1.0], np.float32), np.float32)


def _planet(rng: np.random.Generator, rows: int, columns: int) -> tuple[Float32Array, Float32Array]:
    """Return the planet's and its air's light [rows, columns, 3], and what they hide of the sky [rows, columns]."""
    radius, center_x, center_y = 1.05 * columns, 0.42 * columns, 0.60 * rows + 1.05 * columns
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    dx, dy = (x - center_x) / radius, (y - center_y) / radius
    distance = np.hypot(dx, dy)
    depth = np.sqrt(np.clip(1 - distance**2, 1e-4, 1))  # of the surface towards us
    height = (distance - 1) * radius / columns  # over the horizon, in widths of the picture
    day = _ramp(0.9 * dx - 0.35 * dy - 0.25 * depth, -0.25, 0.75)
    edge = _ramp(-height, -0.0006, 0.0006)
    ground = _ground(rng, np.arctan2(dx, depth), np.arcsin(np.clip(-dy, -1, 1)))
    haze = np.exp(np.minimum(height, 0) / 0.030)
    glow = np.exp(-np.maximum(height, 0) / 0.011) + 0.25 * np.exp(-np.maximum(height, 0) / 0.045)
    air = np.array(AIR, np.float32) * (glow * haze * (0.03 + day))[..., None]
    lit = ground * ((0.02 + 1.5 * day) * edge * (1 - 0.7 * haze))[..., None]
    return np.asarray(lit + 0.9 * air + _sunrise(height, x / columns), np.float32), edge


def _ground(rng: np.random.Generator, longitude: Float32Array, latitude: Float32Array) -> Float32Array:
    """Return the color of sea, land and cloud at each point of the globe (radians), [rows, columns, 3]."""
    size = 2048
    land, cloud = _noise(rng, size, size, 7, 7), _noise(rng, size, size, 16, 7)
    u = ((longitude + 1.6) / 3.2 * (size - 1)).astype(np.float32)
    v = (latitude / 1.6 * (size - 1)).astype(np.float32)
    shore = _ramp(np.asarray(cv2.remap(land, u, v, cv2.INTER_LINEAR)), 0.35, 0.6)[..., None]
    cover = _ramp(np.asarray(cv2.remap(cloud, u, v, cv2.INTER_LINEAR)), 0.2, 2.2)[..., None]
    surface = np.array(SEA) * (1 - shore) + np.array(LAND) * shore
    return np.asarray(surface * (1 - cover) + np.array(CLOUD) * cover, np.float32)


def _sunrise(height: Float32Array, x: Float32Array) -> Float32Array:
    """Return the glare of a sun that stands just behind the horizon, [rows, columns, 3]."""
    along = x - 0.74
    away = np.hypot(along, height - 0.002)
    core = 6.0 * np.exp(-((away / 0.010) ** 2)) + 0.55 * np.exp(-away / 0.030) + 0.018 * np.exp(-away / 0.14)
    rim = 0.9 * np.exp(-np.abs(along) / 0.10) * np.exp(-np.abs(height) / 0.0035)
    return np.asarray((core + rim)[..., None] * np.array(SUN, np.float32), np.float32)
