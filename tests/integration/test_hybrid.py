"""LatentSync from files on disk to a finished video, with small filled checkpoints; and what happens where it fails."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch

from hybrid.inference import LatentSyncDenoiser
from hybrid.placement import AlignedPlacement
from hybrid.sampler import Conditions, Sampler
from musetalk.arrays import UInt8Array
from musetalk.console import describe
from musetalk.errors import BackendError, GeneratorError
from musetalk.faces.geometry import CropPlacement
from musetalk.generators.latent import LatentGenerator
from musetalk.media.playback import play
from musetalk.pipeline import LipSync
from musetalk.preparation import Preparation
from musetalk.progress import RenderRun
from musetalk.rendering import render_frames
from musetalk.settings import RenderSettings
from musetalk.weights.lock import entry_of, record
from tests.film import FACE, FILM
from tests.film import settings as musetalk_settings
from tests.media import decode

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_thread")]
QUICK = {"steps": 1, "guidance": 1.0}


def settings(models: Path, backend: str = "latentsync-1.5", **latentsync: object) -> RenderSettings:
    return musetalk_settings(models, backend=backend, latentsync={**QUICK, **latentsync})


@pytest.fixture(scope="module")
def engine() -> LipSync:
    return LipSync()


@pytest.fixture(scope="module")
def by_musetalk(
    engine: LipSync, film: Path, words: Path, bare_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[UInt8Array]:
    out = tmp_path_factory.mktemp("musetalk") / "out.mp4"
    engine.render(film, words, out, settings(bare_models, "musetalk-v15"))
    return list(decode(out))


def without(models: Path, folder: Path, *parts: str) -> Path:
    shutil.copytree(models, folder, copy_function=os.link, ignore=shutil.ignore_patterns(*parts))
    return folder


def adopt(models: Path, path: Path) -> None:
    """Record a file as the user's own."""
    entry = entry_of(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, "test", own=True)
    record(models, PurePosixPath(path.relative_to(models).as_posix()), entry)


def painted_places(preparation: Preparation, frame: int) -> list[tuple[slice, slice]]:
    source = preparation.timeline.source_frame(frame)
    places = []
    for face in preparation.plan.faces(source):
        [crop] = preparation.layout.crops([source], [face])
        mask = preparation.layout.mask(source, face, crop)
        rows, columns = mask.alpha.shape
        places.append((slice(max(0, mask.y), mask.y + rows), slice(max(0, mask.x), mask.x + columns)))
    return places


@pytest.mark.parametrize(
    ("backend", "framing"),
    [("latentsync-1.5", "aligned"), ("latentsync-1.5", "musetalk"), ("latentsync-1.6", "aligned")],
)
def test_frames_with_a_face_are_painted_and_others_pass(
    engine: LipSync, film: Path, words: Path, models: Path, tmp_path: Path, backend: str, framing: str
) -> None:
    chosen = settings(models, backend, framing=framing)
    with engine.preparing(film, words, chosen, tmp_path) as preparation:
        assert preparation.generator.crop_size == (512 if backend.endswith("6") else 256)
        placement = AlignedPlacement if framing == "aligned" else CropPlacement
        source = list(play(preparation.source, preparation.timeline, 0, FILM, spool_dir=preparation.folder))
        run = RenderRun()
        made = list(render_frames(preparation, 0, FILM, run))
        assert len(made) == FILM
        for frame, (before, after) in enumerate(zip(source, made, strict=True)):
            assert (frame in FACE) != np.array_equal(before, after)
            outside = np.ones(before.shape[:2], bool)
            for place in painted_places(preparation, frame):
                outside[place] = False
            assert np.array_equal(before[outside], after[outside])
        [face] = preparation.plan.faces(FACE.start)
        assert isinstance(preparation.layout.crops([FACE.start], [face])[0], placement)
        assert run.fallbacks == ()


def test_any_range_comes_out_the_same(engine: LipSync, film: Path, words: Path, models: Path, tmp_path: Path) -> None:
    with engine.preparing(film, words, settings(models), tmp_path) as preparation:
        whole = list(render_frames(preparation, 0, FILM, RenderRun()))
        for frame in (FACE.start, FACE.stop - 1):
            [alone] = render_frames(preparation, frame, frame + 1, RenderRun())
            assert np.array_equal(alone, whole[frame])


def test_the_report_of_a_clean_render_tells_of_no_fallback(
    engine: LipSync, film: Path, words: Path, models: Path, tmp_path: Path
) -> None:
    report = engine.render(film, words, tmp_path / "out.mp4", settings(models))
    assert (report.backend, report.face_frames, report.fallback_frames) == ("latentsync-1.5", len(FACE), 0)
    assert report.fallbacks == ()
    assert {span.kind for span in report.spans} == {"face", "cutaway"}
    assert report.bbox_shift_range is None


def out_of_memory(self: Sampler, conditions: Conditions, **_: object) -> torch.Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory")


def no_numbers(self: Sampler, conditions: Conditions, **_: object) -> torch.Tensor:
    return torch.full_like(conditions.masked, torch.nan)


@pytest.mark.parametrize(
    ("failing", "why"),
    [(out_of_memory, "there is not enough memory for a clip of 8 frames"), (no_numbers, "not a number")],
)
def test_clips_that_fail_while_painting_are_musetalks_to_the_byte(
    film: Path,
    words: Path,
    bare_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_musetalk: list[UInt8Array],
    failing: Callable[..., torch.Tensor],
    why: str,
) -> None:
    monkeypatch.setattr(Sampler, "sample", failing)
    report = LipSync().render(film, words, tmp_path / "out.mp4", settings(bare_models))
    made = list(decode(tmp_path / "out.mp4"))
    assert all(np.array_equal(one, other) for one, other in zip(made, by_musetalk, strict=True))
    [fallback] = report.fallbacks
    assert (fallback.start, fallback.stop, fallback.backend) == (FACE.start, FACE.stop, "musetalk-v15")
    assert why in fallback.reason
    assert report.fallback_frames == report.face_frames == len(FACE)
    assert [(span.start, span.stop) for span in report.spans if span.kind == "fallback"] == [(FACE.start, FACE.stop)]
    assert report.warnings[0].startswith("this result is musetalk-v15's: latentsync-1.5 painted nothing of it (")
    assert "this result is musetalk-v15's" in describe(report, "")


def test_only_the_clip_that_fails_falls_back(
    film: Path, words: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three clips, of which the second fails."""
    sample, calls = Sampler.sample, list[int]()

    def second_fails(self: Sampler, conditions: Conditions, **rest: object) -> torch.Tensor:
        calls.append(len(conditions.masked))
        if len(calls) == 2:
            raise GeneratorError("it was one too many")
        return sample(self, conditions, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Sampler, "sample", second_fails)
    monkeypatch.setattr(LatentGenerator, "clip_length", 6)
    report = LipSync().render(film, words, tmp_path / "out.mp4", settings(models))
    assert calls == [6, 6, 4]
    start = FACE.start + 6
    assert [(f.start, f.stop, f.reason) for f in report.fallbacks] == [(start, start + 6, "it was one too many")]
    assert (report.fallback_frames, report.face_frames) == (6, len(FACE))
    kinds = [(span.start, span.stop, span.kind) for span in report.spans]
    assert kinds == [
        (0, 8, "cutaway"),
        (8, 14, "face"),
        (14, 20, "fallback"),
        (20, 24, "face"),
        (24, 32, "cutaway"),
    ]
    assert report.warnings[0] == (
        "6 of 16 frames were painted by musetalk-v15, not by latentsync-1.5 (it was one too many)"
    )


@pytest.mark.parametrize("case", ["missing", "damaged"])
def test_a_backend_that_cannot_be_loaded_is_musetalks_whole_and_says_so(
    film: Path, words: Path, bare_models: Path, tmp_path: Path, by_musetalk: list[UInt8Array], case: str
) -> None:
    folder = without(bare_models, tmp_path / "models", "latentsync*")
    if case == "damaged":
        other = folder / "latentsync-1.5" / "latentsync_unet.pt"
        other.parent.mkdir()
        torch.save({"conv_in.weight": torch.zeros(3)}, other)
        adopt(folder, other)
    engine = LipSync()
    report = engine.render(film, words, tmp_path / "out.mp4", settings(folder))
    made = list(decode(tmp_path / "out.mp4"))
    assert all(np.array_equal(one, other) for one, other in zip(made, by_musetalk, strict=True))
    assert report.fallback_frames == len(FACE)
    assert "latentsync_unet.pt" in report.fallbacks[0].reason
    assert report.warnings[0].startswith("this result is musetalk-v15's")
    shown = engine.preview_frame(film, words, settings(folder), at=(FACE.start + 6.5) / 25)
    assert shown.notes[-2].startswith("This is musetalk-v15's: latentsync-1.5 could not paint it (")
    with pytest.raises(BackendError, match=r"latentsync_unet\.pt"):
        engine.render(film, words, tmp_path / "none.mp4", settings(folder, fallback="error"))
    assert not (tmp_path / "none.mp4").exists()


def test_without_musetalks_weights_or_by_choice_errors_end_the_render(
    film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sampler, "sample", no_numbers)
    alone = without(bare_models, tmp_path / "models", "musetalk*")
    for chosen in (settings(alone), settings(bare_models, fallback="error")):
        with pytest.raises(GeneratorError, match="not a number"):
            LipSync().render(film, words, tmp_path / "out.mp4", chosen)
        assert not (tmp_path / "out.mp4").exists()


def test_where_musetalk_cannot_be_loaded_either_both_reasons_are_told(
    film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = without(bare_models, tmp_path / "models", "musetalk")
    unet = folder / "musetalkV15" / "unet.pth"
    unet.unlink()
    torch.save({"conv_in.weight": torch.zeros(3)}, unet)
    adopt(folder, unet)
    monkeypatch.setattr(Sampler, "sample", no_numbers)
    with pytest.raises(BackendError, match=r"not a number; and who would step in cannot: .*unet\.pth"):
        LipSync().render(film, words, tmp_path / "out.mp4", settings(folder))


def test_errors_of_the_program_end_the_render(
    film: Path, words: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    denoise = LatentSyncDenoiser.denoise

    def naive(self: LatentSyncDenoiser, latents: torch.Tensor, *rest: object) -> torch.Tensor:
        return denoise(self, latents.repeat(1, 2, 1, 1), *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(LatentSyncDenoiser, "denoise", naive)
    with pytest.raises(ValueError, match=r"latents must be \[N, 8, h, w\]"):
        LipSync().render(film, words, tmp_path / "out.mp4", settings(bare_models))
    assert not (tmp_path / "out.mp4").exists()


def test_a_frame_is_previewed_as_it_is_rendered(
    engine: LipSync, film: Path, words: Path, models: Path, tmp_path: Path
) -> None:
    chosen, frame = settings(models), FACE.start + 6
    shown = engine.preview_frame(film, words, chosen, at=(frame + 0.5) / 25)
    with engine.preparing(film, words, chosen, tmp_path) as preparation:
        [rendered] = render_frames(preparation, frame, frame + 1, RenderRun())
    assert shown.result is not None
    assert not np.array_equal(shown.result, shown.frame)
    assert np.abs(shown.result.astype(int) - rendered).mean() < 2
    assert isinstance(shown.crops[0], AlignedPlacement)
    assert shown.lines == (None,)
