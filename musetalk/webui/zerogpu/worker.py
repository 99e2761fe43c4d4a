"""Work in a process that holds a lent GPU, as `spaces.GPU` runs it on a Hugging Face Space (ZeroGPU).

A function decorated by `spaces.GPU` runs in a forked process: it inherits what exists here, its argument goes in and
what it yields comes back pickled. What the `spaces` package leaves open is settled in this module:

- It hands on only the name of an exception's class, so errors are yielded, and raised again on this side.
- Closing its generator waits for the next yield, and tells a silent process nothing. So each order has a lease, a file
  that exists for as long as its result is wanted; the process polls it and cancels the work when it is gone.
- It keeps a process for the next order where it can. So nothing of an order may outlive it there.
"""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from musetalk.errors import BackendError, MuseTalkError
from musetalk.lipsync import LipSync
from musetalk.pipeline.report import RenderReport
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback, ProgressEvent
from musetalk.settings import RenderSettings

if TYPE_CHECKING:
    from musetalk.inspection.frame import FramePreview

R_co = TypeVar("R_co", covariant=True)
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Order(ABC, Generic[R_co]):
    """What a process with a GPU is asked to do; can be pickled, and so can its result.

    Attributes:
        seconds: How long it may hold the GPU.
        lease: Where a file exists for as long as the result is wanted; its folder is there.
    """

    seconds: int
    lease: Path

    @abstractmethod
    def run(self, engine: LipSync, on_progress: ProgressCallback, cancel: CancelToken) -> R_co:
        """Do it."""


@dataclass(frozen=True, slots=True)
class RenderOrder(Order[RenderReport]):
    """Make what is asked for, which names what paints."""

    request: RenderRequest
    out: Path

    def run(self, engine: LipSync, on_progress: ProgressCallback, cancel: CancelToken) -> RenderReport:
        """Do it."""
        return engine.make(self.request, self.out, on_progress=on_progress, cancel=cancel)


@dataclass(frozen=True, slots=True)
class PreviewOrder(Order["FramePreview"]):
    """Show one frame, `at` seconds into the output; see `LipSync.preview_frame`."""

    video: Path
    voice: Path | None
    settings: RenderSettings
    at: float | None
    strict: bool

    def run(self, engine: LipSync, on_progress: ProgressCallback, cancel: CancelToken) -> FramePreview:
        """Do it."""
        return engine.preview_frame(
            self.video,
            self.voice,
            self.settings,
            at=self.at,
            strict=self.strict,
            on_progress=on_progress,
            cancel=cancel,
        )


@dataclass(frozen=True, slots=True)
class Done:
    """The last message of an order that succeeded."""

    value: Any


Message: TypeAlias = ProgressEvent | MuseTalkError | Done
Work: TypeAlias = Callable[[Order[Any]], Generator[Message, None, None]]


class Gpu(Protocol):
    """What lends a GPU, as `spaces.GPU` does: a decorator that takes the seconds as a function of the argument."""

    def __call__(self, *, duration: Callable[[Order[Any]], int]) -> Callable[[Work], Work]:
        """Make a decorator for generator functions."""
        ...


class LentGpu:
    """Hands orders to a process that holds a GPU. To be made before the app is launched.

    Args:
        engine: What does the work; the process inherits it as it is when the process is forked.
        gpu: `spaces.GPU`, or a stand-in.
        refusals: Exceptions by which `gpu` says that there is no GPU, or that its process failed.
    """

    def __init__(self, engine: LipSync, gpu: Gpu, refusals: tuple[type[Exception], ...] = ()) -> None:
        self._engine = engine
        self._refusals = refusals
        # A fork inherits the open ends of all pipes. An ffmpeg fed by this process would then never see its input end,
        # so none may run while a process is forked.
        self._fork = threading.Lock()
        self._on_gpu = gpu(duration=_seconds_of)(self._work)

    @contextmanager
    def not_forking(self, cancel: CancelToken) -> Iterator[None]:
        """Inside the `with` block no process is forked. Waiting for it ends when the work is cancelled."""
        while not self._fork.acquire(timeout=_POLL_SECONDS):
            cancel.check()
        try:
            yield
        finally:
            self._fork.release()

    def do(self, order: Order[R_co], on_progress: ProgressCallback, cancel: CancelToken) -> R_co:
        """Have an order carried out.

        Args:
            order: What to do.
            on_progress: Called from this thread as work goes on.
            cancel: Ends the work. Waiting for a GPU cannot be ended; the work then ends as soon as it begins.

        Raises:
            BackendError: No GPU was lent, or its process failed.
            MuseTalkError: As the work itself.
        """
        done: Done | None = None
        try:
            # The lease ends before the generator is closed, which waits for the process.
            with closing(self._on_gpu(order)) as messages, _lease(order.lease, cancel):
                with self.not_forking(cancel):
                    first = next(messages, None)
                for message in chain(() if first is None else (first,), messages):
                    if isinstance(message, MuseTalkError):
                        raise message
                    if isinstance(message, Done):
                        done = message
                    else:
                        on_progress(message)
        except self._refusals as error:
            remedy = "try again later, with a shorter voice, or choose a backend that needs no GPU"
            raise BackendError(_words_of(error), remedy) from error
        if done is None:
            raise BackendError("the process with the GPU ended without a result", "try again")
        value: R_co = done.value
        return value

    def _work(self, order: Order[Any]) -> Generator[Message, None, None]:
        """Carry an order out; runs in the process with the GPU."""
        cancel = CancelToken()
        # Unbounded, so that the work is never held up by a reader that has gone; it holds a few numbers per frame.
        events: queue.SimpleQueue[ProgressEvent | None] = queue.SimpleQueue()
        with _watching(lambda: not order.lease.exists(), cancel.cancel), ThreadPoolExecutor(1, "order") as pool:
            work = pool.submit(order.run, self._engine, events.put, cancel)
            work.add_done_callback(lambda _: events.put(None))
            try:
                yield from iter(events.get, None)
            finally:
                cancel.cancel()  # harmless when it has ended; else the generator was closed, and nobody waits for it
            try:
                yield Done(work.result())
            except MuseTalkError as error:
                yield error


def _seconds_of(order: Order[Any]) -> int:
    return order.seconds


def _words_of(refusal: Exception) -> str:
    """Return what a refusal says: gradio's errors have a title and a message, others their text."""
    parts = (getattr(refusal, "title", ""), getattr(refusal, "message", str(refusal)))
    return ": ".join(str(part) for part in parts if part).rstrip(" .") or type(refusal).__name__


@contextmanager
def _lease(path: Path, cancel: CancelToken) -> Iterator[None]:
    """A file that is there until the `with` block is left, or the work is cancelled."""
    path.touch()
    try:
        with _watching(lambda: cancel.cancelled, lambda: path.unlink(missing_ok=True)):
            yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _watching(seen: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Inside the `with` block, do something once, from another thread, when a condition comes true."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            if seen():
                act()
                return

    thread = threading.Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
