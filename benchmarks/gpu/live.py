"""Live sessions of MuseTalk on one card: frames a second, in shared batches and each session by itself."""

from __future__ import annotations

from functools import partial

from benchmarks.common import ASSETS
from benchmarks.gpu.part import Task
from benchmarks.live_batches import HEAD, Stage, make_stage, rows_of

_FULL, _SMOKE = (1, 2, 4, 8), (2,)  # sessions
_SECONDS, _SMOKE_SECONDS = 2.0, 0.2  # of each measurement
_SHORT = 0.16  # seconds of a clip where networks are only tried


def measure(task: Task) -> None:
    """Speak in more and more sessions."""
    clip, network = (_SHORT if task.smoke else 2.0), {"device": task.device.type}
    stage = make_stage(task.folder, task.models, network, ASSETS / "sample.mp4", seconds=clip)
    task.findings.say(
        "MuseTalk 1.5 at 854x480 and 25 fps, the avatar's latents kept. Each session is given the next 80 ms of its "
        "voice once all that can be painted was taken: 25 frames/s of each, or more, are real time. A first frame "
        "waits for its look-ahead of voice, which here is there at once. Batches hold 8 frames at most, of all "
        "sessions, and are filled up to 8, 4, 2 or 1. Beside it the same with each session calling the network by "
        "itself."
    )
    task.findings.head(*HEAD)
    for sessions in _SMOKE if task.smoke else _FULL:
        for shared in (False, True):
            what = f"{sessions} sessions, {'shared' if shared else 'each its own'}"
            task.findings.attempt(what, partial(_row, task, stage, sessions, shared=shared))


def _row(task: Task, stage: Stage, sessions: int, *, shared: bool) -> None:
    rate = stage.measure(sessions, _SMOKE_SECONDS if task.smoke else _SECONDS, shared=shared)
    task.findings.row(*rows_of({(sessions, shared): [rate]})[0])
