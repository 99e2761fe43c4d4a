"""Clips of every n-th frame, from the first segment to the last measure, with painters that are no networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from musetalk.assets import VOICE
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.errors import ComputeError
from musetalk.lipsync import LipSync
from musetalk.pipeline.borders import painted_borders
from musetalk.pipeline.render import render_frames
from musetalk.progress import ProgressEvent, RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.media import decode_sound, numbered_frames, write_video, write_wav

pytestmark = pytest.mark.integration
FRAMES = 22


def seams(frames: int, stride: int) -> range:
    return range(4 * stride, frames, 4 * stride)


@dataclass
class Video:
    """Paints every frame as bright as the frames of its phase are; refuses what it is told to."""

    refuses: Callable[[Clip], bool] = lambda _clip: False
    spec: GeneratorSpec = field(
        default_factory=lambda: GeneratorSpec(clip_overlap=1, min_clip=4, seams=seams, trained_fps=25)
    )
    clips: list[tuple[int, int]] = field(default_factory=list)
    crop_size, clip_length, device = 64, 4, "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        self.clips.append((len(clip.crops), clip.stride))
        if self.refuses(clip):
            raise ComputeError("it was told to")
        made = np.empty_like(clip.crops)
        for first in range(min(clip.stride, len(made))):
            own = clip.crops[first :: clip.stride]
            made[first :: clip.stride] = (own // 2) + int(own[:, ::7, ::7].sum()) % 83
            clip.step(first + 1, clip.stride)
        return made


@dataclass(frozen=True)
class Single:
    """Paints each frame black."""

    spec: GeneratorSpec = field(default_factory=GeneratorSpec)
    crop_size, clip_length, device = 64, 3, "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        assert clip.stride == 1
        return np.zeros_like(clip.crops)


def engine_with(video: Video) -> LipSync:
    first = BackendSpec("video", "", lambda _: video, fallbacks=("single",))
    return LipSync(BackendRegistry((first, BackendSpec("single", "", lambda _: Single()))), EverywhereAFace())


def settings(**values: object) -> RenderSettings:
    unmatched = {"color": "none", "sharpness": "none"}
    return RenderSettings.parse({"backend": "video", "blend": unmatched, **values})


@pytest.fixture(scope="module")
def film_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    def film(fps: int) -> Path:
        path = tmp_path_factory.mktemp("film") / f"{fps}.mp4"
        return write_video(path, numbered_frames(FRAMES, 96, 96), fps, "-qp", "0")

    return film


@pytest.fixture(scope="module")
def voice_at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """As much of the voice that ships as the film lasts."""

    def voice(fps: int) -> Path:
        samples = decode_sound(VOICE)[: FRAMES * 16_000 // fps]
        return write_wav(tmp_path_factory.mktemp("voice") / f"{fps}.wav", samples)

    return voice


def test_any_frame_is_the_same_alone_and_pieces_share_as_much_time(
    film_at: Callable[[int], Path], voice_at: Callable[[int], Path], tmp_path: Path
) -> None:
    video = Video()
    with engine_with(video).preparing(film_at(50), voice_at(50), settings(), tmp_path) as plan:
        places = [(s.first, s.start, s.stop) for s in plan.segments]
        assert places == [(0, 0, 8), (6, 8, 14), (12, 14, 20), (14, 20, 22)]
        whole = list(render_frames(plan, 0, FRAMES, RenderRun()))
        assert video.clips == [(8, 2)] * 4
        for frame in (7, 8, 12, 20, 21):
            [alone] = render_frames(plan, frame, frame + 1, RenderRun())
            assert np.array_equal(alone, whole[frame])
        borders = painted_borders(plan.segments, video.spec, 2)
        assert borders == (6, 7, 8, 12, 13, 14, 15, 16, 17, 18, 19, 20)


def test_a_fallback_spans_what_its_piece_covers_and_its_clips_take_every_frame(
    film_at: Callable[[int], Path], voice_at: Callable[[int], Path], tmp_path: Path
) -> None:
    video = Video()
    with engine_with(video).preparing(film_at(50), voice_at(50), settings(), tmp_path) as plan:
        whole, run = list(render_frames(plan, 0, FRAMES, RenderRun())), RenderRun()
        video.refuses = lambda _clip: len(video.clips) == 6  # the second of the second time
        mixed = list(render_frames(plan, 0, FRAMES, run))
        [fallback] = run.fallbacks
        assert (fallback.start, fallback.stop, fallback.backend) == (6, 14, "single")
        for frame, (before, after) in enumerate(zip(whole, mixed, strict=True)):
            assert np.array_equal(before, after) == (frame not in range(6, 14))


@pytest.mark.parametrize(("fps", "clips"), [(25, [(4, 1)] * 7), (100, [(16, 4), (16, 4)])])
def test_progress_and_the_number_of_frames_painted(
    film_at: Callable[[int], Path], voice_at: Callable[[int], Path], tmp_path: Path, fps: int, clips: list[object]
) -> None:
    video, events = Video(), list[ProgressEvent]()
    report = engine_with(video).render(
        film_at(fps), voice_at(fps), tmp_path / "out.mp4", settings(measure=True), on_progress=events.append
    )
    reached = [event.done + event.part for event in events if event.stage == "render"]
    assert reached == sorted(reached)
    assert reached[-1] == FRAMES == report.frames
    assert video.clips == clips
    assert report.fallback_frames == 0
    assert not any("trained on" in warning for warning in report.warnings)


def test_a_stretch_shorter_than_a_clip_is_one_piece(
    film_at: Callable[[int], Path], voice_at: Callable[[int], Path], tmp_path: Path
) -> None:
    video = Video()
    with engine_with(video).preparing(film_at(120), voice_at(120), settings(), tmp_path) as plan:
        assert len(list(render_frames(plan, 0, FRAMES, RenderRun()))) == FRAMES
    assert video.clips == [(20, 5), (20, 5)]


def test_a_rate_too_slow_for_the_network_is_told(
    film_at: Callable[[int], Path], voice_at: Callable[[int], Path], tmp_path: Path
) -> None:
    run = RenderRun()
    with engine_with(Video()).preparing(film_at(12), voice_at(12), settings(fps=12), tmp_path, run):
        assert run.warnings[-1].startswith("the network was trained on 25 frames a second: at 12 it sees mouths move")
