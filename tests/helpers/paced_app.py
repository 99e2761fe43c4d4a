"""The app as it runs where a GPU paints: a long render takes its time, but leaves the processor to others."""

from __future__ import annotations

import sys
import threading

from musetalk.backends.preview.generator import PreviewGenerator
from musetalk.backends.types import Clip
from musetalk.cli.main import main
from musetalk.utils.arrays import UInt8Array

_FRAMES_PER_SECOND = 30  # faces painted; those of the few frames that most tests render are there in a second or so
_paint = PreviewGenerator.generate


def _paint_slowly(self: PreviewGenerator, clip: Clip) -> UInt8Array:
    painted, pace = _paint(self, clip), threading.Event()
    for _ in painted:
        clip.check()
        pace.wait(1 / _FRAMES_PER_SECOND)
    return painted


if __name__ == "__main__":
    PreviewGenerator.generate = _paint_slowly  # type: ignore[method-assign]
    main(["app", *sys.argv[1:]])
