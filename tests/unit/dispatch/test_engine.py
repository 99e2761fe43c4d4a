"""Renders that are handed on, by a worker in this process that really renders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.batch.in_process import InProcess
from musetalk.dispatch.dispatcher import Dispatcher
from musetalk.dispatch.engine import WorkersEngine
from musetalk.errors import AvatarError
from musetalk.lipsync import LipSync
from musetalk.pipeline.forecast import COSTS, CostBook, Costs, RenderKind
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import ProgressEvent
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.media import tone, write_wav

DRAFT = RenderSettings.parse({"backend": "preview", "encoder": {"preset": "ultrafast"}})


@dataclass(frozen=True)
class Handed:
    """A server's engine, the worker's, and inputs."""

    engine: WorkersEngine
    costs: CostBook
    worker: LipSync
    face: Path
    voice: Path


@pytest.fixture
def handed(small_portrait: UInt8Array, tmp_path: Path) -> Iterator[Handed]:
    face, voice = tmp_path / "face.png", tmp_path / "a.wav"
    Image.fromarray(small_portrait).resize((96, 128)).save(face)
    write_wav(voice, tone(0.4))
    draft, worker = BackendRegistry([PREVIEW]), LipSync(BackendRegistry([PREVIEW]))
    unknown = Costs(begin=0, plan=0, parse=0, speech=0, paint=0, other=0, finish=0)
    costs = CostBook(tmp_path / COSTS, lambda _: unknown)
    dispatcher = Dispatcher()
    with InProcess(worker) as executor, dispatcher.using(executor):
        yield Handed(WorkersEngine(LipSync(draft, costs=costs), dispatcher), costs, worker, face, voice)


def test_a_render_comes_back_with_its_progress_and_what_it_cost(handed: Handed, tmp_path: Path) -> None:
    told, out = list[ProgressEvent](), tmp_path / "out.mp4"
    report = handed.engine.make(RenderRequest(handed.face, handed.voice, DRAFT), out, on_progress=told.append)
    assert (report.frames, report.output) == (10, str(out))
    assert out.stat().st_size
    assert {"preflight", "plan", "render", "finish"} <= {event.stage for event in told}
    assert any(event.picture for event in told)
    assert handed.costs.known(RenderKind.of(DRAFT, BackendRegistry([PREVIEW]))) is not None


def test_an_avatar_speaks_as_long_as_it_is_the_one_that_was_asked(handed: Handed, tmp_path: Path) -> None:
    place, out = tmp_path / "avatars" / "ann", tmp_path / "out.mp4"
    avatar = handed.worker.create_avatar(handed.face, place, DRAFT)
    report = handed.engine.make(RenderRequest.of_avatar(avatar, handed.voice), out)
    assert (report.avatar_id, report.frames) == (avatar.id, 10)
    shutil.rmtree(place)
    Image.open(handed.face).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(handed.face)
    handed.worker.create_avatar(handed.face, place, DRAFT)
    with pytest.raises(AvatarError, match="made anew meanwhile"):
        handed.engine.make(RenderRequest.of_avatar(avatar, handed.voice), out)
