"""Generators that live sessions share: what several of them paint at the same time is one batch of the network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from musetalk.backends.types import Clip, FaceGenerator, GeneratorSpec, PaintsFrames
from musetalk.runtime.shared_calls import SharedCalls
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.stopping import stop_point


class SharedGenerator:
    """A `FaceGenerator` for several threads, whose clips are painted together, frame by frame.

    Each thread prepares and finishes its own clips; the network is called by one thread, which ends with `close`.

    Args:
        generator: What paints.
    """

    def __init__(self, generator: PaintsFrames) -> None:
        self._generator = generator
        self._calls = SharedCalls[Any, Any](generator.forward, generator.frames_at_once)

    @property
    def crop_size(self) -> int | None:
        """See `FaceGenerator`."""
        return self._generator.crop_size

    @property
    def clip_length(self) -> int:
        """See `FaceGenerator`."""
        return self._generator.clip_length

    @property
    def spec(self) -> GeneratorSpec:
        """See `FaceGenerator`."""
        return self._generator.spec

    @property
    def device(self) -> str:
        """See `FaceGenerator`."""
        return self._generator.device

    @property
    def waiting(self) -> int:
        """Frames that wait for a batch."""
        return self._calls.waiting

    def generate(self, clip: Clip) -> UInt8Array:
        """Return the clip's crops speaking: uint8 RGB [N, S, S, 3]; see `FaceGenerator`.

        Raises:
            ComputeError: Memory ran out, or the networks' numbers are none.
            Cancelled: The work was to end.
        """

        def check() -> None:
            stop_point()
            clip.check()

        return self._generator.finish(clip, self._calls.run(self._generator.prepare(clip), check))

    def close(self) -> None:
        """End its thread."""
        self._calls.close()


@dataclass(slots=True)
class _Entry:
    """A generator that is shared, and by how many."""

    shared: SharedGenerator
    users: int = 0


class SharedGenerators:
    """Shares each generator between the sessions that paint with it, as long as there are any. Safe between threads.

    Args:
        on_cpu: Whether those that run on the CPU are shared, too. There a batch takes as long as its frames one by one,
            and one thread that calls is slower than several (benchmarks/live_musetalk.md).
    """

    def __init__(self, *, on_cpu: bool = False) -> None:
        self._on_cpu = on_cpu
        self._lock = threading.Lock()
        self._entries: dict[int, _Entry] = {}  # by the identity of the generator, which the entry keeps alive

    @property
    def waiting(self) -> int:
        """Frames of all sessions that wait for a batch."""
        with self._lock:
            return sum(entry.shared.waiting for entry in self._entries.values())

    @contextmanager
    def joined(self, generator: FaceGenerator) -> Iterator[FaceGenerator]:
        """Share a generator inside the `with` block; one that would gain nothing by it is given as it is."""
        on_cpu = generator.device == "cpu" and not self._on_cpu
        if not isinstance(generator, PaintsFrames) or on_cpu:
            yield generator
            return
        with self._lock:
            entry = self._entries.get(id(generator))
            if entry is None:
                entry = self._entries[id(generator)] = _Entry(SharedGenerator(generator))
            entry.users += 1
        try:
            yield entry.shared
        finally:
            with self._lock:
                entry.users -= 1
                if last := not entry.users:
                    del self._entries[id(generator)]
            if last:
                entry.shared.close()
