"""MuseTalk's networks against its own results, with filled weights (`tests/golden/fill.py`) for trained ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import safetensors
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import save_file

from musetalk.audio.types import MUSETALK_FEATURES, MUSETALK_V1_FEATURES, AudioFeatureSpec
from musetalk.backends.latent.positional_encoding import position_table
from musetalk.backends.latent.vae import VaeDecoder, VaeEncoder, blacken_lower_half, load_vae, to_crops, to_pixels
from musetalk.backends.musetalk.generator import MuseTalkDenoiser, Version, load_musetalk, load_unet, spec_of
from musetalk.backends.types import Clip
from musetalk.errors import BackendError, CheckpointError, DeviceError, WeightsError
from musetalk.settings import V1Speech
from tests.golden.read import GOLDEN, read_golden
from tests.helpers.errors import raises_kind
from tests.helpers.filled import CPU, INT8, needs_int8, state_for

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]
NO_CLIP = Clip(np.zeros((3, 256, 256, 3), np.uint8), np.zeros((3, 50, 384), np.float32), ())
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def close(ours: torch.Tensor, golden: np.ndarray | torch.Tensor, tolerance: float = 1e-4) -> bool:
    """Whether no value is further away."""
    return float((ours - torch.as_tensor(golden)).abs().max()) <= tolerance


def with_old_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As diffusers saved autoencoders when sd-vae-ft-mse was."""
    renamed = {}
    for name, tensor in state.items():
        old = name
        for new, before in OLD_NAMES.items():
            old = old.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")
        renamed[old] = tensor
    return renamed


class Golden:
    """What upstream computed, and the folder of a checkpoint to load."""

    def __init__(self, folder: Path, meta: dict[str, Any], tensors: dict[str, Any]) -> None:
        self.folder, self.meta, self.tensors = folder, meta, tensors

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - tensors of two libraries
        return self.tensors[name]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, laid out as they are downloaded."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def unet(models: Path) -> Golden:
    with safetensors.safe_open(GOLDEN / "musetalk_unet.safetensors", "pt") as file:
        meta = json.loads(file.metadata()["json"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    folder = models / "musetalkV15"
    folder.mkdir()
    (folder / "musetalk.json").write_text(json.dumps(meta["config"]))
    with torch.device("meta"):
        network = UNet2DConditionModel.from_config(meta["config"])
    torch.save(state_for(network, meta["fill_seed"]), folder / "unet.pth")
    return Golden(folder, meta, tensors)


@pytest.fixture(scope="module")
def vae(models: Path) -> Golden:
    tensors = read_golden("musetalk_vae.npz")
    meta = tensors["meta"]
    folder = models / "sd-vae"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(meta["config"]))
    with torch.device("meta"):
        network = AutoencoderKL.from_config(meta["config"])
    torch.save(with_old_names(state_for(network, meta["fill_seed"])), folder / "diffusion_pytorch_model.bin")
    return Golden(folder, meta, tensors)


@pytest.fixture(scope="module")
def encoder(vae: Golden) -> VaeEncoder:
    return VaeEncoder(CPU.place(load_vae(vae.folder)), CPU)


def rgb(vae: Golden) -> np.ndarray:
    return np.ascontiguousarray(vae["image"][None, :, :, ::-1])


def test_positions_are_upstreams(unet: Golden) -> None:
    last_place = 2**-23  # by which two processors' exponentials differ, 49 steps on by as many
    assert close(position_table(50, 384), unet["pe"], 49 * last_place)


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_the_unet_paints_what_upstreams_does(unet: Golden, batch: int) -> None:
    denoiser = MuseTalkDenoiser(CPU.place(load_unet(unet.folder)), CPU, batch)
    with torch.inference_mode():
        whole = denoiser.denoise(unet["latents"], unet["audio"], NO_CLIP)
        half = denoiser.denoise(unet["latents"][:1, :, :16], unet["audio"][:1], NO_CLIP)
    assert close(whole, unet["output"])
    assert close(half, unet["output_half_height"])


def test_pixels_are_upstreams_and_the_lower_half_is_black(vae: Golden) -> None:
    pixels = to_pixels(rgb(vae))
    masked = blacken_lower_half(pixels)
    assert close(pixels[:, :, ::4, ::4], vae["pixels_sub4"], 1e-6)
    assert close(pixels[:, :, [100, 117, 134, 151]], vae["pixels_row100_150"], 1e-6)
    assert close(masked[:, :, ::4, ::4], vae["pixels_half_sub4"], 1e-6)
    assert close(masked[:, :, [120, 125, 130, 135]], vae["pixels_half_row120_136"], 1e-6)
    assert float(masked[:, :, 128:].max()) == -1
    assert float(pixels[:, :, 128:].max()) > -1  # the original is left alone


def test_the_encoder_reads_what_upstreams_does(vae: Golden, encoder: VaeEncoder) -> None:
    pixels = to_pixels(rgb(vae))
    with torch.inference_mode():
        mean, log_variance = encoder.moments(pixels)
        half_mean, half_log_variance = encoder.moments(blacken_lower_half(pixels))
    assert close(mean, vae["enc_mean"])
    assert close(log_variance, vae["enc_logvar"])
    assert close(half_mean, vae["enc_half_mean"])
    assert close(half_log_variance, vae["enc_half_logvar"])


def test_with_upstreams_noise_the_latents_are_upstreams(vae: Golden, encoder: VaeEncoder) -> None:
    pixels = to_pixels(rgb(vae))
    with torch.inference_mode():
        masked = encoder.encode(blacken_lower_half(pixels), torch.from_numpy(vae["noise_masked"]))
        reference = encoder.encode(pixels, torch.from_numpy(vae["noise_reference"]))
    assert close(torch.cat([masked, reference], dim=1), vae["unet_latents"])


def test_without_noise_the_latents_are_the_mean(vae: Golden, encoder: VaeEncoder) -> None:
    with torch.inference_mode():
        latents = encoder.encode(to_pixels(rgb(vae)))
    assert close(latents, vae["enc_mean"] * vae.meta["scaling_factor"])


def test_the_decoder_paints_what_upstreams_does(vae: Golden) -> None:
    decoder = VaeDecoder(CPU.place(load_vae(vae.folder)), CPU)
    with torch.inference_mode():
        raw = decoder.decode_rows(torch.from_numpy(vae["latents"]), 0)
        below = decoder.decode_rows(torch.from_numpy(vae["latents"]), 50)
    assert close(raw, vae["decoded_raw"])
    assert torch.equal(below, raw[:, :, 50:])
    levels = to_crops(raw).astype(int) - vae["decoded_uint8_bgr"][..., ::-1]
    assert np.abs(levels).max() <= 1
    assert np.count_nonzero(levels) <= 20  # of 98304; upstream differs from itself in 5


@needs_int8
def test_in_int8_the_unet_stays_near_upstreams(unet: Golden) -> None:
    denoiser = MuseTalkDenoiser(INT8.place(load_unet(unet.folder)), INT8, 2)
    with torch.inference_mode():
        painted = denoiser.denoise(unet["latents"], unet["audio"], NO_CLIP)
    error = painted - unet["output"]
    assert 0 < error.std() < unet["output"].std() / 10 ** (30 / 20)


@needs_int8
def test_in_int8_the_decoder_stays_near_upstreams(vae: Golden) -> None:
    decoder = VaeDecoder(INT8.place(load_vae(vae.folder)), INT8)
    with torch.inference_mode():
        raw = decoder.decode_rows(torch.from_numpy(vae["latents"]), 0)
    levels = to_crops(raw).astype(float) - vae["decoded_uint8_bgr"][..., ::-1]
    assert 0 < np.square(levels).mean() < 255**2 / 10 ** (35 / 10)


@needs_int8
def test_in_int8_nothing_is_compiled(models: Path, unet: Golden, vae: Golden) -> None:
    assert unet.folder.parent == vae.folder.parent == models
    with raises_kind(DeviceError):
        load_musetalk(models, "v15", INT8, compiled=True)


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_published_checkpoints_have_exactly_the_tensors_of_ours(part: str) -> None:
    keys = json.loads((GOLDEN / "musetalk_unet_keys.json").read_text())
    facts = keys if part == "unet" else keys["vae"]
    kind = UNet2DConditionModel if part == "unet" else AutoencoderKL
    with torch.device("meta"):
        network = kind.from_config(facts["config"])
        published = {name: torch.empty(shape) for name, shape in facts["state_dict"].items()}
    network.load_state_dict(published, strict=True, assign=True)
    assert sum(parameter.numel() for parameter in network.parameters()) == facts["parameters"]


def test_safetensors_with_todays_names_load_the_same(vae: Golden, tmp_path: Path, encoder: VaeEncoder) -> None:
    with torch.device("meta"):
        network = AutoencoderKL.from_config(vae.meta["config"])
    (tmp_path / "config.json").write_text(json.dumps(vae.meta["config"]))
    save_file(state_for(network, vae.meta["fill_seed"]), tmp_path / "diffusion_pytorch_model.safetensors")
    again = VaeEncoder(CPU.place(load_vae(tmp_path)), CPU)
    pixels = to_pixels(rgb(vae)[:, :64, :64])
    with torch.inference_mode():
        assert torch.equal(again.encode(pixels), encoder.encode(pixels))


@pytest.fixture(scope="module")
def taesd(models: Path) -> None:
    channels = (4, 4, 4, 4)
    tiny = AutoencoderTiny(encoder_block_out_channels=channels, decoder_block_out_channels=channels)
    folder = models / "taesd"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(dict(tiny.config)))
    save_file(state_for(tiny, 5), folder / "diffusion_pytorch_model.safetensors")


@pytest.mark.usefixtures("unet", "taesd")
@pytest.mark.parametrize("decoder", ["sd", "tiny"])
def test_the_whole_generator_loads_and_listens(models: Path, vae: Golden, decoder: Literal["sd", "tiny"]) -> None:
    made = load_musetalk(models, "v15", CPU, decoder=decoder, batch=2)
    crops = np.repeat(rgb(vae), 2, axis=0)
    speech = np.stack([np.zeros((50, 384), np.float32), np.ones((50, 384), np.float32)])
    quiet, loud = made.generate(Clip(crops, speech, (), first_row=128))
    assert (made.crop_size, made.clip_length) == (256, 2)
    assert np.array_equal(quiet[:128], crops[0, :128])
    assert not np.array_equal(quiet[128:], crops[0, 128:])
    assert not np.array_equal(quiet[128:], loud[128:])


@pytest.mark.usefixtures("unet", "vae")
def test_the_other_version_has_its_own_weights(models: Path) -> None:
    with raises_kind(WeightsError, path=models / "musetalk"):
        load_musetalk(models, "v1", CPU)


@pytest.mark.parametrize(
    ("version", "v1_speech", "wanted"),
    [
        ("v1", "released", MUSETALK_V1_FEATURES),
        ("v1", "later", MUSETALK_FEATURES),
        ("v15", "released", MUSETALK_FEATURES),
        ("v15", "later", MUSETALK_FEATURES),
    ],
)
def test_each_version_hears_as_it_was_released(version: Version, v1_speech: V1Speech, wanted: AudioFeatureSpec) -> None:
    assert spec_of(version, v1_speech).audio_spec == wanted
    assert (wanted.closing_norm, wanted.after_voice, wanted.edges) == (
        (True, "silence", "zeros") if wanted is MUSETALK_FEATURES else (False, "zero", "clamp")
    )


def test_a_missing_tensor_is_named(vae: Golden, tmp_path: Path) -> None:
    state = torch.load(vae.folder / "diffusion_pytorch_model.bin", weights_only=True)
    del state["decoder.conv_out.bias"]
    torch.save(state, tmp_path / "diffusion_pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(vae.meta["config"]))
    with raises_kind(CheckpointError, tensors=("decoder.conv_out.bias",)):
        load_vae(tmp_path)


def test_another_networks_configuration_is_refused(unet: Golden, tmp_path: Path) -> None:
    (tmp_path / "unet.pth").write_bytes((unet.folder / "unet.pth").read_bytes())
    (tmp_path / "musetalk.json").write_text(json.dumps({**unet.meta["config"], "in_channels": 13}))
    with raises_kind(CheckpointError, path=tmp_path / "musetalk.json"):
        load_unet(tmp_path)


@pytest.mark.parametrize(("content", "kind"), [(None, WeightsError), ("{", CheckpointError), ("[]", CheckpointError)])
def test_a_bad_configuration_is_named(tmp_path: Path, content: str | None, kind: type[BackendError]) -> None:
    (tmp_path / "unet.pth").write_bytes(b"never read")
    if content is not None:
        (tmp_path / "musetalk.json").write_text(content)
    with raises_kind(kind, path=tmp_path / "musetalk.json"):
        load_unet(tmp_path)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with raises_kind(WeightsError, path=tmp_path):
        load_unet(tmp_path)
