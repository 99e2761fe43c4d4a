"""Face parsing against upstream's results, with filled weights (`tests/golden/fill.py`) for trained ones."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from musetalk.errors import CheckpointError
from musetalk.faces.parsing.bisenet import FIRST, BiSeNet, fold_norms
from musetalk.faces.parsing.labels import FaceLabel, jaw_mask, neck_mask, raw_mask
from musetalk.faces.parsing.parser import BiSeNetParser, load_parser
from musetalk.utils.arrays import UInt8Array
from musetalk.weights.catalog import FACE_PARSING
from musetalk.weights.export import export
from tests.golden.read import Golden, read_golden
from tests.helpers.errors import raises_kind
from tests.helpers.filled import golden_state, halved, holding, shapes_by_name

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
CPU = torch.device("cpu")
MAPS = ["frontal", "open_wide", "shifted_tilted", "small", "cut_bottom", "patchwork", "specks", "empty"]
CHEEKS = [(90, 90), (80, 80), (120, 60)]


@pytest.fixture(scope="module")
def golden() -> Golden:
    return read_golden("face_parsing.npz")


@pytest.fixture(scope="module")
def weights(golden: Golden) -> dict[str, Tensor]:
    return golden_state(golden)


@pytest.fixture(scope="module")
def network(weights: dict[str, Tensor]) -> BiSeNet:
    return holding(BiSeNet, weights)


@pytest.fixture(scope="module")
def parser(weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> BiSeNetParser:
    path = tmp_path_factory.mktemp("weights") / "79999_iter.pth"
    torch.save(weights, path)
    return load_parser(path, "cpu")


def mask_of(golden: Golden, name: str) -> UInt8Array:
    return np.unpackbits(golden[name])[: 512 * 512].reshape(512, 512) * np.uint8(255)


def close(ours: Tensor, golden: np.ndarray) -> bool:
    return ours.shape == golden.shape and float((ours - torch.from_numpy(golden)).abs().max()) <= 1e-4


def test_names_and_shapes_are_the_checkpoints(golden: Golden) -> None:
    assert shapes_by_name(BiSeNet) == golden["meta"]["state_dict"]


@pytest.mark.parametrize("folded", [False, True])
def test_the_network_gives_upstreams_logits(golden: Golden, network: BiSeNet, folded: bool) -> None:
    module = deepcopy(network)
    if folded:
        fold_norms(module)
        assert not any("running_mean" in name for name in module.state_dict())
    pixels = BiSeNetParser(module, device=CPU).network_input(golden["net.image_rgb"][None])
    assert close(pixels[0, :, ::8, ::8], golden["net.input_sub8"])
    with torch.inference_mode():
        logits, (logits16, logits32) = module(pixels), module.auxiliary(pixels)
        small = module(torch.from_numpy(golden["net.small_input"]))
    assert close(logits[..., ::16, ::16], golden["net.logits_sub16"])
    assert close(logits16[..., ::32, ::32], golden["net.logits16_sub32"])
    assert close(logits32[..., ::32, ::32], golden["net.logits32_sub32"])
    assert close(small[..., ::4, ::4], golden["net.small_logits_sub4"])


def test_labels_are_upstreams_where_they_are_not_on_the_edge(golden: Golden, parser: BiSeNetParser) -> None:
    labels = parser.labels(golden["net.image_rgb"][None])
    sure = mask_of(golden, "net.margin_below_1e-3") == 0
    assert labels.dtype == np.uint8
    assert labels.shape == (1, 512, 512)
    assert np.array_equal(labels[0][sure], golden["net.labels"][sure])


def test_other_sizes_are_resized_as_pillow_does(golden: Golden, parser: BiSeNetParser) -> None:
    image = golden["call.image_rgb"]  # 300 x 220, as upstream was given it
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen = parser.network_input(image[None])[0].permute(1, 2, 0) * deviation + mean
    assert np.array_equal((seen[::8, ::8] * 255).round().numpy(), golden["call.resized_sub8"])
    (labels,) = parser.labels(image[None])
    for mode, make in (("raw", raw_mask), ("jaw", jaw_mask), ("neck", neck_mask)):
        assert np.array_equal(make(labels), mask_of(golden, f"call.{mode}"))


def test_a_batch_gives_what_its_crops_give_alone(parser: BiSeNetParser) -> None:
    crops = np.random.default_rng(3).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    together = parser.labels(crops)
    assert len(np.unique(together)) > 1
    for index in range(3):
        assert np.array_equal(together[index : index + 1], parser.labels(crops[index : index + 1]))


def test_no_crops_give_no_labels(parser: BiSeNetParser) -> None:
    assert parser.labels(np.zeros((0, 64, 64, 3), np.uint8)).shape == (0, 512, 512)


def test_checkpoints_without_counters_are_loaded(
    weights: dict[str, Tensor], parser: BiSeNetParser, tmp_path: Path
) -> None:
    path = tmp_path / "old.pth"
    torch.save({name: value for name, value in weights.items() if "num_batches" not in name}, path)
    crops = np.random.default_rng(4).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    assert np.array_equal(load_parser(path, "cpu").labels(crops), parser.labels(crops))


def test_lean_copies_are_read_in_place_of_their_originals(weights: dict[str, Tensor], tmp_path: Path) -> None:
    crops = np.random.default_rng(5).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8)
    torch.save(halved(weights), tmp_path / "rounded.pth")
    expected = load_parser(tmp_path / "rounded.pth", "cpu").labels(crops)  # to the last bit: float32 arithmetic
    path = tmp_path / FACE_PARSING.path
    path.parent.mkdir()
    torch.save(weights, path)
    assert not np.array_equal(load_parser(path, "cpu").labels(crops), expected)
    export([FACE_PARSING], tmp_path, "fp16")
    assert np.array_equal(load_parser(path, "cpu").labels(crops), expected)
    path.unlink()
    assert np.array_equal(load_parser(path, "cpu").labels(crops), expected)


def test_checkpoints_without_statistics_are_refused(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "part.pth"
    torch.save({name: value for name, value in weights.items() if name != "cp.resnet.bn1.running_var"}, path)
    with raises_kind(CheckpointError, path=path, tensors=("cp.resnet.bn1.running_var",)):
        load_parser(path, "cpu")


@pytest.mark.parametrize("width", [8, 63])
def test_narrower_networks_are_loaded_as_wide_as_their_files(width: int, tmp_path: Path) -> None:
    torch.manual_seed(width)
    network = BiSeNet(width).eval()
    torch.save(network.state_dict(), tmp_path / "narrow.pth")
    crops = np.random.default_rng(6).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    labels = load_parser(tmp_path / "narrow.pth", "cpu").labels(list(crops))
    expected = BiSeNetParser(network, device=CPU).labels(list(crops))
    assert np.mean(labels == expected) > 0.999  # norms are folded: rounding


@pytest.mark.parametrize("shape", [(0, 3, 7, 7), (65, 3, 7, 7), (10**6, 1), ()])
def test_what_is_no_narrower_network_is_refused(
    weights: dict[str, Tensor], shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / "other.pth"
    torch.save({**weights, FIRST: torch.zeros(shape)}, path)
    with raises_kind(CheckpointError, path=path, tensors=(FIRST,)):
        load_parser(path, "cpu")


@pytest.mark.parametrize("name", MAPS)
def test_masks_are_upstreams(golden: Golden, name: str) -> None:
    labels = golden[f"labels.{name}"]
    before = labels.copy()
    assert np.array_equal(raw_mask(labels), mask_of(golden, f"mask.{name}.raw"))
    assert np.array_equal(neck_mask(labels), mask_of(golden, f"mask.{name}.neck"))
    for left, right in CHEEKS:
        mask = jaw_mask(labels, left_cheek=left, right_cheek=right)
        assert np.array_equal(mask, mask_of(golden, f"mask.{name}.jaw.{left}_{right}"))
    assert np.array_equal(labels, before)


def test_the_jaw_grows_down_and_never_onto_the_nose() -> None:
    labels = np.full((512, 512), FaceLabel.BACKGROUND, np.uint8)
    labels[100:300, 200:312] = FaceLabel.SKIN
    labels[200:220, 246:266] = FaceLabel.NOSE
    labels[250:260, 240:272] = FaceLabel.LOWER_LIP
    mask = jaw_mask(labels)
    assert mask[:300].any(axis=1).argmax() >= 84  # at most half the structuring element above the skin
    assert not mask[200:220, 246:266].any()
    assert mask[250:260, 240:272].all()
    assert np.array_equal(np.unique(mask), [0, 255])
    assert mask.sum() > raw_mask(labels).sum()
