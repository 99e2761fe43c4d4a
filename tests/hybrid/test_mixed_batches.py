"""Faces and cutaways in one film: every frame is accounted for, and where no face is, nothing is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hybrid.unet3d.unet import UNet3D
from musetalk.assets import VOICE
from musetalk.lipsync import LipSync
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import render_frames
from musetalk.progress import RenderRun
from musetalk.utils.arrays import UInt8Array
from tests.helpers.media import decode_sound, write_video, write_wav
from tests.hybrid.parts import latents_alone
from tests.hybrid.renders import settings

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_thread")]
LENGTH = 34
FACES = (range(8), range(14, 22), range(26, 34))  # with cutaways in between
SEEN = [frame for part in FACES for frame in part]
FIRST_OF_SECOND = FACES[1].start


@pytest.fixture(scope="module")
def mixed(small_portrait: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face, a moving pattern, the face again, grey, the face once more."""
    height, width = small_portrait.shape[:2]
    frames = np.full((LENGTH, height, width, 3), 128, np.uint8)
    for frame in range(FACES[0].stop, FACES[1].start):
        frames[frame] = (np.add.outer(np.arange(height), np.arange(width))[..., None] + 5 * frame) % 256
    for part in FACES:
        for frame in part:
            frames[frame] = np.roll(small_portrait, frame - part.start, axis=1)
    return write_video(tmp_path_factory.mktemp("mixed") / "mixed.mp4", frames, 25, "-qp", "0")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of the voice that ships as that lasts."""
    samples = decode_sound(VOICE)[: LENGTH * 640]
    return write_wav(tmp_path_factory.mktemp("talk") / "talk.wav", samples)


@pytest.fixture(scope="module")
def prepared(
    engine: LipSync, mixed: Path, talk: Path, bare_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RenderPlan]:
    with engine.preparing(mixed, talk, settings(bare_models), tmp_path_factory.mktemp("prepared")) as plan:
        yield plan


@pytest.fixture(scope="module")
def made(prepared: RenderPlan) -> list[UInt8Array]:
    return list(render_frames(prepared, 0, LENGTH, RenderRun()))


def test_cutaways_pass_to_the_byte_and_faces_are_painted(prepared: RenderPlan, made: list[UInt8Array]) -> None:
    source = list(map(Frame.rgb, play(prepared.source, prepared.timeline, 0, LENGTH, spool_dir=prepared.folder)))
    assert len(made) == len(source) == LENGTH
    untouched = [k for k, (before, after) in enumerate(zip(source, made, strict=True)) if np.array_equal(before, after)]
    assert untouched == [frame for frame in range(LENGTH) if frame not in SEEN]


def test_the_report_accounts_for_every_frame(
    engine: LipSync, mixed: Path, talk: Path, bare_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the network makes of them."""
    monkeypatch.setattr(UNet3D, "forward", lambda _self, sample, _, audio, **__: latents_alone(sample, audio))
    report = engine.render(mixed, talk, tmp_path / "out.mp4", settings(bare_models))
    assert (report.frames, report.face_frames, report.passthrough_frames) == (LENGTH, len(SEEN), LENGTH - len(SEEN))
    assert (report.fallback_frames, report.fallbacks) == (0, ())
    kinds = [(span.start, span.stop, span.kind) for span in report.spans]
    assert kinds == [
        (0, 8, "face"),
        (8, 14, "cutaway"),
        (14, 22, "face"),
        (22, 26, "cutaway"),
        (26, 34, "face"),
    ]


def test_a_clip_never_reaches_over_a_cutaway(prepared: RenderPlan, made: list[UInt8Array]) -> None:
    """A stretch of a face comes out the same whatever lies around it: frames of others never share its norms."""
    for frame in (FIRST_OF_SECOND, FIRST_OF_SECOND - 1, FACES[2].stop - 1):
        [alone] = render_frames(prepared, frame, frame + 1, RenderRun())
        assert np.array_equal(alone, made[frame])
    painted = [segment for segment in prepared.segments if segment.tracks]
    assert {(segment.start, segment.stop) for segment in painted} == {(part.start, part.stop) for part in FACES}
