"""LatentSync at work: the network, the surgical call, and films from files on disk to a finished video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hybrid.conditioning import Conditioning
from hybrid.crop import AlignedCropTransform
from hybrid.denoiser import LatentSyncDenoiser, lighter_sampling
from hybrid.drop_in import surgical_unet3d_inference
from hybrid.sampler import PUBLISHED, Sampler, Sampling
from hybrid.unet3d import blocks
from hybrid.unet3d.config import UNet3DConfig
from hybrid.unet3d.deep import DeepFeatures
from hybrid.unet3d.unet import UNet3D
from musetalk.assets import VOICE
from musetalk.backends.latent.generator import LatentGenerator
from musetalk.errors import Cancelled, ComputeError
from musetalk.faces.crops.crop import BoxCropTransform, CropTransform
from musetalk.lipsync import LipSync
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import render_frames
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken, ProgressEvent, RenderRun
from musetalk.utils.arrays import UInt8Array
from tests.helpers.filled import CPU, filled
from tests.helpers.film import FACE, FILM
from tests.helpers.media import decode_sound, write_video, write_wav
from tests.helpers.tiny_checkpoints import UNET3D
from tests.helpers.unpainted import unpainted
from tests.hybrid.parts import (
    LATENT,
    QUICK,
    ZERO,
    Recorder,
    clip,
    crops,
    inputs,
    latents_alone,
    musetalks_latents,
    network_of,
    tools,
    voice,
)
from tests.hybrid.renders import settings

pytestmark = pytest.mark.usefixtures("one_thread")
PLAIN = replace(UNET3D, motion="none")


def test_clips_do_not_see_each_other(state: dict[str, Tensor]) -> None:
    unet = network_of(state)
    sample, timestep, audio = inputs(clips=2)
    with torch.inference_mode():
        both = unet(sample, timestep, audio)
        apart = [unet(sample[row : row + 1], timestep, audio[3 * row : 3 * row + 3]) for row in (0, 1)]
    assert torch.allclose(both, torch.cat(apart), atol=1e-5)
    assert not torch.allclose(*apart, atol=0.1)


def test_each_frame_hears_its_own_voice(state: dict[str, Tensor]) -> None:
    unet = network_of({name: tensor for name, tensor in state.items() if "motion" not in name})
    sample, timestep, audio = inputs()
    louder = audio.clone()
    louder[1] *= 3
    with torch.inference_mode():
        change = (unet(sample, timestep, louder) - unet(sample, timestep, audio)).abs().mean(dim=(0, 1, 3, 4))
    assert int(change.argmax()) == 1


def test_several_clips_are_told_silence_and_voices_in_one_call(state: dict[str, Tensor]) -> None:
    unet = network_of(state)
    sample, timestep, audio = inputs(clips=2)
    silence = torch.zeros_like(audio)
    with torch.inference_mode():
        both = unet(sample, timestep, torch.cat([silence, audio]), silent=2)
        apart = [unet(sample, timestep, heard) for heard in (silence, audio)]
        hushed = unet(sample, timestep, silence, silent=2)
    assert torch.allclose(both, torch.cat(apart), atol=1e-5)
    assert torch.allclose(hushed, apart[0], atol=1e-5)


def test_deep_features_that_are_kept_stand_for_the_levels_below(state: dict[str, Tensor]) -> None:
    unet, kept = network_of(state), DeepFeatures()
    sample, timestep, audio = inputs()
    middle: list[int] = []
    unet.mid_block.register_forward_hook(lambda *_: middle.append(1))
    with torch.inference_mode():
        whole = unet(sample, timestep, audio)
        filling, again = (unet(sample, timestep, audio, deep=kept) for _ in range(2))
        later = unet(sample, timestep - 300, audio, deep=kept)
        exactly = unet(sample, timestep - 300, audio)
    assert len(middle) == 3
    assert torch.equal(filling, whole)
    assert torch.equal(again, whole)
    assert not torch.equal(later, exactly)
    assert (later - exactly).abs().mean() < (whole - exactly).abs().mean()


@pytest.mark.parametrize("paired", [True, False])
def test_the_longer_deep_features_are_used_the_further_off_is_the_result(
    state: dict[str, Tensor], paired: bool
) -> None:
    unet = network_of(state)
    latents, heard = torch.randn(28, 8, LATENT, LATENT), voice(28)
    apart, cached, coarse = (
        LatentSyncDenoiser(unet, CPU, Sampling(steps=4, paired=paired, cache=cache)).denoise(latents, heard, clip(28))
        for cache in (1, 2, 4)
    )
    assert 0 < (cached - apart).abs().mean() < (coarse - apart).abs().mean()


def test_a_step_is_one_graph() -> None:
    torch.manual_seed(0)
    unet = UNet3D(UNet3DConfig((32, 32), 1, motion="decoder")).eval().requires_grad_(False)
    compiled = torch.compile(unet, fullgraph=True, backend="eager")
    with torch.inference_mode():
        assert torch.equal(compiled(*inputs(clips=2)), unet(*inputs(clips=2)))
    torch.compiler.reset()


def test_musetalks_latents_do_not_reach_the_result() -> None:
    unet = filled(UNet3D(PLAIN), 3)
    call = tools(unet, replace(QUICK, steps=1))
    pictures, heard = crops(2), voice(2)
    one, other = (
        surgical_unet3d_inference(latents, heard, ZERO, tools=call, face_crops=pictures)
        for latents in (musetalks_latents(2), torch.zeros(2, 8, LATENT, LATENT))
    )
    assert torch.equal(one, other)
    assert torch.isfinite(one).all()
    silent = surgical_unet3d_inference(musetalks_latents(2), 0 * heard, ZERO, tools=call, face_crops=pictures)
    assert not torch.equal(one, silent)


@pytest.mark.parametrize(("most", "length"), [(32, 16), (16, 16), (8, 8)])
def test_less_memory_means_smaller_calls_and_shorter_clips_are_told(most: int, length: int) -> None:
    network = Recorder(most, value=0.2)
    denoiser = LatentSyncDenoiser(network, CPU, QUICK)
    latents, heard = torch.randn(20, 8, LATENT, LATENT), voice(20)
    done = denoiser.denoise(latents, heard, clip(20))
    whole = LatentSyncDenoiser(Recorder(value=0.2), CPU, QUICK).denoise(latents, heard, clip(20))
    assert torch.allclose(done, whole, atol=1e-5)
    first, told, steps = list(network.told), list[str](), list[tuple[int, int]]()
    denoiser.denoise(latents, heard, replace(clip(20), note=told.append, step=lambda *at: steps.append(at)))
    assert steps == [(1, 2), (2, 2)]
    assert network.told == 2 * first  # what one call ran into changes no other
    assert first[-1] <= most
    assert [f"clips of {length} frames instead of 16" in note for note in told] == [True] * (length < 16)


@pytest.mark.parametrize("most", [np.inf, 8])
def test_a_clip_of_every_other_frame_is_painted_so_in_one_way_throughout(most: float) -> None:
    """Where memory runs out, all phases are painted with shorter clips: else every other frame would flicker."""
    network = Recorder(most, value=0.2)
    latents = torch.randn(40, 8, LATENT, LATENT)
    LatentSyncDenoiser(network, CPU, QUICK).denoise(latents, voice(40), replace(clip(40), stride=2))
    last = network.seen[-(len(network.seen) // 2) :]
    assert {sample.shape[2] for sample in last} == {16 if most > 16 else 8}
    shown = {float(sample[0, 9, 0, 0, 0]) for sample in last}
    assert {float(latents[frame, 4, 0, 0]) for frame in (0, 1)} <= shown


def test_lighter_samplings_can_always_be_cut_and_end() -> None:
    for overlap in (0, 4, 12):
        sampling: Sampling | None = replace(PUBLISHED, overlap=overlap)
        steps = 0
        while sampling is not None:
            assert sampling.overlap < sampling.clip_length >= 8
            sampling, steps = lighter_sampling(sampling), steps + 1
        assert steps == 3
    assert lighter_sampling(replace(PUBLISHED, guidance=1.0)) == replace(PUBLISHED, guidance=1.0, clip_length=8)


def test_cancelling_ends_the_call() -> None:
    token, network = CancelToken(), Recorder()
    token.cancel()
    with pytest.raises(Cancelled):
        surgical_unet3d_inference(
            musetalks_latents(2), voice(2), ZERO, tools=tools(network), face_crops=crops(2), check=token.check
        )
    assert network.seen == []


def painted_places(plan: RenderPlan, frame: int) -> list[tuple[slice, slice]]:
    source = plan.timeline.source_frame(frame)
    places = []
    for face in plan.face_plan.faces(source):
        [crop] = plan.session.cropper.crops([source], [face])
        mask = plan.session.masker.mask(source, face, crop)
        rows, columns = mask.alpha.shape
        places.append((slice(max(0, mask.y), mask.y + rows), slice(max(0, mask.x), mask.x + columns)))
    return places


@pytest.fixture(scope="module")
def prepared(
    engine: LipSync, film: Path, words: Path, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RenderPlan]:
    """Faces are parsed, and turned upright."""
    with engine.preparing(film, words, settings(models), tmp_path_factory.mktemp("prepared")) as plan:
        yield plan


@pytest.fixture(scope="module")
def rendered(prepared: RenderPlan) -> list[UInt8Array]:
    return list(render_frames(prepared, 0, FILM, RenderRun()))


def check_only_faces_are_painted(plan: RenderPlan, made: list[UInt8Array], faces: range) -> None:
    count = plan.timeline.frame_count
    source = list(map(Frame.rgb, play(plan.source, plan.timeline, 0, count, spool_dir=plan.folder)))
    for frame, (before, after) in enumerate(zip(source, made, strict=True)):
        assert (frame in faces) != np.array_equal(before, after)
        covered = np.zeros(before.shape[:2], bool)
        for place in painted_places(plan, frame):
            covered[place] = True
        outside = unpainted(covered)
        assert np.array_equal(before[outside], after[outside])


def placement_of(plan: RenderPlan, frame: int) -> CropTransform:
    [face] = plan.face_plan.faces(frame)
    [transform] = plan.session.cropper.crops([frame], [face])
    return transform


@pytest.mark.integration
def test_frames_with_a_face_are_painted_and_others_pass(prepared: RenderPlan, rendered: list[UInt8Array]) -> None:
    assert prepared.session.generator.crop_size == 256
    assert len(rendered) == FILM
    check_only_faces_are_painted(prepared, rendered, FACE)
    assert isinstance(placement_of(prepared, FACE.start), AlignedCropTransform)


@pytest.mark.integration
@pytest.mark.parametrize(("backend", "framing"), [("latentsync-1.5", "musetalk"), ("latentsync-1.6", "aligned")])
def test_so_are_they_in_other_crops(
    engine: LipSync,
    small_portrait: UInt8Array,
    bare_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    framing: str,
) -> None:
    """Attention, which has no part in where faces lie, is left out: at 512 pixels it takes nearly all of the time."""
    monkeypatch.setattr(blocks, "run_transformer", lambda _, maps, voices: blocks.repeated(maps, len(voices.audio)))
    frames = np.repeat(small_portrait[None], 6, axis=0)
    frames[:2] = 128
    film = write_video(tmp_path / "film.mp4", frames, 25, "-qp", "0")
    voice = write_wav(tmp_path / "voice.wav", decode_sound(VOICE)[: len(frames) * 640])
    chosen, run = settings(bare_models, backend, framing=framing), RenderRun()
    with engine.preparing(film, voice, chosen, tmp_path) as plan:
        assert plan.session.generator.crop_size == (512 if backend == "latentsync-1.6" else 256)
        check_only_faces_are_painted(plan, list(render_frames(plan, 0, 6, run)), range(2, 6))
        assert isinstance(placement_of(plan, 2), AlignedCropTransform if framing == "aligned" else BoxCropTransform)
    assert run.fallbacks == ()


@pytest.mark.integration
def test_any_range_comes_out_the_same(prepared: RenderPlan, rendered: list[UInt8Array]) -> None:
    for frame in (FACE.start, FACE.stop - 1):
        [alone] = render_frames(prepared, frame, frame + 1, RenderRun())
        assert np.array_equal(alone, rendered[frame])


@pytest.fixture(scope="module")
def clean(
    engine: LipSync, film: Path, words: Path, bare_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RenderReport, list[ProgressEvent]]:
    """A render of two steps in which nothing fails."""
    events: list[ProgressEvent] = []
    out = tmp_path_factory.mktemp("clean") / "out.mp4"
    return engine.render(film, words, out, settings(bare_models, steps=2), on_progress=events.append), events


@pytest.mark.integration
def test_the_report_of_a_clean_render_tells_of_no_fallback(clean: tuple[RenderReport, list[ProgressEvent]]) -> None:
    report, _ = clean
    assert (report.backend, report.face_frames, report.fallback_frames) == ("latentsync-1.5", len(FACE), 0)
    assert report.fallbacks == ()
    assert {span.kind for span in report.spans} == {"face", "cutaway"}
    assert report.bbox_shift_range is None


@pytest.mark.integration
def test_progress_is_told_step_by_step(clean: tuple[RenderReport, list[ProgressEvent]]) -> None:
    _, events = clean
    reached = [event.done + event.part for event in events if event.stage == "render"]
    assert reached == sorted(reached)
    assert reached[0] == 0
    assert reached[-1] == FILM
    steps = [FACE.start + len(FACE) * step / 2 for step in (1, 2)]
    assert [any(at == pytest.approx(step) for at in reached) for step in steps] == [True] * 2


@pytest.mark.integration
def test_two_calls_meet_softly_and_each_frame_alone_is_the_same(
    engine: LipSync, film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MuseTalk painted of a failed first call is faded into what LatentSync painted of the second.

    Whatever the network makes of them.
    """
    monkeypatch.setattr(UNet3D, "forward", lambda _self, sample, _, audio, **__: latents_alone(sample, audio))
    sample = Sampler.sample
    fails: Callable[[Tensor], bool] = lambda _audio: True  # noqa: E731

    def failing(self: Sampler, conditioning: Conditioning, audio: Tensor, **rest: object) -> torch.Tensor:
        if fails(audio):
            raise ComputeError("it was told to")
        return sample(self, conditioning, audio, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Sampler, "sample", failing)
    monkeypatch.setattr(LatentGenerator, "clip_length", 5)
    first, second = range(FACE.start, FACE.start + 5), range(FACE.start + 3, FACE.stop)
    pictures = {}
    with engine.preparing(film, words, settings(bare_models, overlap=2), tmp_path) as plan:
        pieces = [(s.first, s.stop) for s in plan.segments if s.tracks]
        assert pieces == [(first.start, first.stop), (second.start, second.stop)]
        pictures["musetalk"] = list(render_frames(plan, 0, FILM, RenderRun()))
        fails = lambda _audio: False  # noqa: E731
        pictures["latentsync"] = list(render_frames(plan, 0, FILM, RenderRun()))
        of_first = torch.tensor(plan.session.speech.window(first.start, first.stop))
        fails = lambda audio: torch.equal(audio, of_first)  # noqa: E731
        pictures["mixed"] = list(render_frames(plan, 0, FILM, RenderRun()))
        for frame in (second.start, first.stop):
            [alone] = render_frames(plan, frame, frame + 1, RenderRun())
            assert np.array_equal(alone, pictures["mixed"][frame])

    def nearness(frame: int) -> float:
        """0: MuseTalk's, 1: LatentSync's."""
        mixed, theirs, own = (pictures[name][frame].astype(float) for name in ("mixed", "musetalk", "latentsync"))
        return float(((mixed - theirs) * (own - theirs)).sum() / ((own - theirs) ** 2).sum())

    assert nearness(second.start - 1) == pytest.approx(0, abs=0.01)
    faded = [nearness(frame) for frame in range(second.start, first.stop)]
    assert faded == pytest.approx([1 / 3, 2 / 3], abs=0.05)
    assert nearness(first.stop) == pytest.approx(1, abs=0.01)


@pytest.mark.integration
def test_a_frame_is_previewed_as_it_is_rendered(
    engine: LipSync, film: Path, words: Path, models: Path, rendered: list[UInt8Array]
) -> None:
    frame = FACE.start + 6
    shown = engine.preview_frame(film, words, settings(models), at=(frame + 0.5) / 25)
    assert shown.result is not None
    assert not np.array_equal(shown.result, shown.frame)
    assert np.abs(shown.result.astype(int) - rendered[frame]).mean() < 2
    assert isinstance(shown.crops[0], AlignedCropTransform)
    assert shown.lines == (None,)
