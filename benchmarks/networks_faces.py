"""What finding, parsing and compositing the face of a 1080p clip costs; run by `networks`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.common import ASSETS, make_clip
from benchmarks.flops import Stopwatch, count_flop
from benchmarks.full_size import random_network
from musetalk.compositing.blending import composite
from musetalk.compositing.parsed_masks import parsed_mask
from musetalk.faces.detection.s3fd import S3FDDetector, prepared
from musetalk.faces.detection.s3fd_network import S3FD, Heads
from musetalk.faces.parsing.face_extent import halved_crop, parsing_view
from musetalk.faces.parsing.labels import LABEL_SIDE, FaceLabel
from musetalk.faces.parsing.parser import load_parser
from musetalk.faces.proportions import assumed_extent
from musetalk.faces.tracking.planner import plan_faces
from musetalk.faces.types import FaceBox
from musetalk.media.frames import Frame
from musetalk.media.probe import probe_source
from musetalk.media.reader import decode
from musetalk.media.writer import trial_encode
from musetalk.settings import EncoderSettings, Limits, TrackerSettings
from musetalk.utils.arrays import UInt8Array

CPU = torch.device("cpu")
WIDTH, HEIGHT, FPS = 1920, 1080, Fraction(25)
FULL = (1088, 1920)  # what a 1080p frame is to the network: a multiple of 16
PLANNED = 101  # frames: four seconds
FACE = FaceBox(800, 300, 1100, 600, 1.0)
_STRIDES = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage's cost for one frame.

    Attributes:
        seconds: That the processor computed.
        flop: Floating point operations of its network; 0: it has none.
    """

    seconds: float
    flop: float = 0.0


class BrightSpot:
    """Stands in for S3FD, whose random weights find no face: a face is the white rectangle.

    Attributes:
        shown: How often a picture of each (height, width) was looked at.
    """

    def __init__(self) -> None:
        self.shown: Counter[tuple[int, int]] = Counter()

    def __call__(self, x: Tensor) -> Heads:
        """Answer as `S3FD.forward` does."""
        height, width = x.shape[2:]
        self.shown[(height, width)] += len(x)
        maps = [(-(-height // stride), -(-width // stride)) for stride in _STRIDES]
        heads = [(torch.zeros(len(x), 2, *size), torch.zeros(len(x), 4, *size)) for size in maps]
        for logits, _ in heads:
            logits[:, 0] = 9.0
        for picture, pixels in enumerate(x):
            _mark(heads, picture, (pixels.sum(dim=0) > 210).nonzero().float())  # halfway from black to white
        return heads


def _mark(heads: Heads, picture: int, places: Tensor) -> None:
    """Let the anchor that fits best report the rectangle that `places` [n, 2], rows and columns, fill."""
    if not len(places):
        return
    (y0, x0), (y1, x1) = places.amin(dim=0).tolist(), (places.amax(dim=0) + 1).tolist()
    level = min(range(6), key=lambda index: abs(4 * _STRIDES[index] - (y1 - y0)))
    (logits, offsets), stride = heads[level], _STRIDES[level]
    row, column = int((y0 + y1) / 2 / stride), int((x0 + x1) / 2 / stride)
    row, column = min(row, logits.shape[2] - 1), min(column, logits.shape[3] - 1)
    side = 4 * stride
    logits[picture, :, row, column] = torch.tensor((0.0, 9.0))
    offsets[picture, :, row, column] = torch.tensor(
        (
            ((x0 + x1) / 2 - (column + 0.5) * stride) / (0.1 * side),
            ((y0 + y1) / 2 - (row + 0.5) * stride) / (0.1 * side),
            float(np.log((x1 - x0) / side)) / 0.2,
            float(np.log((y1 - y0) / side)) / 0.2,
        )
    )


def detection(watch: Stopwatch) -> tuple[Stage, int]:
    """What planning a 1080p clip with one moving face costs per frame, and FLOP of a look at full size.

    The planner decides what the detector looks at; each size is then timed with the real network.
    """
    spot = BrightSpot()
    frames = (_drawn_face(4 * index) for index in range(PLANNED))
    detector = S3FDDetector(spot, device=CPU)
    plan = plan_faces(frames, frame_size=(WIDTH, HEIGHT), fps=FPS, detector=detector, settings=TrackerSettings())
    if plan.frame.tolist() != list(range(PLANNED)):
        raise RuntimeError("the planner lost the drawn face: what it looked at says nothing")
    network = prepared(random_network(S3FD), CPU)
    with torch.inference_mode():
        costs = {size: _look(network, size, watch) for size in spot.shown}
    planned = Stage(
        sum(count * costs[size].seconds for size, count in spot.shown.items()) / PLANNED,
        sum(count * costs[size].flop for size, count in spot.shown.items()) / PLANNED,
    )
    return planned, look_flop(FULL)


def _look(network: torch.nn.Module, size: tuple[int, int], watch: Stopwatch) -> Stage:
    pixels = torch.rand(1, *size, 3).permute(0, 3, 1, 2)  # in memory as the detector hands it on
    network(pixels)
    return Stage(watch.seconds(lambda: network(pixels)), look_flop(size))


def look_flop(size: tuple[int, int]) -> int:
    """FLOP of S3FD on one picture of a (height, width); nothing is computed."""
    with torch.device("meta"):
        network, pixels = S3FD(), torch.empty(1, 3, *size)
    return count_flop(lambda: network(pixels))


def _drawn_face(shift: int) -> UInt8Array:
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[400:720, 300 + shift : 552 + shift] = 255
    return frame


def parsing(models: Path, watch: Stopwatch) -> Stage:
    """Parsing one face."""
    parser = load_parser(models / "face-parse-bisent" / "79999_iter.pth", CPU)
    crops = [np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)]
    flop = count_flop(lambda: parser.labels(crops))
    return Stage(watch.seconds(lambda: parser.labels(crops)), flop)


def composites(watch: Stopwatch) -> Stage:
    """Cutting a crop out of a 1080p frame, its parsed mask, and putting it back."""
    crop, seen = halved_crop(assumed_extent(FACE), size=256, extra_margin=10), parsing_view(FACE)
    labels = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
    cv2.ellipse(labels, (256, 280), (120, 165), 0, 0, 360, int(FaceLabel.SKIN), -1)
    frame = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)

    def several() -> None:
        for _ in range(20):
            composite(frame, crop.crop(frame), crop, parsed_mask(labels, seen, crop))

    return Stage(watch.seconds(several) / 20)


def video(folder: Path) -> tuple[Stage, Stage]:
    """Decoding and encoding a 1080p frame of the shipped sample, each in its ffmpeg."""
    clip = make_clip(folder / "clip.mp4", seconds=4, fps=str(FPS), size=(WIDTH, HEIGHT), picture=ASSETS / "sample.mp4")
    source = probe_source(clip, Limits())
    frames: list[Frame] = []
    decoding = _with_children(lambda: frames.extend(decode(source)))
    encoding = _with_children(lambda: trial_encode(frames, FPS, EncoderSettings()))
    return Stage(decoding / len(frames)), Stage(encoding / len(frames))


def _with_children(work: Callable[[], object]) -> float:
    """Seconds that this process and the children it started and ended computed."""
    before = os.times()
    work()
    return sum(os.times()[:4]) - sum(before[:4])
