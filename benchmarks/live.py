"""Live speech: what a second of it costs as minutes pass, how soon it is seen, and several sessions at once.

python -m benchmarks.live [--minutes 30] [--real-minutes 2] [--sessions 4] [SOURCE]
python -m benchmarks.live --backend musetalk [--seconds 40] [--rounds 3] [--sessions 4] [SOURCE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import ASSETS, machine, make_clip, make_voice, measured, publish, table
from musetalk.lipsync import LipSync
from musetalk.settings import CHUNK_SECONDS, RenderSettings
from musetalk.streaming.pacing import paced
from musetalk.streaming.session import StreamingSession
from musetalk.utils.arrays import Int16Array

SIZE = (854, 480)
CLIP_SECONDS = 8
SENTENCE, PAUSE = 6.0, 2.0  # seconds of a conversation: speech, and silence after it
INTERRUPTED_AFTER = 3.0  # seconds of every other sentence
LATE = 0.04  # seconds by which a frame counts as late
MIB = 2**20


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", nargs="?", type=Path, default=ASSETS / "sample.mp4")
    parser.add_argument("--minutes", type=int, default=30, help="of speech that is made as quickly as possible")
    parser.add_argument("--real-minutes", type=float, default=2.0, help="of a conversation in real time")
    parser.add_argument("--sessions", type=int, default=4, help="at once")
    parser.add_argument(
        "--backend", choices=["preview", "musetalk"], default="preview", help="by which they are painted"
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="musetalk: of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="musetalk: measurements of each kind")
    parser.add_argument("--part", choices=["long", "real"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part is not None:
        found = measure_minutes(given) if given.part == "long" else measure_conversation(given)
        sys.stdout.write(json.dumps(found))
        return
    if given.backend == "musetalk":
        publish("live_musetalk.md", measure_batches(given))
        return
    options = ["--minutes", str(given.minutes), "--real-minutes", str(given.real_minutes), str(given.source)]
    long = measured("live", "--part", "long", *options)
    counts = (1, given.sessions)
    real = [measured("live", "--part", "real", "--sessions", str(count), *options) for count in counts]
    publish("live.md", _page(given, long, dict(zip(counts, real, strict=True))))


@contextmanager
def sessions(source: Path, count: int) -> Iterator[tuple[list[StreamingSession], Int16Array, int]]:
    """Open sessions of one avatar of `SIZE`, and a minute of voice with its rate."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4", seconds=CLIP_SECONDS, fps="25", size=SIZE, picture=source)
        with wave.open(str(make_voice(folder / "voice.wav", seconds=60))) as file:
            rate, voice = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
        engine = LipSync(own_process=True)
        avatar = engine.create_avatar(clip, folder / "avatar", RenderSettings.parse({"backend": "preview"}))
        yield [opened.enter_context(engine.live(avatar)) for _ in range(count)], voice, rate


def measure_minutes(given: argparse.Namespace) -> dict[str, Any]:
    """Speak without a pause, as quickly as frames are made, and look at each minute of it."""
    process, rows = psutil.Process(), []
    with sessions(given.source, 1) as ((session,), voice, rate):
        taken = 0
        for minute in range(1, given.minutes + 1):
            cpu, began = _processor_seconds(process), time.monotonic()
            pusher = threading.Thread(target=_push, args=(session, voice, rate))
            pusher.start()
            until = round(minute * 60 * session.fps) - round(session.fps)  # the last ones need what follows
            while taken < until:
                session.take()
                taken += 1
            pusher.join()
            spent = _processor_seconds(process) - cpu
            rows.append([spent / 60, 60 / (time.monotonic() - began), _resident(process)])
        session.flush()
        rest = sum(1 for _ in session.spoken())
        return {"minutes": rows, "frames": taken + rest, "wanted": round(60 * given.minutes * session.fps)}


def measure_conversation(given: argparse.Namespace) -> dict[str, Any]:
    """Converse in real time, in all sessions at once: sentences, some of them interrupted, and pauses."""
    process, late = psutil.Process(), list[float]()
    with sessions(given.source, given.sessions) as (opened, voice, rate):
        cpu, began = _processor_seconds(process), time.monotonic()
        shown = [threading.Thread(target=_show, args=(session, late)) for session in opened]
        talkers = [threading.Thread(target=_talk, args=(session, voice, rate, given)) for session in opened]
        for thread in (*shown, *talkers):
            thread.start()
        for thread in talkers:
            thread.join()
        passed, spent = time.monotonic() - began, _processor_seconds(process) - cpu
        resident = _resident(process)
        metrics = [session.metrics.model_dump() for session in opened]
        for session in opened:
            session.close()
        for thread in shown:
            thread.join()
    return {
        "metrics": metrics,
        "late": float(np.mean(np.array(late) > LATE)),
        "worst": max(late),
        "cores": spent / passed,
        "resident": resident,
    }


def measure_batches(given: argparse.Namespace) -> str:
    """Speak with MuseTalk in 1, 2, 4 and so on sessions at once, in shared batches and without; returns the page."""
    from benchmarks.live_batches import HEAD, compared, rows_of, small_stage  # noqa: PLC0415 - loads torch

    counts = tuple(2**power for power in range(given.sessions.bit_length()))
    with small_stage(given.source) as stage:
        found = compared(stage, counts, given.seconds, given.rounds)
    rows = rows_of(found)
    return f"""# Live speech by MuseTalk, several sessions at once

On a CPU, in fp32, networks of MuseTalk's kind that are small enough for it, with random weights: a UNet and an
autoencoder of as many levels, a fifth and an eighth as wide as published, and an encoder of Whisper-tiny's width that
hears 3 s at once. That says nothing of a GPU, where `benchmarks/on_gpu.sh` measures the same in published sizes.
{machine()}.

Each session says something else with the same avatar ({"{}x{}".format(*SIZE)}, 25 fps) and is given the next
{float(CHUNK_SECONDS) * 1000:.0f} ms of its voice once all that can be painted was taken.
Rounds of {given.seconds:g} s each, all ways in turns: {given.rounds}; medians.
Load average at the end: {os.getloadavg()[0]:.0f}.
Where that is far above the number of cores, other programs had most of them, and frames/s say most about who has more
threads to compete with: CPU seconds a frame compare.

{table(HEAD, rows)}"""


def _push(session: StreamingSession, voice: Int16Array, rate: int, *, real: bool = False) -> None:
    """Push a voice in chunks, in real time or as quickly as there is room."""
    size, began = round(CHUNK_SECONDS * rate), time.monotonic()
    for start in range(0, len(voice), size):
        chunk = voice[start : start + size]
        if real:  # a chunk can be sent once its last sample was spoken
            time.sleep(max(0.0, began + (start + len(chunk)) / rate - time.monotonic()))
        session.push(chunk, rate)


def _talk(session: StreamingSession, voice: Int16Array, rate: int, given: argparse.Namespace) -> None:
    """Hold a conversation: every other sentence is interrupted."""
    ends, sentence = time.monotonic() + 60 * given.real_minutes, 0
    while time.monotonic() < ends:
        interrupted = sentence % 2 == 1
        _push(session, voice[: round((INTERRUPTED_AFTER if interrupted else SENTENCE) * rate)], rate, real=True)
        if interrupted:
            session.interrupt()
        else:
            session.flush()
        time.sleep(PAUSE)
        sentence += 1


def _show(session: StreamingSession, late: list[float]) -> None:
    """Take frames in real time, and note how much later each comes than its turn."""
    first, lost = None, 0.0
    for number, _ in enumerate(paced(session)):
        now = time.monotonic()
        first = now if first is None else first
        behind = now - first - float(number / session.fps)
        late.append(max(0.0, behind - lost))
        lost = max(lost, behind)  # what is late makes all that follows as late


def _processor_seconds(process: psutil.Process) -> float:
    """What the process and its children have taken so far, those that have ended among them."""
    times = process.cpu_times()
    running = sum(sum(child.cpu_times()[:2]) for child in process.children(recursive=True))
    return float(times.user + times.system + times.children_user + times.children_system + running)


def _resident(process: psutil.Process) -> float:
    """MiB of the process and its children."""
    family = [process, *process.children(recursive=True)]
    return float(sum(each.memory_info().rss for each in family)) / MIB


def _page(given: argparse.Namespace, long: dict[str, Any], real: dict[int, dict[str, Any]]) -> str:
    minutes = long["minutes"]
    third = max(1, len(minutes) // 3)
    early, last = (np.median([row[0] for row in part]) for part in (minutes[1 : third + 1], minutes[-third:]))
    shown = sorted({0, 1, 4, 9, 19, 29, len(minutes) - 1} & set(range(len(minutes))))
    rows = [
        [place + 1, f"{minutes[place][0]:.3f}", f"{minutes[place][1]:.1f}", f"{minutes[place][2]:.0f}"]
        for place in shown
    ]
    talks = [_conversation(count, found) for count, found in real.items()]
    size, chunk = "{}x{}".format(*SIZE), f"{float(CHUNK_SECONDS) * 1000:.0f} ms"
    return f"""# Live speech

`preview` backend, {size} at 25 fps, {CLIP_SECONDS} s of `{given.source.name}` back and forth; the shipped voice.
Frames with their sound as the library gives them, not encoded. {machine()}.

## Minute by minute, as quickly as it goes

| minute | processor seconds a second of speech | x real time | resident MiB |
| --- | --- | --- | --- |
{chr(10).join("| " + " | ".join(map(str, row)) + " |" for row in rows)}

A second of the last third of {len(minutes)} minutes against one of the first third: {last / early:.3f}.
Frames: {long["frames"]} of {long["wanted"]}.

## A conversation in real time

{given.real_minutes:g} minutes: sentences of {SENTENCE:g} s that arrive as they are spoken, in chunks of {chunk},
every other one interrupted after {INTERRUPTED_AFTER:g} s, pauses of {PAUSE:g} s. From the first chunk's arrival to its
first frame; medians, and the 95th percentile. Late: more than {LATE * 1000:.0f} ms behind its turn.

{table(_TALK, talks)}"""


_TALK = (
    "sessions",
    "first frame, first voice, ms",
    "first frame, ms",
    "interruption to rest, ms",
    "a painted frame, ms",
    "late frames",
    "latest, ms",
    "cores",
    "resident MiB",
)


def _conversation(count: int, found: dict[str, Any]) -> list[str]:
    metrics = found["metrics"]
    cold = max(each["first_frame_cold_ms"] for each in metrics)
    spans = [
        "{:.0f} ({:.0f})".format(*(max(each[name][share] for each in metrics) for share in ("p50", "p95")))
        for name in ("first_frame_ms", "interrupt_ms", "frame_ms")
    ]
    late = [f"{100 * found['late']:.2f} %", f"{1000 * found['worst']:.0f}"]
    return [str(count), f"{cold:.0f}", *spans, *late, f"{found['cores']:.2f}", f"{found['resident']:.0f}"]


if __name__ == "__main__":
    main()
