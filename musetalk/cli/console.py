"""Progress and results in a terminal: bars if it is interactive, else plain lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from musetalk.frame_steps.registry import told_of_steps
from musetalk.pipeline.report import RenderReport
from musetalk.progress import STAGE_TITLES, ProgressCallback, ProgressEvent
from musetalk.utils.log_lines import facts, logs_json
from musetalk.utils.units import counted, duration, frame_rate, number, size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PLAIN_STEPS = 10  # lines per stage
_log = logging.getLogger(__name__)


@contextmanager
def shown_progress(quiet: bool = False) -> Iterator[ProgressCallback | None]:
    """A progress callback that draws on stderr while the `with` block runs, or logs; None when quiet."""
    if quiet:
        yield None
    elif logs_json():
        yield _Lines(_log_line).update
    elif sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - lines are written without it
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description:15}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bars:
            yield _Bars(bars).update
    else:
        yield _Lines(_write_line).update


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def update(self, event: ProgressEvent) -> None:
        if event.note:
            self._bars.print(event.note)
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._bars.add_task(STAGE_TITLES[event.stage].lower(), total=event.total)
        task, reached = self._tasks[event.stage], int(event.done + event.part)
        if reached < self._bars.tasks[task].completed:  # the next backend of a comparison
            self._bars.reset(task)
        self._bars.update(task, completed=reached, total=event.total)


class _Lines:
    def __init__(self, tell: Callable[[ProgressEvent, int], None]) -> None:
        self._tell = tell
        self._last: tuple[str, int] | None = None

    def update(self, event: ProgressEvent) -> None:
        reached = int(event.done + event.part)
        step = reached * _PLAIN_STEPS // max(1, event.total)
        if (event.stage, step) != self._last:
            self._last = (event.stage, step)
            self._tell(event, reached)


def _write_line(event: ProgressEvent, reached: int) -> None:
    sys.stderr.write(f"[{event.seconds:7.1f} s] {_told(event, reached)}\n")
    sys.stderr.flush()


def _log_line(event: ProgressEvent, reached: int) -> None:
    _log.info("%s", _told(event, reached), extra=facts(stage=event.stage, done=reached, total=event.total))


def _told(event: ProgressEvent, reached: int) -> str:
    note = f" ({event.note})" if event.note else ""
    return f"{STAGE_TITLES[event.stage].lower()}: {reached}/{event.total}{note}"


def describe(report: RenderReport, notice: str) -> str:
    """The report in a few lines for people, with what the backend's results have to be labelled with."""
    speed = report.video_seconds / report.wall_seconds if report.wall_seconds else 0.0
    lines = [
        report.output,
        f"  {counted(report.frames, 'frame')} at {frame_rate(report.fps)}, {report.video_seconds:.2f} s "
        f"(voice {report.voice_seconds:.2f} s), {duration(report.wall_seconds)} of work, "
        f"{number(speed, 2)} x real time",
        f"  {report.face_frames} with a face, {report.passthrough_frames} passed through, "
        f"{report.fallback_frames} by a fallback; backend {report.backend} on {report.device}, "
        f"peak memory {size(report.peak_rss_mb * 2**20)}",
    ]
    if (resumed := report.resumed) is not None:
        there = counted(resumed.taken_over, "part")
        lines.append(f"  resumed: {there} of an earlier render taken over, {resumed.made} made")
    if report.known_frames:
        faces = f", {counted(report.known_faces, 'face')} parsed" if report.known_faces else ""
        lines.append(f"  known from earlier renders: {counted(report.known_frames, 'frame')} searched{faces}")
    if report.avatar:
        lines.append(f"  spoken by the avatar {report.avatar} ({report.avatar_id[:12]})")
    if report.choice:
        lines.append(f"  {report.choice}")
    if report.frame_steps and report.size:
        steps = told_of_steps(step["name"] for step in report.frame_steps)
        lines.append(f"  every frame was then {steps}: {report.size[0]}x{report.size[1]} pixels")
    if report.bbox_shift_range is not None:
        low, high = report.bbox_shift_range
        lines.append(f"  bbox_shift is of use in [{low}~{high}]")
    lines += [f"  note: {warning}" for warning in report.warnings]
    return "\n".join([*lines, f"  {notice}."] if notice else lines)


def print_table(title: str, rows: list[tuple[str, str]]) -> None:
    """Print two columns of text on stdout."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    Console(soft_wrap=True, markup=False).print(table)
