"""What LatentSync cannot paint MuseTalk does, which is counted and said. Mistakes of the program never end so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hybrid.conditioning import Conditioning
from hybrid.denoiser import LatentSyncDenoiser
from hybrid.drop_in import surgical_unet3d_inference
from hybrid.sampler import Sampler
from hybrid.unet3d.unet import UNet3D
from musetalk.backends.latent.generator import LatentGenerator
from musetalk.backends.musetalk.generator import MuseTalkDenoiser
from musetalk.backends.registry import BackendRegistry
from musetalk.cli.console import describe
from musetalk.errors import BackendError, CheckpointError, ComputeError, NotFiniteError, OutOfMemoryError
from musetalk.lipsync import LipSync
from musetalk.pipeline.components import ComponentLoader
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.errors import raises_kind
from tests.helpers.film import FACE
from tests.helpers.media import decode
from tests.hybrid.parts import ZERO, MuseTalk, Recorder, crops, musetalks_latents, tools, voice
from tests.hybrid.renders import adopt, settings, without

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("error", [ValueError("wrong shape"), TypeError("wrong type"), RuntimeError("bad kernel")])
def test_errors_of_the_program_are_not_taken_for_a_lack_of_memory(error: Exception) -> None:
    def broken(sample: Tensor, timestep: Tensor, audio: Tensor, **_: object) -> Tensor:
        raise error

    with pytest.raises(type(error), match=str(error)):
        surgical_unet3d_inference(
            musetalks_latents(2),
            voice(2),
            ZERO,
            MuseTalk(),
            tools=tools(broken),
            face_crops=crops(2),
            fallback_audio=voice(2),
        )


@pytest.mark.parametrize(
    ("network", "why"),
    [(lambda: Recorder(most=4), OutOfMemoryError), (lambda: Recorder(value=np.nan), NotFiniteError)],
)
def test_memory_and_numbers_fall_back_with_the_reason(network: Callable[[], Recorder], why: type[ComputeError]) -> None:
    musetalk, latents, heard, reasons = MuseTalk(), musetalks_latents(3), voice(3), list[str]()
    with raises_kind(why) as caught:
        surgical_unet3d_inference(latents, heard, ZERO, tools=tools(network()), face_crops=crops(3))
    done = surgical_unet3d_inference(
        latents,
        0 * heard,
        ZERO,
        musetalk,
        tools=tools(network()),
        face_crops=crops(3),
        fallback_audio=heard,
        on_fallback=reasons.append,
    )
    assert torch.equal(done, latents[:, :4] + heard.mean())
    assert musetalk.calls == len(reasons) == 1
    assert reasons[0] == str(caught.value)


def out_of_memory(self: Sampler, conditioning: Conditioning, audio: Tensor, **_: object) -> torch.Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory")


def no_numbers(self: Sampler, conditioning: Conditioning, audio: Tensor, **_: object) -> torch.Tensor:
    return torch.full_like(conditioning.masked, torch.nan)


@pytest.mark.integration
def test_clips_that_fail_while_painting_are_musetalks_to_the_byte(
    engine: LipSync,
    film: Path,
    words: Path,
    bare_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_musetalk: list[UInt8Array],
) -> None:
    monkeypatch.setattr(Sampler, "sample", no_numbers)
    report = engine.render(film, words, tmp_path / "out.mp4", settings(bare_models))
    made = list(decode(tmp_path / "out.mp4"))
    assert all(np.array_equal(one, other) for one, other in zip(made, by_musetalk, strict=True))
    [fallback] = report.fallbacks
    assert (fallback.start, fallback.stop, fallback.backend) == (FACE.start, FACE.stop, "musetalk-v15")
    assert "not a number" in fallback.reason
    assert report.fallback_frames == report.face_frames == len(FACE)
    assert [(span.start, span.stop) for span in report.spans if span.kind == "fallback"] == [(FACE.start, FACE.stop)]
    assert report.warnings[0].startswith("this result is musetalk-v15's: latentsync-1.5 painted nothing of it (")
    assert "this result is musetalk-v15's" in describe(report, "")


@pytest.mark.integration
def test_only_the_clip_that_fails_falls_back(
    engine: LipSync, film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three clips, of which the second fails."""
    sample, calls = Sampler.sample, list[int]()

    def second_fails(self: Sampler, conditioning: Conditioning, audio: Tensor, **rest: object) -> torch.Tensor:
        calls.append(conditioning.frames)
        if len(calls) == 2:
            raise ComputeError("it was one too many")
        return sample(self, conditioning, audio, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Sampler, "sample", second_fails)
    monkeypatch.setattr(LatentGenerator, "clip_length", 3)
    report = engine.render(film, words, tmp_path / "out.mp4", settings(bare_models, overlap=0))
    assert calls == [3, 3, 3]  # the last one takes a frame of the second, to be as long as the others
    start = FACE.start + 3
    assert [(f.start, f.stop, f.reason) for f in report.fallbacks] == [(start, start + 3, "it was one too many")]
    assert (report.fallback_frames, report.face_frames) == (3, len(FACE))
    kinds = [(span.start, span.stop, span.kind) for span in report.spans]
    assert kinds == [
        (0, 4, "cutaway"),
        (4, 7, "face"),
        (7, 10, "fallback"),
        (10, 12, "face"),
        (12, 16, "cutaway"),
    ]
    assert report.warnings[0] == (
        "3 of 8 frames were painted by musetalk-v15, not by latentsync-1.5 (it was one too many)"
    )


@pytest.mark.integration
@pytest.mark.parametrize("asked", [16, 8])
def test_where_memory_runs_out_less_is_asked_for_before_anybody_steps_in(
    film: Path,
    words: Path,
    bare_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_musetalk: list[UInt8Array],
    asked: int,
) -> None:
    """Memory for fewer frames than `asked`: half a clip does it, or nothing does."""
    forward, tried = UNet3D.forward, list[int]()

    def scarce(self: UNet3D, sample: Tensor, timestep: Tensor, audio: Tensor, **rest: object) -> Tensor:
        tried.append(len(audio))
        if tried[-1] >= asked:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, sample, timestep, audio, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(UNet3D, "forward", scarce)
    report = LipSync().render(film, words, tmp_path / "out.mp4", settings(bare_models, guidance=1.5))
    assert tried[:3] == [32, 16, 8]  # both halves of guidance, one after the other, half a clip
    if asked == 16:
        assert set(tried[3:]) == {8}
        assert (report.face_frames, report.fallback_frames, report.fallbacks) == (len(FACE), 0, ())
        assert any("clips of 8 frames instead of 16" in warning for warning in report.warnings)
    else:
        assert len(tried) == 3
        [fallback] = report.fallbacks
        assert fallback.reason == "there is not enough memory for a clip of 8 frames"
        made = list(decode(tmp_path / "out.mp4"))
        assert all(np.array_equal(one, other) for one, other in zip(made, by_musetalk, strict=True))
        assert report.fallback_frames == report.face_frames == len(FACE)


def cannot_be_loaded(models: Path, case: str) -> str:
    """Put something else in the place of LatentSync's checkpoint; returns what has to be said of it."""
    path = models / "latentsync-1.5" / "latentsync_unet.pt"
    held = path.read_bytes()
    path.unlink()  # a link to what other tests read
    if case == "missing":
        return r"latentsync_unet\.pt missing"
    if case == "of another size":
        path.write_bytes(held[: len(held) // 2])
        return rf"latentsync_unet\.pt has {len(held) // 2} bytes instead of {len(held)}"
    if case == "truncated":
        path.write_bytes(held[: len(held) // 2])
        said = r"latentsync_unet\.pt.*damaged"
    elif case == "no checkpoint":
        path.write_bytes(b"<html>404</html>")
        said = r"latentsync_unet\.pt"
    else:
        torch.save({"conv_in.weight": torch.zeros(3)}, path)
        said = r"latentsync_unet\.pt.*conv_in\.weight 3 instead of 320x13x3x3"
    adopt(models, path)
    return said


@pytest.mark.integration
@pytest.mark.parametrize("case", ["missing", "of another size", "truncated", "no checkpoint"])
def test_musetalk_takes_the_place_of_a_backend_that_cannot_be_loaded(
    bare_models: Path, tmp_path: Path, case: str
) -> None:
    folder = without(bare_models, tmp_path / "models")
    said = cannot_be_loaded(folder, case)
    loader = ComponentLoader(BackendRegistry())
    with loader.lease(loader.check(settings(folder))) as components:
        assert components.backend == "musetalk-v15"
        assert re.search(said, components.fallback_reason)
    alone = settings(folder, fallback="error")
    with pytest.raises(BackendError, match=said), loader.lease(loader.check(alone)):
        pass


@pytest.mark.integration
def test_a_render_by_a_backend_that_cannot_be_loaded_is_musetalks_whole_and_says_so(
    film: Path, words: Path, bare_models: Path, tmp_path: Path, by_musetalk: list[UInt8Array]
) -> None:
    folder = without(bare_models, tmp_path / "models")
    said = cannot_be_loaded(folder, "of another network")
    engine = LipSync()
    report = engine.render(film, words, tmp_path / "out.mp4", settings(folder))
    made = list(decode(tmp_path / "out.mp4"))
    assert all(np.array_equal(one, other) for one, other in zip(made, by_musetalk, strict=True))
    [fallback] = report.fallbacks
    assert (fallback.start, fallback.stop, fallback.backend) == (FACE.start, FACE.stop, "musetalk-v15")
    assert report.fallback_frames == report.face_frames == len(FACE)
    assert re.search(said, fallback.reason)
    assert report.warnings[0].startswith("this result is musetalk-v15's")
    assert "\n" not in report.warnings[0]
    with pytest.raises(BackendError, match=said):
        engine.render(film, words, tmp_path / "none.mp4", settings(folder, fallback="error"))
    assert not (tmp_path / "none.mp4").exists()


@pytest.mark.integration
def test_a_preview_says_that_it_is_musetalks(film: Path, words: Path, bare_models: Path, tmp_path: Path) -> None:
    folder = without(bare_models, tmp_path / "models", "latentsync*")
    shown = LipSync().preview_frame(film, words, settings(folder), at=(FACE.start + 6.5) / 25)
    told = "This is musetalk-v15's: latentsync-1.5 could not paint it ("
    assert sum(note.startswith(told) for note in shown.notes) == 1


@pytest.mark.integration
def test_without_musetalks_weights_or_by_choice_errors_end_the_render(
    film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = settings(without(bare_models, tmp_path / "models", "musetalk*"))
    chosen = settings(bare_models, fallback="error")
    cases: list[tuple[RenderSettings, Callable[..., torch.Tensor], type[ComputeError]]] = [
        (alone, out_of_memory, OutOfMemoryError),
        (chosen, no_numbers, NotFiniteError),
    ]
    for wanted, failing, why in cases:
        monkeypatch.setattr(Sampler, "sample", failing)
        with raises_kind(why):
            LipSync().render(film, words, tmp_path / "out.mp4", wanted)
        assert not (tmp_path / "out.mp4").exists()


@pytest.mark.integration
def test_where_musetalk_cannot_be_loaded_either_both_reasons_are_told(
    film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = without(bare_models, tmp_path / "models", "musetalk")
    unet = folder / "musetalkV15" / "unet.pth"
    unet.unlink()
    torch.save({"conv_in.weight": torch.zeros(3)}, unet)
    adopt(folder, unet)
    monkeypatch.setattr(Sampler, "sample", no_numbers)
    with raises_kind(CheckpointError, path=unet):
        LipSync().render(film, words, tmp_path / "out.mp4", settings(folder))


@pytest.mark.integration
def test_errors_of_the_program_end_the_render(
    engine: LipSync, film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although MuseTalk's weights are there: what is wrong with the program is no reason to step in."""

    def broken(self: LatentSyncDenoiser, *_: object) -> Tensor:
        raise RuntimeError("broken")

    def stepped_in(self: MuseTalkDenoiser, *_: object) -> Tensor:
        raise AssertionError("MuseTalk was called")

    monkeypatch.setattr(LatentSyncDenoiser, "denoise", broken)
    monkeypatch.setattr(MuseTalkDenoiser, "denoise", stepped_in)
    with pytest.raises(RuntimeError, match="broken"):
        engine.render(film, words, tmp_path / "out.mp4", settings(bare_models))
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.integration
def test_the_naive_handover_ends_the_render(
    engine: LipSync, film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    denoise = LatentSyncDenoiser.denoise

    def naive(self: LatentSyncDenoiser, latents: torch.Tensor, *rest: object) -> torch.Tensor:
        return denoise(self, latents.repeat(1, 2, 1, 1), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(LatentSyncDenoiser, "denoise", naive)
    with pytest.raises(ValueError, match=r"latents must be \[N, 8, h, w\]"):
        engine.render(film, words, tmp_path / "out.mp4", settings(bare_models))
    assert not (tmp_path / "out.mp4").exists()
