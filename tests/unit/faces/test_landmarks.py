"""The Face Alignment Network: its names, its crops, its heat maps, and the way back to the frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from musetalk.errors import CheckpointError
from musetalk.faces.detection.s3fd_boxes import square_box, tight_box
from musetalk.faces.landmarks.fan import LandmarkFinder, LandmarkView, load_landmarks, peaks
from musetalk.faces.landmarks.fan_network import FAN
from musetalk.faces.types import FaceBox
from musetalk.progress import Cancelled, CancelToken
from musetalk.utils.arrays import Float32Array, UInt8Array
from tests.helpers.drawn_landmarks import write_landmarks
from tests.helpers.errors import raises_kind

CPU = torch.device("cpu")


def block(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """A block's convolutions and the widths of its norms, as published."""
    half, quarter = outputs // 2, outputs // 4
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.weight": (half, inputs, 3, 3),
        "conv2.weight": (quarter, half, 3, 3),
        "conv3.weight": (quarter, quarter, 3, 3),
        **norm("bn1", inputs),
        **norm("bn2", half),
        **norm("bn3", quarter),
    }
    if inputs != outputs:
        shapes |= {**norm("downsample.0", inputs), "downsample.2.weight": (outputs, inputs, 1, 1)}
    return {f"{name}.{part}": shape for part, shape in shapes.items()}


def norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}


def conv(name: str, inputs: int, outputs: int, side: int = 1) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs, side, side), f"{name}.bias": (outputs,)}


def published() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in 2DFAN4."""
    shapes = {**conv("conv1", 3, 64, 7), **norm("bn1", 64)}
    for name, inputs, outputs in (("conv2", 64, 128), ("conv3", 128, 128), ("conv4", 128, 256)):
        shapes |= block(name, inputs, outputs)
    for number in range(4):
        inside = [f"{part}_{level}" for part in ("b1", "b2", "b3") for level in (4, 3, 2, 1)]
        for part in (*inside, "b2_plus_1"):
            shapes |= block(f"m{number}.{part}", 256, 256)
        shapes |= block(f"top_m_{number}", 256, 256) | norm(f"bn_end{number}", 256)
        shapes |= conv(f"conv_last{number}", 256, 256) | conv(f"l{number}", 256, 68)
        if number < 3:
            shapes |= conv(f"bl{number}", 256, 256) | conv(f"al{number}", 68, 256)
    return shapes


@pytest.fixture(scope="module")
def meta() -> FAN:
    with torch.device("meta"):
        return FAN().eval()


def test_names_and_shapes_are_the_published_ones(meta: FAN) -> None:
    own = {name: tuple(value.shape) for name, value in meta.state_dict().items()}
    assert {name: shape for name, shape in own.items() if not name.endswith("num_batches_tracked")} == published()
    assert sum(parameter.numel() for parameter in meta.parameters()) == 23_820_176


def test_it_gives_68_maps_of_a_quarter_of_the_crop(meta: FAN) -> None:
    assert meta(torch.empty(2, 3, 256, 256, device="meta")).shape == (2, 68, 64, 64)


def drawn_map(x: float, y: float) -> Float32Array:
    """A bell around a place, in pixels with the first pixel's middle at 0.5: float32 [64, 64]."""
    rows, columns = np.mgrid[:64, :64] + 0.5
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        (20.5, 30.5, (20.5, 30.5)),  # in the middle of a pixel: both neighbours are as high
        (20.7, 30.5, (20.75, 30.5)),
        (20.3, 30.9, (20.25, 30.75)),
        (41.9, 7.1, (41.75, 7.25)),
        (0.4, 30.7, (0.5, 30.5)),  # at the edge upstream moves nothing
        (30.7, 63.8, (30.5, 63.5)),
    ],
)
def test_peaks_move_by_a_quarter_towards_the_higher_neighbour(x: float, y: float, found: tuple[float, float]) -> None:
    maps = np.stack([drawn_map(x, y), drawn_map(33.5, 12.5)])[None]
    np.testing.assert_allclose(peaks(maps), [[found, (33.5, 12.5)]])


def test_a_square_and_its_tight_box_are_each_others() -> None:
    square = FaceBox(100, 60, 300, 260, 0.9)
    tight = tight_box(square)
    back = square_box(tight)
    assert (back.x0, back.y0, back.x1, back.y1) == pytest.approx((100, 60, 300, 260))


def test_the_crop_is_upstreams() -> None:
    tight = FaceBox(100, 80, 260, 290, 0.9)  # as S3FD draws it
    view, span = LandmarkView.around(square_box(tight)), 200 * (160 + 210) / 195
    assert view.x == pytest.approx(180)
    assert view.y == pytest.approx(185 - 0.12 * 210, abs=0.03 * span)  # proportions of tall boxes vary
    assert view.span == pytest.approx(span, rel=0.04)


class Brightest:
    """Stands in for the network: every map is the crop's red, so that its peak is where the crop is brightest."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        assert float(x.max()) <= 1
        return functional.avg_pool2d(x[:, :1], 4).expand(-1, 68, -1, -1)


def spotted(x: float, y: float, spread: float, size: tuple[int, int] = (400, 300)) -> UInt8Array:
    rows, columns = np.mgrid[: size[1], : size[0]] + 0.5
    bell = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2))
    return np.repeat(np.rint(255 * bell)[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("side", [24, 90, 200, 700])
@pytest.mark.parametrize(("u", "v"), [(0.5, 0.5), (0.3, 0.39), (0.66, 0.775)])
def test_places_come_back_to_the_frame(side: float, u: float, v: float) -> None:
    box = FaceBox(160 - side / 2, 140 - side / 2, 160 + side / 2, 140 + side / 2, 1)  # large ones leave the frame
    x, y = (box.x0 + u * side, box.y0 + v * side) if side < 300 else (160.0, 150.0)
    finder, frame = LandmarkFinder(Brightest(), device=CPU), spotted(x, y, max(1.5, side / 30))
    [found] = finder.landmarks([finder.crop(frame, box)], [box])
    assert found.shape == (68, 2)
    np.testing.assert_allclose(found, np.tile([x, y], (68, 1)), atol=0.35 * LandmarkView.around(box).span / 64 + 0.3)


def test_black_lies_beyond_the_frame() -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    crop = LandmarkFinder(Brightest(), device=CPU).crop(white, FaceBox(60, 30, 120, 90, 1))
    assert crop.shape == (256, 256, 3)
    assert crop[128, 40].min() == 255
    assert crop[128, 250].max() == 0


def test_a_cpu_looks_at_one_face_after_the_other_and_can_be_stopped() -> None:
    network, boxes = Brightest(), [FaceBox(10, 10, 90, 90, 1)] * 3
    finder = LandmarkFinder(network, device=CPU)
    crops = [finder.crop(spotted(40, 50, 3), boxes[0])] * 3
    assert finder.landmarks(crops, boxes).shape == (3, 68, 2)
    assert network.seen == [(1, 3, 256, 256)] * 3
    assert finder.landmarks([], []).shape == (0, 68, 2)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        finder.landmarks(crops, boxes, token.check)
    assert len(network.seen) == 3


def test_a_published_file_is_loaded_as_data(tmp_path: Path) -> None:
    finder = load_landmarks(write_landmarks(tmp_path), "cpu")
    assert finder.at_once == 1


@pytest.mark.parametrize("changed", [{"l3__bias": None}, {"l3__bias": torch.zeros(98)}], ids=["missing", "misshapen"])
def test_another_networks_file_is_refused(tmp_path: Path, changed: dict[str, Tensor | None]) -> None:
    with raises_kind(CheckpointError, tensors=("l3.bias",)):
        load_landmarks(write_landmarks(tmp_path, **changed), "cpu")
