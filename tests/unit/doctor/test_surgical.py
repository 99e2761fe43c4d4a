"""The surgical check itself: what is right passes, and each thing that goes wrong is a line that says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from torch import Tensor

from hybrid.check import LatentSyncCheck
from hybrid.denoiser import LatentSyncDenoiser
from hybrid.mask import keep_mask, latent_mask
from hybrid.options import LatentSyncOptions
from hybrid.tiny import UNET3D
from hybrid.unet3d.unet import UNet3D
from musetalk.audio.types import LATENTSYNC_FEATURES, MUSETALK_FEATURES
from musetalk.backends.check import BackendCheck, Finding, NetworkCall, WatchedClip, judged, shape_of
from musetalk.backends.latent.positional_encoding import position_table
from musetalk.backends.latent.tiny import filled
from musetalk.backends.musetalk.check import MuseTalkCheck
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend
from musetalk.backends.types import Clip
from musetalk.doctor.backends import check_backend, finite_line
from musetalk.doctor.findings import Findings
from musetalk.doctor.network_hooks import watched
from musetalk.doctor.sample_clip import FRAMES, Scene, feature_windows, make_scene
from musetalk.errors import BackendError
from musetalk.settings import RenderSettings
from musetalk.weights import HubPlace, WeightFile
from tests.hybrid.parts import latents_alone

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene()


def settings(backend: str, models: Path) -> RenderSettings:
    return RenderSettings.parse(
        {"backend": backend, "models_dir": models, "latentsync": {"steps": 1}, "network": {"device": "cpu"}}
    )


def checked(backend: AnyBackend, scene: Scene, models: Path) -> Findings:
    wanted = settings(backend.name, models)
    return check_backend(backend.configured(wanted), scene, wanted.network, wanted.crop, wanted.mask)


def failed(lines: Sequence[Finding]) -> list[str]:
    return [line.name for line in lines if line.failed]


def test_a_backend_is_run_and_nothing_is_wrong(scene: Scene, tmp_path: Path) -> None:
    """Those of networks: `tests/integration/test_surgical_check.py`."""
    found = checked(BackendRegistry().get("preview"), scene, tmp_path)
    assert found.title == "preview"
    assert found.failures == ()
    assert "portrait.png" in dict(found.rows)["clip"]


def test_a_network_that_returns_no_numbers_is_told(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_numbers(self: UNet3D, sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        return torch.full_like(latents_alone(sample, audio), torch.nan)

    monkeypatch.setattr(UNet3D, "forward", no_numbers)
    found = checked(BackendRegistry().get("latentsync-1.5"), scene, tmp_path)
    [line] = found.failures
    assert line.name == "failed"
    assert line.said.startswith("NotFiniteError: the network's result is not a number")
    assert "FAILED: NotFiniteError" in dict(found.rows)["failed"]


def test_mistakes_of_the_program_are_told_and_the_next_backend_is_looked_at(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    denoise = LatentSyncDenoiser.denoise

    def naive(self: LatentSyncDenoiser, latents: Tensor, *rest: object) -> Tensor:
        return denoise(self, latents.repeat(1, 2, 1, 1), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(LatentSyncDenoiser, "denoise", naive)
    found = checked(BackendRegistry().get("latentsync-1.5"), scene, tmp_path)
    assert [line.said.split(":")[0] for line in found.failures] == ["ValueError"]
    assert checked(BackendRegistry().get("preview"), scene, tmp_path).failures == ()


class Painter:
    """A generator whose result is made by a function of the crops."""

    crop_size, clip_length, device = None, 8, "cpu"

    def __init__(self, like: object, make: Callable[[np.ndarray], np.ndarray]) -> None:
        self.spec = replace(like.spec, audio_spec=None)  # type: ignore[attr-defined]
        self._make = make

    def generate(self, clip: Clip) -> np.ndarray:
        return self._make(clip.crops)


def test_watching_leaves_nothing_behind_that_compiling_would_warn_of() -> None:
    layer = torch.nn.Linear(2, 2)
    with watched({"layer": layer}) as calls:
        layer(torch.ones(3, 2))
    layer(torch.ones(3, 2))
    [call] = calls
    assert (call.network, [each.shape for each in call.given], call.finite) == ("layer", [(3, 2)], True)
    compiled = torch.compile(layer, backend="eager")
    assert compiled(torch.ones(1, 2)).shape == (1, 2)  # warnings are errors here
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (lambda crops: 255 - crops, []),
        (lambda crops: crops.copy(), ["pixels changed"]),
        (lambda crops: (255 - crops).repeat(2, axis=1).repeat(2, axis=2), ["result"]),
    ],
)
def test_results_are_looked_at(
    scene: Scene, tmp_path: Path, make: Callable[[np.ndarray], np.ndarray], wrong: list[str]
) -> None:
    preview = BackendRegistry().get("preview")
    one = replace(preview, load=lambda s: Painter(preview.load(s), make))  # type: ignore[arg-type,return-value]
    assert failed(checked(one, scene, tmp_path).lines) == wrong


def test_numbers_that_are_none_and_pixels_that_show_nothing_are_told() -> None:
    def call(*, finite: bool) -> NetworkCall:
        return NetworkCall("encoder", (torch.zeros(1, 3, 8, 8),), finite)

    varied = np.arange(192, dtype=np.uint8).reshape(1, 8, 8, 3)
    assert not finite_line([call(finite=True)], varied).failed
    assert finite_line([call(finite=True), call(finite=False)], varied).said.startswith("encoder did not; 1 of 2")
    assert finite_line([call(finite=True)], np.zeros_like(varied)).failed


def test_a_backend_of_which_no_more_is_known_is_run_all_the_same(scene: Scene, tmp_path: Path) -> None:
    unknown = replace(BackendRegistry().get("musetalk-v15"), check=None)
    found = checked(unknown, scene, tmp_path)
    assert found.failures == ()
    assert dict(found.rows)["conditioned"].startswith("its networks were not watched")
    file = WeightFile(PurePosixPath("net/x.pth"), HubPlace("some/net", "x.pth"), "MIT")
    without = checked(replace(unknown, weights=(file,), tiny=None), scene, tmp_path)
    assert without.failures == ()
    assert dict(without.rows) == {
        "weights": "none (weights missing: net/x.pth)",
        "clip": "not run: this backend has no small networks that could stand in for its weights",
    }


def test_what_cannot_be_loaded_is_told(scene: Scene, tmp_path: Path) -> None:
    def broken(_settings: RenderSettings) -> None:
        raise BackendError("unet.pth is damaged", "download it")

    one = replace(BackendRegistry().get("preview"), load=broken)  # type: ignore[arg-type]
    assert [line.said for line in checked(one, scene, tmp_path).failures] == [
        "BackendError: unet.pth is damaged: download it"
    ]


def latentsync_clip(steps: int = 2, **change: Tensor) -> WatchedClip:
    """Calls as they should be, at 64 pixels, with parts of the first sample changed."""
    draw = torch.Generator().manual_seed(1)
    speech = torch.randn(4, 50, 384, generator=draw)
    noise = torch.randn(1, 4, 1, 8, 8, generator=draw).expand(2, 4, 4, 8, 8)
    parts = {
        "noise": noise,
        "mask": torch.tensor(latent_mask(64)).expand(2, 1, 4, 8, 8),
        "masked": torch.randn(2, 4, 4, 8, 8, generator=draw),
        "reference": torch.randn(2, 4, 4, 8, 8, generator=draw),
        "audio": torch.cat([torch.zeros_like(speech), speech]),
    }
    parts.update(change)
    if "same" in change:
        parts["masked"] = parts["reference"]
    sample = torch.cat([parts[name] for name in ("noise", "mask", "masked", "reference")], dim=1)
    times = [torch.tensor(501.0 - 500 * step) for step in range(steps)]
    calls = [NetworkCall("unet3d", (sample, time, parts["audio"]), True) for time in times]
    return watched_clip(calls, speech.numpy(), frames=4)


def watched_clip(calls: Sequence[NetworkCall], speech: np.ndarray, frames: int = 2) -> WatchedClip:
    """With the encoder as LatentSync's, or without a network, and two steps asked for."""
    options = LatentSyncOptions.of(RenderSettings.parse({"latentsync": {"steps": 2}}))
    return WatchedClip(calls, np.zeros((frames, 64, 64, 3), np.uint8), speech, options)


def of_its_network(findings: Sequence[Finding]) -> list[Finding]:
    return [line for line in findings if line.name != "encoded"]


@pytest.mark.parametrize(
    ("change", "wrong", "why"),
    [
        ({}, [], ""),
        ({"noise": torch.randn(2, 4, 4, 8, 8)}, ["sample"], "one frame's noise"),
        ({"mask": torch.ones(2, 1, 4, 8, 8)}, ["sample"], "fifth channel is not the mask"),
        ({"same": torch.zeros(0)}, ["sample"], "nothing was hidden"),
        ({"masked": torch.zeros(2, 2, 4, 8, 8), "reference": torch.zeros(2, 1, 4, 8, 8)}, ["sample"], r"\[b, 13, f"),
        ({"audio": torch.ones(8, 50, 384)}, ["audio"], "not silent"),
        ({"audio": torch.zeros(8, 50, 384)}, ["audio"], "not the voice"),
        ({"audio": torch.zeros(4, 50, 384)}, ["audio"], r"expected \[8, 50, 384\]"),
    ],
)
def test_what_latentsync_was_given_is_held_against_what_it_takes(
    change: dict[str, Tensor], wrong: list[str], why: str
) -> None:
    lines = of_its_network(LatentSyncCheck().findings(latentsync_clip(**change)))  # type: ignore[arg-type]
    assert failed(lines) == wrong
    assert not wrong or why.replace("\\", "") in next(line.said for line in lines if line.failed)


def test_too_few_steps_and_no_calls_are_told() -> None:
    speech = np.zeros((2, 50, 384), np.float32)
    assert failed(of_its_network(LatentSyncCheck().findings(latentsync_clip(steps=1)))) == ["timesteps"]
    for check in (LatentSyncCheck(), MuseTalkCheck()):
        assert failed(of_its_network(check.findings(watched_clip([], speech)))) == ["sample"]


@pytest.mark.parametrize(
    ("channels", "timestep", "shift", "wrong"),
    [(8, 0, 0.0, []), (4, 0, 0.0, ["sample"]), (8, 7, 0.0, ["timestep"]), (8, 0, 0.5, ["audio"])],
)
def test_what_musetalk_was_given_is_held_against_what_it_takes(
    channels: int, timestep: int, shift: float, wrong: list[str]
) -> None:
    speech = np.random.default_rng(1).standard_normal((2, 50, 384), np.float32)
    heard = torch.tensor(speech) + position_table(50, 384) + shift
    sample = torch.arange(2.0 * channels * 64).reshape(2, channels, 8, 8)
    call = NetworkCall("unet", (sample, torch.tensor([float(timestep)]), heard), True)
    assert failed(of_its_network(MuseTalkCheck().findings(watched_clip([call], speech)))) == wrong


def test_each_family_hides_in_its_own_way() -> None:
    whole = torch.full((2, 3, 64, 64), 0.5)
    grey, black = whole.clone(), whole.clone()
    grey[:, :, torch.tensor(keep_mask(64) == 0)] = 0
    black[:, :, 32:] = -1

    def told(hidden: Tensor, check: BackendCheck) -> bool:
        clip = watched_clip([NetworkCall("encoder", (torch.cat([hidden, whole]),), True)], np.zeros((2, 50, 384)))
        return "encoded" not in failed(check.findings(clip))

    latentsync, musetalk = LatentSyncCheck(), MuseTalkCheck()
    assert (told(grey, latentsync), told(black, musetalk)) == (True, True)
    assert (told(grey, musetalk), told(black, latentsync), told(whole, latentsync)) == (False,) * 3


@pytest.mark.parametrize("audio_spec", [MUSETALK_FEATURES, LATENTSYNC_FEATURES])
def test_the_clips_voice_is_the_same_every_time(tmp_path: Path, audio_spec: object) -> None:
    one, other = (feature_windows(audio_spec, tmp_path) for _ in range(2))  # type: ignore[arg-type]
    assert one.shape == (FRAMES, 50, 384)
    assert np.array_equal(one, other)


def test_without_the_portrait_a_face_is_drawn(tmp_path: Path) -> None:
    drawn = make_scene(tmp_path / "none.png")
    assert (drawn.origin, len(drawn.frames)) == ("a drawn face", FRAMES)
    assert all(not np.array_equal(drawn.frames[0], frame) for frame in drawn.frames[1:])
    assert checked(BackendRegistry().get("preview"), drawn, tmp_path).failures == ()


def test_stand_ins_are_the_same_every_time_and_give_numbers() -> None:
    one, other = (filled(UNet3D(UNET3D)).eval() for _ in range(2))
    sample, audio = torch.ones(1, 13, 2, 8, 8), torch.ones(2, 50, 384)
    with torch.inference_mode():
        assert torch.equal(one(sample, torch.tensor(5), audio), other(sample, torch.tensor(5), audio))
        assert 1e-3 < float(one(sample, torch.tensor(5), audio).std()) < 10


def test_tables_show_what_is_wrong() -> None:
    table = Findings("T", (judged("a", "[1]", []), judged("b", "[2]", ["expected [3]"])))
    assert table.rows == [("a", "[1]"), ("b", "FAILED: expected [3]; [2]")]
    assert failed(table.failures) == ["b"]
    assert shape_of(np.zeros((2, 3))) == "[2, 3]"
