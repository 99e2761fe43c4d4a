"""What it costs to put a generated face of 500 pixels back into a 1080p frame, on one core.

python -m benchmarks.compositing
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np

from benchmarks.common import ASSETS, machine, make_clip, publish, table, verdict
from musetalk.compositing.appearance import apply_correction, interpolate, measure_appearance
from musetalk.compositing.blending import blend, make_patch
from musetalk.compositing.masks import FaceMask, crop_mask, face_mask
from musetalk.compositing.parsed_masks import ParsedMaskOptions, parsed_mask
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.face_extent import halved_crop, parsing_view
from musetalk.faces.parsing.labels import LABEL_SIDE, FaceLabel
from musetalk.faces.proportions import assumed_extent
from musetalk.faces.types import FaceBox
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.settings import BlendSettings, DrawnShape, Limits, MaskSettings, ParsedShape
from musetalk.utils.arrays import UInt8Array

WIDTH, HEIGHT = 1920, 1080
ENLARGED = (2400, 1350)  # the shipped sample, so that its face has the size wanted; a 1080p frame is cut from it
FACE = FaceBox(799, 276, 1301, 778, 1.0)  # as the cascades find it there
CROP_SHARE = 1.5  # the preview's crop, in widths of the face
PIECE = 4  # frames: the preview's, and the shortest there are
ROUNDS = 15
BOUND = 4.0  # milliseconds per frame
_OFF = BlendSettings(color="none", sharpness="none")
_ON, _POISSON = BlendSettings(), BlendSettings(method="poisson")

Backend = Literal["musetalk", "preview"]
Shape = DrawnShape | ParsedShape


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of work: frames as they are decoded, and what a generator made of them."""

    frames: list[UInt8Array]
    generated: list[UInt8Array]
    crop: BoxCropTransform
    mask: FaceMask


def composite_piece(piece: Piece, frames: list[UInt8Array], settings: BlendSettings) -> None:
    """Composite a piece as a render does: frame by frame, passing from the look of the piece before."""
    patches = [
        make_patch(frame, made, piece.crop, piece.mask) for frame, made in zip(frames, piece.generated, strict=True)
    ]
    shown = [patch for patch in patches if patch is not None]
    own = measure_appearance(frames, shown, settings)
    for number, (frame, patch) in enumerate(zip(frames, shown, strict=True)):
        look = interpolate(own, own, (number + 1) / len(frames))
        blend(frame, apply_correction(patch, look, number), settings.method)


def milliseconds(work: Callable[[], object], per: int = 1) -> float:
    """The least time of several rounds, divided by what one of them did."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return 1000 * min(times) / per


def piece_milliseconds(piece: Piece, settings: BlendSettings) -> float:
    """Milliseconds per frame of a piece; what is painted over is put back outside of them."""
    times = []
    for _ in range(ROUNDS):
        frames = [frame.copy() for frame in piece.frames]
        started = time.process_time()
        composite_piece(piece, frames, settings)
        times.append(time.process_time() - started)
    return 1000 * min(times) / len(piece.frames)


def decoded(folder: Path) -> list[UInt8Array]:
    """Frames of the shipped sample, its face 500 px wide, with grain, so that there is some to be matched."""
    clip = make_clip(folder / "clip.mp4", seconds=1, fps="25", size=ENLARGED, picture=ASSETS / "sample.mp4")
    whole = list(read_frames(probe_source(clip, Limits())))[:PIECE]
    frames = [np.ascontiguousarray(frame[:HEIGHT, :WIDTH]) for frame in whole]
    noise = np.random.default_rng(0)
    return [
        np.clip(frame + noise.normal(0, 3, frame.shape[:2])[..., None], 0, 255).astype(np.uint8) for frame in frames
    ]


def repainted(crop: UInt8Array) -> UInt8Array:
    """Stand in for a generator: softer, without grain and with a cast, so that everything is matched."""
    soft = cv2.GaussianBlur(crop, (0, 0), 1.5)
    cast = np.full_like(soft, (8, 0, 3))
    return np.asarray(cv2.subtract(cv2.add(soft, cast), np.full_like(soft, (0, 4, 0))), dtype=np.uint8)


def drawn_labels() -> UInt8Array:
    """Labels of a face as large as `FACE`, in what is parsed of it."""
    seen, labels = parsing_view(FACE), np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
    scale = LABEL_SIDE / seen.width
    cx, unit = (FACE.center[0] - seen.x) * scale, FACE.width * scale

    def ellipse(label: FaceLabel, height: float, rx: float, ry: float) -> None:
        y = (FACE.y0 + height * FACE.height - seen.y) * scale
        cv2.ellipse(labels, (round(cx), round(y)), (round(rx * unit), round(ry * unit)), 0, 0, 360, int(label), -1)

    ellipse(FaceLabel.NECK, 1.2, 0.22, 0.5)
    ellipse(FaceLabel.SKIN, 0.45, 0.4, 0.57)
    ellipse(FaceLabel.NOSE, 0.5, 0.08, 0.14)
    ellipse(FaceLabel.UPPER_LIP, 0.79, 0.17, 0.04)
    ellipse(FaceLabel.LOWER_LIP, 0.82, 0.15, 0.04)
    return labels


def crop_for(backend: Backend) -> BoxCropTransform:
    """Where the generated face lies: from 256 pixels, or in the frame's own."""
    if backend == "musetalk":
        return halved_crop(assumed_extent(FACE), size=256, extra_margin=10)
    side = round(CROP_SHARE * FACE.width)
    (cx, cy) = FACE.center
    return BoxCropTransform(round(cx - side / 2), round(cy - side / 2), side, side)


def make_mask(shape: Shape, backend: Backend, crop: BoxCropTransform, labels: UInt8Array) -> FaceMask:
    """The mask of a shape by its usual settings."""
    if shape != "ellipse" and shape != "box":  # noqa: PLR1714 - narrows the type
        return parsed_mask(labels, parsing_view(FACE), crop, ParsedMaskOptions(shape))
    settings = MaskSettings(shape=shape)
    return crop_mask(crop, settings) if backend == "musetalk" else face_mask(FACE, settings)


def blend_milliseconds(piece: Piece) -> float:
    """What mixing alone takes, where the mask is: OpenCV's own function, which everything is compared with."""
    patch = make_patch(piece.frames[0], piece.generated[0], piece.crop, piece.mask)
    if patch is None:
        raise ValueError("the mask shows nothing of the face")
    under = patch.of(piece.frames[0]).copy()
    return milliseconds(lambda: cv2.blendLinear(patch.face, under, patch.alpha, 1 - patch.alpha))


def measure(shape: Shape, backend: Backend, frames: list[UInt8Array], labels: UInt8Array) -> tuple[list[object], float]:
    """One row of the table, and the milliseconds that are bounded."""
    crop = crop_for(backend)
    mask = make_mask(shape, backend, crop, labels)
    making = milliseconds(lambda: make_mask(shape, backend, crop, labels)) if shape in get_args(ParsedShape) else None
    piece = Piece(frames, [repainted(crop.crop(frame)) for frame in frames], crop, mask)
    blend, plain, both = blend_milliseconds(piece), piece_milliseconds(piece, _OFF), piece_milliseconds(piece, _ON)
    poisson = piece_milliseconds(piece, _POISSON)
    cells = [f"{each:.2f}" for each in (blend, plain, both)]
    size = f"{mask.alpha.shape[1]} x {mask.alpha.shape[0]}"
    kept = verdict(both < BOUND)
    ratios = [f"{each / blend:.1f}" for each in (plain, both)]
    drawn = "-" if making is None else f"{making:.2f}"
    return [shape, backend, size, *cells, *ratios, kept, f"{poisson:.2f}", drawn], both


def main() -> None:
    """Measure every mask and write the table."""
    cv2.setNumThreads(1)
    labels = drawn_labels()
    with tempfile.TemporaryDirectory() as folder:
        frames = decoded(Path(folder))
    backends: tuple[Backend, ...] = ("musetalk", "preview")
    shapes = (*get_args(DrawnShape), *get_args(ParsedShape))
    measured = [measure(shape, backend, frames, labels) for backend in backends for shape in shapes]
    head = ["mask", "crop", "mask's size", "mixing alone", "not matched", "matched", "not matched / mixing"]
    head += ["matched / mixing", f"under {BOUND:.0f} ms", "matched, Poisson", "making the mask"]
    worst = max(both for _, both in measured)
    publish(
        "compositing.md",
        f"# Compositing\n\nMilliseconds per frame for a face of {FACE.width:.0f} px in a 1080p frame, one thread; "
        f"the slowest: {worst:.2f}.\nBest of {ROUNDS} rounds over a piece of {PIECE} frames, in time that the process "
        "computed.\n\n- mixing alone: `cv2.blendLinear` over the mask's rectangle, of faces already at their size.\n"
        "- not matched: scaling the face back, cutting it to the mask, mixing.\n- matched: the same with the piece's "
        "look measured and its colours, sharpness and grain matched. The stand-in for a\n  generator blurs, takes the "
        "grain away and casts, so that all three have something to do. This is what is bounded.\n- Poisson: with "
        "matching; not bounded.\n- making the mask: of a parsed shape, once per source frame, in the stage before; in "
        "no other column.\n- crops: `musetalk` is scaled back from 256 px; `preview` has the frame's own pixels.\n\n"
        f"{machine()}.\n\n{table(head, [row for row, _ in measured])}",
    )


if __name__ == "__main__":
    main()
