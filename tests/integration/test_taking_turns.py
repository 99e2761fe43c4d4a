"""Renders and previews at once: they share what they can, wait for what they cannot, and leave nothing in memory."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend, BackendSpec, GpuCost
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.errors import Cancelled, ComputeError, OutOfMemoryError
from musetalk.inspection.frame import FramePreview
from musetalk.lipsync import LipSync
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from musetalk.webui.drawing.shown_frame import ShownFrame, shown_frame
from musetalk.webui.previews import Previews, Wish
from tests.helpers.errors import raises_kind
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.media import numbered_frames, tone, write_video, write_wav
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration
FRAMES = 12


class Network:
    """Paints nothing; may be held in its first call, and may fail in it."""

    clip_length, crop_size, device = 4, None, "cpu"
    spec = GeneratorSpec()

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.weights = torch.zeros(backend.kilobytes, 256)

    def generate(self, clip: Clip) -> UInt8Array:
        self._backend.painting.set()
        while not self._backend.go.wait(0.01):
            clip.check()
        if self._backend.fails:
            raise ComputeError("the numbers are none")
        if not self._backend.fits():
            raise OutOfMemoryError("there is not enough memory")
        return np.copy(clip.crops)


class Backend:
    """A backend whose networks are counted."""

    def __init__(self, name: str, *fallbacks: str, gpu: bool = True, held: bool = False) -> None:
        self.name, self.fails, self.kilobytes = name, False, 1024
        self.fits: Callable[[], bool] = lambda: True
        self.painting, self.go = threading.Event(), threading.Event()
        if not held:
            self.go.set()
        self.made: list[weakref.ref[Network]] = []
        self.others: list[Backend] = []
        self.beside: list[str] = []
        cost = GpuCost(1.0, 1.0) if gpu else None
        self.spec: AnyBackend = BackendSpec(name, "", lambda _: self._load(), gpu=cost, fallbacks=fallbacks)

    def _load(self) -> Network:
        self.beside += [other.name for other in self.others if other.alive]
        network = Network(self)
        self.made.append(weakref.ref(network))
        return network

    @property
    def alive(self) -> int:
        return sum(network() is not None for network in self.made)


class Renders:
    """Renders of one engine, each in a thread."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, *backends: Backend) -> None:
        self._folder, self._pool, self.backends = folder, pool, backends
        for each in backends:
            each.others = [other for other in backends if other is not each]
        self.engine = LipSync(BackendRegistry(each.spec for each in backends), EverywhereAFace())
        self.film = write_video(folder / "film.mp4", numbered_frames(FRAMES))
        self.voice = write_wav(folder / "voice.wav", tone(FRAMES / 25))

    def render(self, backend: Backend, told: Told | None = None) -> Future[RenderReport]:
        told = told or Told()
        out = self._folder / f"{backend.name}-{threading.get_ident()}-{len(list(self._folder.iterdir()))}.mp4"
        return self._pool.submit(
            self.engine.render, self.film, self.voice, out, settings(backend), on_progress=told, cancel=told.cancel
        )

    def preview(self, backend: Backend, told: Told) -> FramePreview:
        return self.engine.preview_frame(
            self.film, self.voice, settings(backend), at=0.2, on_progress=told, cancel=told.cancel
        )


class Told:
    """What somebody is told, and may end."""

    def __init__(self) -> None:
        self.cancel, self.events, self.waits = CancelToken(), list[ProgressEvent](), threading.Event()

    def __call__(self, event: ProgressEvent) -> None:
        self.events.append(event)
        if event.before:
            self.waits.set()


def settings(backend: Backend) -> RenderSettings:
    return RenderSettings.parse({"backend": backend.name, "encoder": {"preset": "ultrafast"}})


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(6) as threads:
        yield threads


def test_renders_with_other_networks_take_turns_and_memory_holds_one_of_them(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    one, two, told = Backend("one", held=True), Backend("two"), Told()
    renders = Renders(tmp_path, pool, one, two)
    first = renders.render(one)
    assert one.painting.wait(HANG_SECONDS)
    second = renders.render(two, told)
    assert told.waits.wait(HANG_SECONDS)
    assert not two.made
    one.go.set()
    assert "wait" not in first.result(HANG_SECONDS).stages
    assert second.result(HANG_SECONDS).stages["wait"] > 0
    assert [event.before for event in told.events if event.before] == [1]
    assert told.events[-1].before == 0
    renders.render(one).result(HANG_SECONDS)
    assert (one.beside, two.beside) == ([], [])
    assert [len(one.made), one.alive, two.alive] == [2, 1, 0]
    renders.engine.release()
    assert one.alive == 0


def test_who_needs_the_same_networks_or_none_does_not_wait(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    one, draft = Backend("one", held=True), Backend("draft", gpu=False)
    renders, told = Renders(tmp_path, pool, one, draft), Told()
    job = renders.render(one)
    assert one.painting.wait(HANG_SECONDS)
    assert renders.preview(draft, told).result is not None
    also = pool.submit(renders.preview, one, told)
    one.go.set()
    assert also.result(HANG_SECONDS).result is not None
    job.result(HANG_SECONDS)
    assert not told.waits.is_set()
    renders.preview(draft, told)
    assert [len(one.made), one.alive] == [1, 1]


def test_waiting_ends_by_a_stop_and_the_render_goes_on(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    one, two, told = Backend("one", held=True), Backend("two"), Told()
    renders = Renders(tmp_path, pool, one, two)
    job = renders.render(one)
    assert one.painting.wait(HANG_SECONDS)
    waiting = pool.submit(renders.preview, two, told)
    assert told.waits.wait(HANG_SECONDS)
    told.cancel.cancel()
    with pytest.raises(Cancelled):
        waiting.result(HANG_SECONDS)
    one.go.set()
    assert job.result(HANG_SECONDS).frames == FRAMES
    assert not two.made


def test_a_render_that_fails_leaves_its_turn_and_its_memory(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    one, two, told = Backend("one", held=True), Backend("two"), Told()
    one.fails = True
    renders = Renders(tmp_path, pool, one, two)
    failing = renders.render(one)
    assert one.painting.wait(HANG_SECONDS)
    waiting = pool.submit(renders.preview, two, told)
    assert told.waits.wait(HANG_SECONDS)
    one.go.set()
    assert waiting.result(HANG_SECONDS).result is not None
    with raises_kind(ComputeError):
        failing.result(HANG_SECONDS)
    del failing
    renders.engine.release()
    assert [one.alive, two.alive] == [0, 0]


def test_a_fallback_in_memory_beside_its_backend_is_told_with_sizes(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    one, two, told = Backend("one", "two"), Backend("two"), Told()
    one.fails, two.kilobytes = True, 512
    renders = Renders(tmp_path, pool, one, two)
    assert renders.render(one, told).result(HANG_SECONDS).fallback_frames == FRAMES
    said = "in memory at once, for all are in use: one (1 MiB) and two (512 KiB)"
    assert [event.note for event in told.events].count(said) == 1
    assert [one.alive, two.alive] == [1, 1]


def test_previews_that_wait_for_a_device_hold_up_no_draft(tmp_path: Path, pool: ThreadPoolExecutor) -> None:
    one, two, draft = Backend("one", held=True), Backend("two"), Backend("draft", gpu=False)
    renders, previews = Renders(tmp_path, pool, one, two, draft), Previews(at_once=1)
    try:
        job = renders.render(one)
        assert one.painting.wait(HANG_SECONDS)
        waits, ends = threading.Event(), threading.Event()

        def start(visit: str, backend: Backend, ended: threading.Event) -> None:
            def work(tell: ProgressCallback, cancel: CancelToken) -> ShownFrame:
                def told(event: ProgressEvent) -> None:
                    tell(event)
                    if event.before:
                        waits.set()

                found = renders.engine.preview_frame(
                    renders.film, renders.voice, settings(backend), at=0.2, on_progress=told, cancel=cancel
                )
                ended.set()
                return shown_frame(found, backend.name, max_side=64)

            previews.start(visit, Wish(renders.film, renders.voice, settings(backend)), work)

        late = threading.Event()
        start("ann", two, late)
        assert waits.wait(HANG_SECONDS)
        waiting = previews.newest("ann")
        assert waiting is not None
        assert waiting.before == 1
        start("bob", draft, ends)
        assert ends.wait(HANG_SECONDS)
        assert not late.is_set()
        one.go.set()
        assert late.wait(HANG_SECONDS)
        job.result(HANG_SECONDS)
    finally:
        one.go.set()
        previews.close()


def test_where_memory_runs_out_while_painting_what_nobody_uses_goes_first(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    one, two, told = Backend("one", "two"), Backend("two"), Told()
    renders = Renders(tmp_path, pool, one, two)
    one.fails = True
    renders.render(one).result(HANG_SECONDS)
    assert two.alive == 1
    one.fails, one.fits = False, lambda: two.alive == 0
    report = renders.render(one, told).result(HANG_SECONDS)
    assert (report.fallback_frames, two.alive) == (0, 0)
    assert "memory ran out while one painted: two went, and it was tried once more" in report.warnings
    one.fits = lambda: False
    assert renders.render(one).result(HANG_SECONDS).fallbacks[0].kind == OutOfMemoryError.kind
