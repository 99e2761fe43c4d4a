"""A render of numbered frames by something cheap, also as a program of its own that can be killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.faces.types import FaceBox
from musetalk.lipsync import LipSync
from musetalk.progress import ProgressEvent
from musetalk.resume.types import ResumeOptions
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array

PART = 10  # frames: four parts and a bit
OPTIONS = ResumeOptions(part_frames=PART)
SETTINGS = RenderSettings(backend="inverter", measure=True)


class Middle:
    """One face in the middle of every frame."""

    fingerprint, max_side = "middle", 480

    def detect(self, frames: Sequence[UInt8Array]) -> list[list[FaceBox]]:
        return [[FaceBox(16, 8, 48, 40, 1.0)] for _ in frames]


class Inverter:
    """Inverts its crops, seven frames at a time; breaks at a call, if it is told which."""

    crop_size, clip_length, device = 32, 7, "cpu"
    spec = GeneratorSpec()

    def __init__(self, breaks_at: int = 0) -> None:
        self.calls, self.breaks_at = 0, breaks_at

    def generate(self, clip: Clip) -> UInt8Array:
        self.calls += 1
        if self.calls == self.breaks_at:
            raise RuntimeError("the GPU is gone")
        return np.asarray(255 - clip.crops)


def engine(inverter: Inverter | None = None) -> LipSync:
    made = inverter or Inverter()
    return LipSync(BackendRegistry((BackendSpec("inverter", "for tests", lambda _: made),)), Middle())


def main(film: str, voice: str, out: str, what: str) -> None:
    """`kill N`: render, and be killed once N frames are there; `parts N`: make the parts from N on."""
    verb, number = what.split()

    def told(event: ProgressEvent) -> None:
        if event.stage == "render" and event.done >= int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    inputs = (Path(film), Path(voice), Path(out), SETTINGS)
    if verb == "kill":
        engine().render(*inputs, resume=OPTIONS, on_progress=told)
    else:
        engine().render_parts(*inputs, numbers=range(int(number), 99), resume=OPTIONS)


if __name__ == "__main__":
    main(*sys.argv[1:])
