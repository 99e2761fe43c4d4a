"""Colors that a picture describes by numbers (ITU-T H.273) where others carry a profile: wide ones, and HDR."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from musetalk.media.containers.boxes import boxes, png_chunk
from musetalk.utils.arrays import Float32Array, UInt8Array

# Chromaticities of red, green and blue, all with the white D65.
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),  # BT.709, sRGB
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
_D65 = (0.3127, 0.3290)
_PQ, _HLG = 16, 18
_WHITE = 203.0  # cd/m2 of white in a picture that is HDR (BT.2408)
_HLG_PEAK = 1000.0  # cd/m2 of the display that HLG is made for
_KNEE = 0.75  # brighter than that, of white, is compressed
_ROWS = 256  # worked on at a time
_SRGB_GAMMA, _SAME_GAMMA, _SAME_POINT = 1 / 2.2, 0.005, 0.001  # how PNG states sRGB, and what counts as that
_GAMMAS = (0.1, 2.0)  # of PNGs that can be meant
_LEAST_AREA = 0.02  # of the triangle of three primaries; sRGB's is 0.22


@dataclass(frozen=True, slots=True)
class CodePoints:
    """How a picture's numbers mean colors.

    Attributes:
        primaries: 1 BT.709, 9 BT.2020, 12 Display P3.
        transfer: 13 sRGB (and what is near it), 16 PQ, 18 HLG.
        gamma: Numbers are light to this power, where they are not as `transfer` says.
        chromaticities: x and y of white, red, green and blue, where they are not as `primaries` says.
    """

    primaries: int
    transfer: int
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None

    @property
    def hdr(self) -> bool:
        """Whether it shows more than white."""
        return self.transfer in (_PQ, _HLG)

    @property
    def is_srgb(self) -> bool:
        """Whether its numbers are sRGB's, or mean what is not known here."""
        numbered = not self.hdr and self.primaries not in (9, 12)
        return numbered and self.gamma is None and self.chromaticities is None


def code_points(path: Path, image: Image.Image) -> CodePoints | None:
    """Return what a picture says of its colors by numbers; None: nothing.

    Args:
        path: The file.
        image: It, opened.
    """
    if image.format == "HEIF":
        known = image.info.get("nclx_profile")
        return CodePoints(int(known["color_primaries"]), int(known["transfer_characteristics"])) if known else None
    if image.format == "PNG":
        chunk = png_chunk(path, b"cICP")
        return CodePoints(chunk[0], chunk[1]) if len(chunk) == 4 else _png_colors(image)
    return _avif_colors(path) if image.format == "AVIF" else None


def _png_colors(image: Image.Image) -> CodePoints | None:
    """Return what a PNG says by gAMA and cHRM, as far as that is not sRGB; None: nothing, or nothing that can be."""
    gamma, chromaticities = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or gamma is None or not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
        return None
    other_curve = abs(gamma - _SRGB_GAMMA) > _SAME_GAMMA
    srgb = (*_D65, *(number for point in _PRIMARIES[1] for number in point))
    if chromaticities is not None and np.allclose(chromaticities, srgb, atol=_SAME_POINT):
        chromaticities = None
    if chromaticities is not None:
        points = np.array(chromaticities).reshape(4, 2)
        (red, green, blue), outside = points[1:], (points <= 0).any() or (points.sum(axis=1) > 1).any()
        area = (green - red)[0] * (blue - red)[1] - (green - red)[1] * (blue - red)[0]
        if outside or area < _LEAST_AREA:
            return None
    if not other_curve and chromaticities is None:
        return None
    return CodePoints(1, 13, gamma if other_curve else None, chromaticities and tuple(chromaticities))


def _avif_colors(path: Path) -> CodePoints | None:
    with path.open("rb") as file:
        for start, _ in boxes(file, (b"meta", b"iprp", b"ipco", b"colr"), 0, path.stat().st_size):
            file.seek(start)
            if file.read(4) == b"nclx":
                return CodePoints(*struct.unpack(">HH", file.read(4)))
    return None


def to_srgb_colors(pixels: UInt8Array, points: CodePoints) -> UInt8Array:
    """Return uint8 RGB [H, W, 3] that mean in sRGB what `pixels` mean by their code points; HDR becomes SDR."""
    matrix = (np.linalg.inv(_to_xyz(1)) @ _to_xyz(points.primaries)).astype(np.float32).T
    if points.chromaticities is not None:
        matrix = _from_chromaticities(points.chromaticities).T
    light = _light(points.transfer)
    if points.gamma is not None:
        light = ((np.arange(256) / 255) ** (1 / points.gamma)).astype(np.float32)
    out = np.empty_like(pixels)
    for row in range(0, len(pixels), _ROWS):
        linear = light[pixels[row : row + _ROWS]]
        if points.transfer == _HLG:  # brightness of the scene to that of the display
            linear *= np.maximum(linear @ _luminance(points.primaries), 1e-6)[..., None] ** 0.2 * (_HLG_PEAK / _WHITE)
        linear = linear @ matrix
        if points.hdr:
            linear = _compressed(linear)
        out[row : row + _ROWS] = _encoded(linear)
    return out


def _to_xyz(primaries: int) -> npt.NDArray[np.float64]:
    x, y = np.array([*_PRIMARIES.get(primaries, _PRIMARIES[1]), _D65]).T
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    return np.asarray(columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3]), np.float64)


def _from_chromaticities(points: tuple[float, ...]) -> Float32Array:
    """Linear light of any primaries to that of sRGB, white staying white."""
    x, y = np.array(points).reshape(4, 2)[[1, 2, 3, 0]].T
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    to_xyz = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
    srgb = _to_xyz(1)
    adapted = (srgb.sum(axis=1) / columns[:, 3])[:, None] * to_xyz
    return np.asarray(np.linalg.inv(srgb) @ adapted, np.float32)


def _luminance(primaries: int) -> Float32Array:
    return np.asarray(_to_xyz(primaries)[1], np.float32)


def _light(transfer: int) -> Float32Array:
    """Linear light of each of 256 numbers; white is 1, for HLG the scene's peak."""
    code = np.arange(256) / 255
    if transfer == _PQ:
        root = code ** (32 / 2523)
        nits = 1e4 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
        return (nits / _WHITE).astype(np.float32)
    if transfer == _HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _compressed(linear: Float32Array) -> Float32Array:
    """Return what is brighter than the knee pressed under white, its hue kept."""
    peak = np.maximum(linear.max(2, keepdims=True), 1e-6)
    room = 1 - _KNEE
    pressed = np.where(peak > _KNEE, 1 - room * np.exp(-np.maximum(peak - _KNEE, 0) / room), peak)
    return np.asarray(linear * (pressed / peak), np.float32)


def _encoded(linear: Float32Array) -> UInt8Array:
    clipped = np.clip(linear, 0, 1)
    curve = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(curve * 255), np.uint8)
