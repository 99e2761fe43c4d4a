"""The app as it runs where a GPU paints: a long render takes its time, but leaves the processor to others."""

from __future__ import annotations

import sys
import threading
import time

from musetalk.backends.preview.generator import PreviewGenerator
from musetalk.backends.types import Clip
from musetalk.cli.main import main
from musetalk.utils.arrays import UInt8Array

_AT_ONCE = 75  # faces: most tests render fewer, and need not wait for them
_FRAMES_PER_SECOND = 12  # of what is rendered beyond: whoever looks at a long render is shown that it advances
_paint = PreviewGenerator.generate


class _Pace:
    """Lets some faces through at once, and of more of them only so many a second."""

    def __init__(self) -> None:
        self._left, self._counted, self._pause = float(_AT_ONCE), time.monotonic(), threading.Event()

    def hold(self, clip: Clip) -> None:
        """Wait as long as the faces of a clip have to; who stops the render does not."""
        now = time.monotonic()
        self._left = min(_AT_ONCE, self._left + (now - self._counted) * _FRAMES_PER_SECOND) - len(clip.crops)
        self._counted = now
        while self._left + (time.monotonic() - self._counted) * _FRAMES_PER_SECOND < 0:
            clip.check()
            self._pause.wait(1 / _FRAMES_PER_SECOND)


_pace = _Pace()


def _paint_slowly(self: PreviewGenerator, clip: Clip) -> UInt8Array:
    painted = _paint(self, clip)
    _pace.hold(clip)
    return painted


if __name__ == "__main__":
    PreviewGenerator.generate = _paint_slowly  # type: ignore[method-assign]
    main(["app", *sys.argv[1:]])
