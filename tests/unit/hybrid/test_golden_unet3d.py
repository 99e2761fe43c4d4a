"""LatentSync's network against its own results, with filled weights (`tests/golden/fill.py`) for trained ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch

from hybrid.unet3d.config import Motion, UNet3DConfig, config_of
from hybrid.unet3d.unet import UNet3D
from tests.golden.fill import fill_state_dict, shapes_of

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[2] / "golden"
TOLERANCE = 1e-4
KEYS = json.loads((GOLDEN / "latentsync_unet3d_keys.json").read_text())
STAGES = ("stage1", "stage1_512", "stage2", "stage2_512", "stage2_efficient")


def config_from(model: dict[str, Any]) -> UNet3DConfig:
    """LatentSync's own configuration in our words."""
    motion: Motion = (
        "none" if not model["use_motion_module"] else "decoder" if model["motion_module_decoder_only"] else "all"
    )
    return UNet3DConfig(
        tuple(model["block_out_channels"]),
        model["layers_per_block"],
        model["attention_head_dim"],
        model["norm_num_groups"],
        motion,
        model["motion_module_kwargs"]["temporal_position_encoding_max_len"],
    )


class Golden:
    """What upstream computed, and our network with the same weights."""

    def __init__(self, name: str) -> None:
        with safetensors.safe_open(GOLDEN / name, "pt") as file:
            self.meta = json.loads(file.metadata()["json"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
        self.tensors: dict[str, torch.Tensor] = tensors
        self.unet = UNet3D(config_from(self.meta["config"])).eval().requires_grad_(False)
        state = fill_state_dict(shapes_of(self.unet.state_dict()), self.meta["fill_seed"])
        left = self.unet.load_state_dict(state, strict=False)
        assert not left.unexpected_keys
        assert all(name.endswith("pos_encoder.pe") for name in left.missing_keys)
        self.tables = len(left.missing_keys)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    def run(self, sample: torch.Tensor, timestep: int, audio: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            noise: torch.Tensor = self.unet(sample, torch.tensor(timestep), audio)
        return noise


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on many threads, the more so beside other tests."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["plain", "motion"])
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(f"latentsync_unet3d_{request.param}.safetensors")


def furthest(ours: torch.Tensor, golden: torch.Tensor) -> float:
    assert ours.shape == golden.shape
    return float((ours - golden).abs().max())


def long_audio(golden: Golden) -> torch.Tensor:
    case = golden.meta["cases"]["a"]
    audio = fill_state_dict({"audio": tuple(case["audio_shape"])}, case["audio_seed"])["audio"]
    assert hashlib.sha256(audio.numpy().tobytes()).hexdigest() == case["audio_sha256_f32le"]
    return audio


def test_it_has_upstreams_tensors(golden: Golden) -> None:
    assert len(golden.unet.state_dict()) == golden.meta["state_dict_keys"]
    assert len(golden.unet.state_dict()) - golden.tables == golden.meta["keys_filled"]


def test_two_clips_of_sixteen_frames(golden: Golden) -> None:
    assert furthest(golden.run(golden["a.sample"], 601, long_audio(golden)), golden["a.output"]) <= TOLERANCE


def test_one_clip_of_five_frames(golden: Golden) -> None:
    assert furthest(golden.run(golden["b.sample"], 1, golden["b.audio"]), golden["b.output"]) <= TOLERANCE


def test_without_a_voice(golden: Golden) -> None:
    silent = golden.run(golden["b.sample"], 1, torch.zeros_like(golden["b.audio"]))
    assert furthest(silent, golden["b.output_zero_audio"]) <= TOLERANCE
    assert furthest(silent, golden["b.output"]) > 0.01


def test_silence_and_a_voice_over_the_same_frames_in_one_call(golden: Golden) -> None:
    """Both come out as upstream has each by itself; the frames go through the network's beginning once."""
    entered: list[int] = []
    first = golden.unet.down_blocks[0].resnets[0].conv2  # type: ignore[union-attr, index]
    handle = first.register_forward_pre_hook(lambda _, given: entered.append(len(given[0])))
    silence = torch.zeros_like(golden["b.audio"])
    with torch.inference_mode():
        both = golden.unet(golden["b.sample"], torch.tensor(1), torch.cat([silence, golden["b.audio"]]), silent=1)
    handle.remove()
    assert entered == [5]
    assert furthest(both, torch.cat([golden["b.output_zero_audio"], golden["b.output"]])) <= TOLERANCE


def test_a_frame_alone_is_another_than_in_its_clip(golden: Golden) -> None:
    alone = golden.run(golden["b.sample"][:, :, :1], 1, golden["b.audio"][:1])
    assert furthest(alone, golden["b.output_first_frame"]) <= TOLERANCE
    assert furthest(alone, golden["b.output"][:, :, :1]) > 0.01


def test_in_the_layout_of_tensor_cores(golden: Golden) -> None:
    golden.unet.to(memory_format=torch.channels_last)
    ours = golden.run(golden["b.sample"], 1, golden["b.audio"])
    golden.unet.to(memory_format=torch.contiguous_format)
    assert furthest(ours, golden["b.output"]) <= TOLERANCE


@pytest.mark.parametrize("stage", STAGES)
def test_published_checkpoints_have_exactly_the_tensors_of_ours(stage: str) -> None:
    facts = KEYS["configs"][stage]
    published = KEYS["state_dicts"][facts["state_dict"]]
    config = config_of({name: tuple(shape) for name, shape in published.items()})
    assert config == config_from(facts["model"])
    with torch.device("meta"):
        network = UNet3D(config)
        state = {name: torch.empty(shape) for name, shape in published.items()}
    network.load_state_dict(state, strict=True, assign=True)
    assert sum(parameter.numel() for parameter in network.parameters()) == facts["parameters"]


def test_musetalks_eight_channels_are_refused_by_name(golden: Golden) -> None:
    with pytest.raises(ValueError, match=r"takes 13 channels .* not 8"):
        golden.run(golden["b.sample"][:, :8], 1, golden["b.audio"])
