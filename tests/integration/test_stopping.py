"""Stop, in each stage by name: work that is under way when it comes is the last that is done.

Nothing here looks at a clock. Where a stage is made of small pieces, those are counted that begin after the stop;
where it is one long piece, that piece is held until the render has ended without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import nn

import musetalk.comparison.compare
from musetalk.audio.types import MUSETALK_FEATURES
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.comparison.compare import compare
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.errors import Cancelled, ComputeError
from musetalk.faces.types import FaceBox
from musetalk.lipsync import LipSync
from musetalk.pipeline import composite
from musetalk.pipeline.components import ComponentLoader
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressEvent
from musetalk.resume.part_folder import is_folder_of_parts
from musetalk.runtime.stop_points import with_stop_points
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import Float32Array, UInt8Array
from tests.helpers.media import tone, write_video, write_wav
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration
FRAMES, SIDE = 24, 64
_T = TypeVar("_T")


class Stop:
    """Comes with the first piece of work in its stage; counts the pieces that begin afterwards."""

    def __init__(self, stage: str = "") -> None:
        self.token, self.stage, self.now, self.after = CancelToken(), stage, "", 0
        self.over = threading.Event()  # the render has ended

    def told(self, event: ProgressEvent) -> None:
        self.now = event.stage

    def piece(self) -> None:
        if self.token.cancelled:
            self.after += 1
        elif self.stage in {"", self.now}:
            self.token.cancel()

    def hold(self) -> None:
        """One long piece that does not look."""
        self.token.cancel()
        assert self.over.wait(HANG_SECONDS)


class Layers(nn.Module):
    """A network of some layers, each of which is a piece of work."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(stop) for _ in range(20))
        with_stop_points(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Layer(nn.Module):
    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self.stop = stop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.stop.piece()
        return x


@dataclass
class Detector:
    """One face in the middle of every frame; a piece of work each."""

    stop: Stop | None = None
    fingerprint: str = "middle"
    max_side: int = 480

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        return [self._look() for _ in frames]

    def follow(self, frame: UInt8Array, boxes: Sequence[FaceBox]) -> list[FaceBox | None]:
        return [self._look()[0] for _ in boxes]

    def _look(self) -> list[FaceBox]:
        if self.stop is not None:
            self.stop.piece()
        return [FaceBox(12, 12, 52, 52, 1.0)]


@dataclass
class Painter:
    """Does some work with each clip, and paints it grey."""

    work: Callable[[], object] = lambda: None
    spec: GeneratorSpec = field(default_factory=GeneratorSpec)
    crop_size, clip_length, device = 32, 8, "cpu"

    def generate(self, clip: Clip) -> UInt8Array:
        self.work()
        return np.full_like(clip.crops, 128)


class Labeller:
    at_once, fingerprint = 1, "labeller"

    def __init__(self, network: Layers) -> None:
        self.network = network

    def labels(self, crops: Sequence[UInt8Array]) -> UInt8Array:
        self.network(torch.zeros(1))
        return np.ones((len(crops), 512, 512), np.uint8)


class Listener:
    audio_spec, filters = MUSETALK_FEATURES, np.ones((201, 80))
    window_steps, states, width, fingerprint = 20, 5, 4, "listener"

    def __init__(self, stop: Stop) -> None:
        self.stop = stop

    def encode(self, mel: Float32Array) -> Float32Array:
        self.stop.piece()
        return np.zeros((self.window_steps, self.states, self.width), np.float32)


class Enhancer:
    name, size, device = "layers", 32, "cpu"

    def __init__(self, network: Layers) -> None:
        self.network = network

    def enhance(self, faces: UInt8Array, check: Callable[[], None]) -> UInt8Array:
        self.network(torch.zeros(1))
        return faces


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", noise.repeat(FRAMES, axis=0), 25)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", tone(FRAMES / 25))


def engine_with(painter: Painter, detector: Detector, load: Callable[[], object] = lambda: None) -> LipSync:
    def loaded(_settings: RenderSettings) -> Painter:
        load()
        return painter

    names = ("one", "two")
    return LipSync(BackendRegistry(tuple(BackendSpec(name, "", loaded) for name in names)), detector)


def counting(stop: Stop, work: Callable[..., _T]) -> Callable[..., _T]:
    def counted(*args: object, **rest: object) -> _T:
        stop.piece()
        return work(*args, **rest)

    return counted


IN_PIECES = ["preflight", "detection", "parsing", "speech", "painting", "compositing", "enhancement"]


@pytest.mark.parametrize("stage", IN_PIECES)
def test_no_piece_of_work_begins_after_a_stop(
    stage: str, film: Path, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Stop({"detection": "plan"}.get(stage, ""))
    painter, detector, values = Painter(), Detector(), dict[str, object]()
    if stage in {"preflight", "detection"}:
        detector = Detector(stop)
    elif stage == "parsing":
        painter = Painter(spec=GeneratorSpec(framing="halved"))
        monkeypatch.setattr(ComponentLoader, "_parser", lambda *_: Labeller(Layers(stop)))
    elif stage == "speech":
        painter = Painter(spec=GeneratorSpec(audio_spec=MUSETALK_FEATURES))
        monkeypatch.setattr(ComponentLoader, "_encoder", lambda *_: Listener(stop))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    elif stage == "painting":
        network = Layers(stop)
        painter = Painter(lambda: network(torch.zeros(1)))
    elif stage == "compositing":
        monkeypatch.setattr(composite, "patch_in", counting(stop, composite.patch_in))
    else:
        values = {"enhance": {"model": "gfpgan"}}
        monkeypatch.setattr(EnhancerRegistry, "lacks", lambda *_: ())
        monkeypatch.setattr(ComponentLoader, "_enhancer", lambda *_: Enhancer(Layers(stop)))
    out = tmp_path / "out" / "out.mp4"
    out.parent.mkdir()
    settings = RenderSettings.parse({"backend": "one", **values})
    with pytest.raises(Cancelled):
        engine_with(painter, detector).render(film, voice, out, settings, on_progress=stop.told, cancel=stop.token)
    for thread in threading.enumerate():  # what was left alone has come to its next stop point
        if thread.name == "left-alone":
            thread.join(HANG_SECONDS)
    assert stop.token.cancelled
    assert stop.after == 0
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("stage", ["loading", "warm-up", "loading the fallback"])
def test_what_does_not_look_is_not_waited_for(stage: str, film: Path, voice: Path, tmp_path: Path) -> None:
    stop = Stop()
    detector, settings = (
        Detector(),
        RenderSettings.parse({"backend": "one", "network": {"compile": stage == "warm-up"}}),
    )
    if stage == "loading":
        engine = engine_with(Painter(), detector, stop.hold)
    elif stage == "warm-up":
        engine = engine_with(Painter(stop.hold), detector)
    else:

        def fail() -> None:
            raise ComputeError("memory ran out")

        def load_second(_settings: RenderSettings) -> Painter:
            stop.hold()
            return Painter()

        first = BackendSpec("one", "", lambda _: Painter(fail), fallbacks=("two",))
        second = BackendSpec("two", "", load_second)
        engine = LipSync(BackendRegistry((first, second)), detector)
    try:
        with pytest.raises(Cancelled):
            engine.render(film, voice, tmp_path / "out.mp4", settings, cancel=stop.token)
        engine.release()  # waits for nobody either
    finally:
        stop.over.set()
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_render_is_stopped(film: Path, voice: Path, tmp_path: Path) -> None:
    token = CancelToken()

    def told(event: ProgressEvent) -> None:
        if event.stage == "finish":
            token.cancel()

    engine, settings, out = engine_with(Painter(), Detector()), RenderSettings(backend="one"), tmp_path / "out.mp4"
    with pytest.raises(Cancelled):
        engine.render(film, voice, out, settings, on_progress=told, cancel=token)
    assert not out.exists()
    resumed = engine.render(film, voice, out, settings).resumed  # its one part was done
    assert resumed is not None
    assert (resumed.taken_over, resumed.made) == (1, 0)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("stage", ["between backends", "loading the second", "side by side", "plots"])
def test_a_comparison_is_stopped(
    stage: str, film: Path, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, loads, notes = Stop(), list[str](), list[str]()

    def told(event: ProgressEvent) -> None:
        notes.append(event.note)
        if stage == "side by side" and event.note.startswith("putting the results"):
            stop.token.cancel()

    def load() -> None:
        loads.append("one")
        if len(loads) == 2 and stage == "loading the second":
            stop.hold()

    engine = engine_with(Painter(), Detector(), load)
    if stage == "between backends":
        released = LipSync.release
        monkeypatch.setattr(LipSync, "release", lambda self: (stop.token.cancel(), released(self)))
    elif stage == "plots":
        monkeypatch.setattr(musetalk.comparison.compare, "_plotting", stop.hold)
    folder = tmp_path / "results"
    try:
        with pytest.raises(Cancelled):
            compare(*(engine, RenderRequest(film, voice), folder, ("one", "two")), on_progress=told, cancel=stop.token)
    finally:
        stop.over.set()
    assert all(is_folder_of_parts(path.name) for path in folder.iterdir())  # with which the same goes on
    assert len(loads) == (1 if stage == "between backends" else 2)
