"""What renders are made with is let go of: when another is loaded, when a render fails, in the middle of a call."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend, BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.errors import BackendError, ComputeError, OutOfMemoryError
from musetalk.lipsync import LipSync
from musetalk.pipeline.components import ComponentLoader
from musetalk.progress import ProgressEvent
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array
from tests.helpers.errors import raises_kind
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.media import numbered_frames, tone, write_video, write_wav
from tests.helpers.programs import HANG_SECONDS

pytestmark = pytest.mark.integration
FRAMES = 16


class Painter:
    """Calls what it is given with each clip, and changes nothing."""

    clip_length = 4
    crop_size = None
    spec = GeneratorSpec()
    device = "cpu"

    def __init__(self, work: Callable[[Clip], None] = lambda _: None) -> None:
        self._work = work

    def generate(self, clip: Clip) -> UInt8Array:
        self._work(clip)
        return clip.crops.copy()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", numbered_frames(FRAMES))


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("voice") / "voice.wav", tone(FRAMES / 25))


def backend(name: str, load: Callable[[], Painter], *fallbacks: str) -> AnyBackend:
    return BackendSpec(name, "for tests", lambda _: load(), fallbacks=fallbacks)


def settings(name: str) -> RenderSettings:
    return RenderSettings.parse({"backend": name, "detector": {"name": "haar"}, "encoder": {"preset": "ultrafast"}})


def load_with(loader: ComponentLoader, name: str) -> None:
    """Work with a backend for a moment."""
    with loader.lease(loader.check(settings(name))):
        pass


def test_one_generator_is_gone_before_the_next_is_loaded() -> None:
    made: list[weakref.ref[Painter]] = []

    def load() -> Painter:
        assert all(painter() is None for painter in made)
        painter = Painter()
        made.append(weakref.ref(painter))
        return painter

    loader = ComponentLoader(BackendRegistry((backend("one", load), backend("two", load))))
    for name in ("one", "two", "two", "one"):
        load_with(loader, name)
    assert len(made) == 3


class Circle:
    """Refers to itself, as errors do that hold what they happened in: only collecting finds that it is over."""

    def __init__(self) -> None:
        self.itself = self


def left_behind() -> weakref.ref[Circle]:
    return weakref.ref(Circle())


def test_memory_is_collected_where_something_was_dropped_or_failed_and_nowhere_else() -> None:
    """For it takes longer than many a thing takes to load."""

    def broken() -> Painter:
        raise BackendError("its file is damaged", "download it")

    backends = (backend("one", Painter), backend("two", Painter), backend("broken", broken, "one"))
    loader = ComponentLoader(BackendRegistry(backends))
    gc.disable()
    try:
        litter = left_behind()
        load_with(loader, "one")
        load_with(loader, "one")
        assert litter() is not None
        load_with(loader, "two")
        assert litter() is None
        litter = left_behind()
        load_with(loader, "broken")  # lets "two" go, fails, and loads "one"
        assert litter() is None
        fresh, litter = ComponentLoader(BackendRegistry(backends)), left_behind()
        load_with(fresh, "broken")
        assert litter() is None
    finally:
        gc.enable()


def test_after_a_failed_render_nothing_holds_its_generator(film: Path, voice: Path, tmp_path: Path) -> None:
    made: list[weakref.ref[Painter]] = []

    def fail(_: Clip) -> None:
        raise ComputeError("memory ran out")

    def load() -> Painter:
        painter = Painter(fail)
        made.append(weakref.ref(painter))
        return painter

    engine = LipSync(BackendRegistry((backend("one", load),)), EverywhereAFace())
    with raises_kind(ComputeError):
        engine.render(film, voice, tmp_path / "out.mp4", settings("one"))
    engine.release()
    assert [painter() for painter in made] == [None]


def test_a_failure_elsewhere_ends_the_call_that_is_under_way(film: Path, voice: Path, tmp_path: Path) -> None:
    """The second call goes on until it is told to stop, or until the test is given up."""
    calls: list[str] = []
    second = Event()

    def work(clip: Clip) -> None:
        calls.append("begun")
        if len(calls) == 1:
            return
        second.set()
        for _ in range(int(HANG_SECONDS * 100)):
            clip.check()
            Event().wait(0.01)
        calls.append("nobody ended it")

    def full_disk(event: ProgressEvent) -> None:
        if event.stage == "render" and event.done:
            assert second.wait(HANG_SECONDS)
            raise OSError("no space left")

    engine = LipSync(BackendRegistry((backend("one", lambda: Painter(work)),)), EverywhereAFace())
    with pytest.raises(OSError, match="no space left"):
        engine.render(film, voice, tmp_path / "out.mp4", settings("one"), on_progress=full_disk)
    assert calls == ["begun", "begun"]
    assert list(tmp_path.iterdir()) == []


def no_memory() -> Painter:
    raise MemoryError


def test_a_lack_of_memory_while_loading_is_told_as_such(film: Path, voice: Path, tmp_path: Path) -> None:
    def fail(_: Clip) -> None:
        raise ComputeError("the numbers are none")

    with raises_kind(OutOfMemoryError):
        load_with(ComponentLoader(BackendRegistry((backend("one", no_memory),))), "one")
    both = BackendRegistry((backend("one", lambda: Painter(fail), "two"), backend("two", no_memory)))
    with pytest.raises(OutOfMemoryError, match="numbers are none; and who would step in cannot: there is not enough"):
        LipSync(both, EverywhereAFace()).render(film, voice, tmp_path / "out.mp4", settings("one"))


def test_where_both_fail_while_painting_both_reasons_are_told(film: Path, voice: Path, tmp_path: Path) -> None:
    def fail_with(problem: str) -> Callable[[], Painter]:
        def fail(_: Clip) -> None:
            raise ComputeError(problem)

        return lambda: Painter(fail)

    both = BackendRegistry((backend("one", fail_with("first"), "two"), backend("two", fail_with("second"))))
    with pytest.raises(ComputeError, match="first; and who would step in cannot: second"):
        LipSync(both, EverywhereAFace()).render(film, voice, tmp_path / "out.mp4", settings("one"))
