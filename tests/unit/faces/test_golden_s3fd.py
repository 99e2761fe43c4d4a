"""The S3FD detector against upstream's results, with filled weights (`tests/golden/fill.py`) for trained ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from musetalk.errors import CheckpointError
from musetalk.faces.detection.s3fd import MAX_SIDE, S3FDDetector, load_s3fd, prepared
from musetalk.faces.detection.s3fd_boxes import decode_boxes, find_boxes
from musetalk.faces.detection.s3fd_network import S3FD, Heads
from musetalk.faces.detection.s3fd_preprocess import Letterbox
from musetalk.utils.arrays import UInt8Array
from musetalk.weights import catalog
from musetalk.weights.export import export
from tests.golden.read import Golden, read_golden
from tests.helpers.errors import raises_kind
from tests.helpers.filled import golden_state, halved, holding, shapes_by_name

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
STRIDES = (4, 8, 16, 32, 64, 128)
MEAN = (104.0, 117.0, 123.0)
CPU = torch.device("cpu")
CASES = ["single", "batch", "batch_below", "batch_same_place"]


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read_golden("s3fd.npz")


@pytest.fixture(scope="module")
def weights(golden: Golden) -> dict[str, Tensor]:
    return golden_state(golden)


@pytest.fixture(scope="module")
def network(weights: dict[str, Tensor]) -> S3FD:
    return holding(S3FD, weights)


def heads_of(golden: Golden, case: str) -> Heads:
    names = ((f"det.{case}.cls{level}", f"det.{case}.reg{level}") for level in range(1, 7))
    return [(torch.from_numpy(golden[cls]), torch.from_numpy(golden[reg])) for cls, reg in names]


def noise(width: int, height: int, seed: int = 0) -> UInt8Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_names_and_shapes_are_the_checkpoints(golden: Golden) -> None:
    assert shapes_by_name(S3FD) == golden["meta"]["state_dict"]


@pytest.mark.parametrize("tag", ["in128x128", "in240x320"])
def test_the_network_gives_upstreams_heads(golden: Golden, network: S3FD, tag: str) -> None:
    pixels = torch.from_numpy(golden[f"{tag}.image"]).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        heads = network(pixels - torch.tensor(MEAN)[:, None, None])
    for level, pair in enumerate(heads, start=1):
        for kind, ours in zip(("cls", "reg"), pair, strict=True):
            facts = golden["meta"]["network"]["info"][tag][f"{kind}{level}"]
            assert list(ours.shape) == facts["shape"]
            assert float(ours.double().sum()) == pytest.approx(facts["sum"], abs=1e-2)
            step = facts["subsample_step"]
            difference = (ours[..., ::step, ::step] - torch.from_numpy(golden[f"{tag}.{kind}{level}"])).abs()
            assert float(difference.max()) <= 1e-4


def test_offsets_are_applied_as_upstream_does(golden: Golden) -> None:
    boxes = decode_boxes(torch.from_numpy(golden["decode.loc"]), torch.from_numpy(golden["decode.priors"]))
    np.testing.assert_allclose(boxes.numpy(), golden["decode.boxes"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_the_boxes_kept_are_upstreams(golden: Golden, case: str) -> None:
    kept = golden["meta"]["detections"][case]["kept_above_half"]
    found = find_boxes(heads_of(golden, case))
    assert len(found) == len(kept)
    for ours, theirs in zip(found, kept, strict=True):
        expected = np.reshape(np.array(theirs, np.float32), (-1, 5))
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_pictures_of_a_batch_do_not_touch_each_other(golden: Golden, case: str) -> None:
    heads = heads_of(golden, case)
    together = find_boxes(heads)
    for index, boxes in enumerate(together):
        (alone,) = find_boxes([(cls[index : index + 1], reg[index : index + 1]) for cls, reg in heads])
        assert torch.equal(alone, boxes)


def test_a_batch_gives_what_its_pictures_give_alone(network: S3FD) -> None:
    pictures = torch.from_numpy(np.stack([noise(96, 64, seed) for seed in range(3)])).permute(0, 3, 1, 2).float() - 110
    with torch.inference_mode():
        together = network(pictures)
        for index in range(3):
            for whole, alone in zip(together, network(pictures[index : index + 1]), strict=True):
                for ours, theirs in zip(whole, alone, strict=True):
                    assert float((ours[index] - theirs[0]).abs().max()) <= 1e-4


def test_a_checkpoint_is_loaded_and_run(
    golden: Golden, weights: dict[str, Tensor], network: S3FD, tmp_path: Path
) -> None:
    path = tmp_path / "s3fd.pth"
    torch.save(weights, path, _use_new_zipfile_serialization=False)  # the published file is as old as that
    frame = golden["in240x320.image"]
    with torch.inference_mode():
        heads = network(torch.from_numpy(frame[None]).permute(0, 3, 1, 2).float() - torch.tensor(MEAN)[:, None, None])
    (expected,) = find_boxes(heads)
    detector = load_s3fd(path, "cpu")
    (found,) = detector.tight_boxes(
        [frame[..., ::-1]]
    )  # the network was shown the golden picture's channels as they are
    assert len(found) > 0
    rows = [(box.x0, box.y0, box.x1, box.y1, box.score) for box in found]
    np.testing.assert_allclose(rows, expected.numpy(), atol=1e-2, rtol=0)
    assert detector.fingerprint == load_s3fd(path, "cpu").fingerprint
    assert detector.fingerprint != load_s3fd(path, "cpu", longest=480).fingerprint


def test_lean_copies_are_read_in_place_of_their_originals(
    golden: Golden, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / catalog.S3FD.path
    path.parent.mkdir()
    torch.save(weights, path)
    whole = load_s3fd(path, "cpu").fingerprint
    export([catalog.S3FD], tmp_path, "fp16")
    beside = load_s3fd(path, "cpu").fingerprint
    path.unlink()
    alone = load_s3fd(path, "cpu")
    assert alone.fingerprint == beside != whole
    rounded = S3FDDetector(prepared(holding(S3FD, halved(weights)), CPU), device=CPU)
    frame = golden["in128x128.image"]
    (expected,) = rounded.tight_boxes([frame])
    assert len(expected) > 0
    assert alone.tight_boxes([frame]) == [expected]  # to the last bit: it ran in float32


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s3fd.pth"
    torch.save({"conv1_1.weight": torch.ones(64, 3, 3, 3)}, path)
    with raises_kind(CheckpointError, path=path) as caught:
        load_s3fd(path, "cpu")
    assert "conv1_1.bias" in caught.value.tensors
    assert "conv1_1.weight" not in caught.value.tensors


class MarkerNetwork:
    """Stands in for S3FD: a face wherever the middle of an anchor of stride 16 is white; keeps what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Tensor] = []

    def __call__(self, x: Tensor) -> Heads:
        self.shown.append(x)
        heads = []
        for stride in STRIDES:
            middles = x[:, :1, stride // 2 :: stride, stride // 2 :: stride]
            face = torch.where((middles > 255 - MEAN[0] - 5) & (stride == 16), 5.0, -5.0)
            heads.append((torch.cat([-face, face], dim=1), torch.zeros(len(x), 4, *middles.shape[2:])))
        return heads

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [(x.shape[3], x.shape[2]) for x in self.shown]


def marked(width: int, height: int, *, at: tuple[float, float], side: int) -> UInt8Array:
    """A black frame with a white square."""
    frame = np.zeros((height, width, 3), np.uint8)
    x, y = (round(value - side / 2) for value in at)
    frame[y : y + side, x : x + side] = 255
    return frame


def stand_in(longest: int = 640) -> tuple[S3FDDetector, MarkerNetwork]:
    network = MarkerNetwork()
    return S3FDDetector(network, device=CPU, longest=longest), network


def test_the_network_sees_bgr_less_the_mean() -> None:
    detector, network = stand_in()
    frame = np.full((50, 70, 3), (213, 167, 51), np.uint8)
    detector.detect([frame])
    (x,) = network.shown
    assert x[0, :, 0, 0].tolist() == [51 - 104, 167 - 117, 213 - 123]
    assert x.shape == (1, 3, 64, 80)
    assert not x[:, :, 50:].any()
    assert not x[:, :, :, 70:].any()


@pytest.mark.parametrize("size", [(1280, 720), (1000, 562), (562, 1000), (640, 360), (200, 120)])
def test_boxes_come_back_in_pixels_of_the_frame(size: tuple[int, int]) -> None:
    width, height = size
    kx, ky = width / min(640, round(width * min(1, 640 / max(size)))), max(1.0, max(size) / 640)
    middle = ((16 * 4 + 8) * kx, (16 * 3 + 8) * ky)  # of the fifth anchor in the fourth row
    detector, _ = stand_in()
    (boxes,) = detector.tight_boxes([marked(width, height, at=middle, side=round(12 * ky))])
    (box,) = boxes
    assert box.center == pytest.approx(middle, abs=0.1)
    assert (box.width, box.height) == pytest.approx((64 * kx, 64 * ky), abs=0.2)
    assert box.score == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (641, 33), (640, 640), (20, 9), (1, 1)])
def test_a_letterbox_holds_the_whole_frame(width: int, height: int) -> None:
    letterbox = Letterbox.fit(width, height, 640)
    assert max(letterbox.inner) <= 640
    assert all(inner <= outer for inner, outer in zip(letterbox.inner, letterbox.outer, strict=True))
    assert all(outer % 16 == 0 and outer >= 32 for outer in letterbox.outer)
    box = letterbox.box_in_frame((0.0, 0.0, *map(float, letterbox.inner)), 0.75)
    assert (box.x0, box.y0, box.x1, box.y1, box.score) == pytest.approx((0, 0, width, height, 0.75))


def test_only_frames_that_seem_empty_are_looked_at_again() -> None:
    empty = np.zeros((320, 480, 3), np.uint8)
    large = marked(480, 320, at=(3 * (16 * 4 + 8), 3 * (16 * 3 + 8)), side=30)
    small = marked(480, 320, at=(16 * 10 + 8.5, 16 * 9 + 8.5), side=2)  # vanishes in the small picture
    detector, network = stand_in(longest=160)
    found = detector.tight_boxes([empty, large, small])
    assert [len(boxes) for boxes in found] == [0, 1, 1]
    assert network.sizes == [(160, 112)] * 3 + [(480, 320)] * 2
    assert found[2][0].center == pytest.approx((16 * 10 + 8, 16 * 9 + 8))


def test_the_second_look_is_no_larger_than_the_frames_it_asks_for() -> None:
    detector, network = stand_in()
    assert detector.max_side == MAX_SIDE == 1920
    assert detector.tight_boxes([np.zeros((600, 4000, 3), np.uint8)]) == [[]]
    assert network.sizes == [(640, 96), (1920, 288)]


def test_frames_that_fit_are_looked_at_once() -> None:
    detector, network = stand_in()
    assert detector.detect([np.zeros((360, 640, 3), np.uint8)] * 2) == [[], []]
    assert network.sizes == [(640, 368)] * 2


def test_frames_of_several_sizes_are_refused() -> None:
    detector, _ = stand_in()
    with pytest.raises(ValueError, match="several sizes"):
        detector.detect([np.zeros((40, 40, 3), np.uint8), np.zeros((40, 50, 3), np.uint8)])
    assert detector.detect([]) == []


def test_weights_and_sizes_are_in_the_fingerprint() -> None:
    made = {
        S3FDDetector(MarkerNetwork(), device=CPU, longest=longest, weights=weights).fingerprint
        for longest in (320, 640)
        for weights in ("a", "b")
    }
    assert len(made) == 4
