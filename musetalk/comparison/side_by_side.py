"""The results of several backends in one video: a labelled panel each, in sync, with the voice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from musetalk.comparison.grid import Grid
from musetalk.comparison.labels import who_painted
from musetalk.errors import MediaError
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.frames import FrameLayout, frame_of
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.media.writer import VideoWriter
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken
from musetalk.settings import EncoderSettings, SourceSettings
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.text import fitted_font

_RATE = 48_000  # Hz, what the sound is written with
_PLATE, _NAME, _REMARK = (24, 26, 30), (240, 240, 240), (255, 190, 90)


@dataclass(frozen=True, slots=True)
class Panel:
    """One finished video, and what is written above it.

    Attributes:
        video: The file.
        name: Whose it is.
        remark: What has to be said of it; empty: nothing.
    """

    video: Path
    name: str
    remark: str

    @classmethod
    def of(cls, video: Path, report: RenderReport, named: Callable[[str], str] = str) -> Panel:
        """Return the panel of a finished render; `named` says what backends are called where it is shown."""
        return cls(video, named(report.backend), who_painted(report.to_dict(), named))


def write_side_by_side(
    panels: Sequence[Panel],
    out: Path,
    *,
    folder: Path,
    wanted: SourceSettings,
    encoder: EncoderSettings,
    on_frame: Callable[[int, int], None],
    cancel: CancelToken,
) -> None:
    """Write the videos as one, frame by frame, with the sound of the first.

    Args:
        panels: Videos of one size, rate and length, as renders of one source and voice are.
        out: The file to make.
        folder: Temporary, on the same file system.
        wanted: How the source was read.
        encoder: How the output is written.
        on_frame: Called with the frames written and those there will be.
        cancel: Ends the work.

    Raises:
        MuseTalkError: A video cannot be read, or the output not be written.
    """
    sources = [probe_source(panel.video, wanted.limits, fps=wanted.fps, cancel=cancel) for panel in panels]
    first, grid = sources[0], Grid.of(sources[0], [panel.remark for panel in panels])
    counts = {source.frame_count for source in sources}
    if len(counts) > 1:
        raise MediaError(f"the results differ in length ({sorted(counts)} frames)", "render them again")
    writer = VideoWriter(
        out,
        folder=folder,
        layout=FrameLayout(*grid.size),
        fps=first.fps,
        sound=sound_of(first),
        color=first.output_color,
        settings=encoder,
        comment=f"MuseTalk Hybrid, side by side: {', '.join(panel.name for panel in panels)}",
        cancel=cancel,
    )
    canvas = _labelled(panels, grid)
    with ExitStack() as stack:
        stack.enter_context(writer)
        longest = max(grid.width, grid.height)
        videos = [
            stack.enter_context(closing(read_frames(source, max_side=longest, cancel=cancel))) for source in sources
        ]
        for done, pictures in enumerate(zip(*videos, strict=True), 1):
            for number, picture in enumerate(pictures):
                x, y = grid.corner(number)
                canvas[y + grid.label : y + grid.label + grid.height, x : x + grid.width] = _fitted(picture, grid)
            writer.write(frame_of(canvas))
            on_frame(done, first.frame_count)
        writer.finish()


def sound_of(result: Source) -> SoundTrack:
    """Return the sound of a result, whole."""
    return SoundTrack(result.path, _RATE, None, result.seconds, 0.0, result.seconds)


def _fitted(picture: UInt8Array, grid: Grid) -> UInt8Array:
    """Return a picture as large as its panel: what was not shrunk in decoding is a small one, to be enlarged."""
    if picture.shape[:2] == (grid.height, grid.width):
        return picture
    return np.asarray(cv2.resize(picture, (grid.width, grid.height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _labelled(panels: Sequence[Panel], grid: Grid) -> UInt8Array:
    """Return the whole without its pictures: uint8 RGB [H, W, 3]."""
    page = Image.new("RGB", grid.size, _PLATE)
    draw = ImageDraw.Draw(page)
    margin = grid.line / 4
    for number, panel in enumerate(panels):
        x, y = grid.corner(number)
        for row, (text, color) in enumerate(((panel.name, _NAME), (panel.remark, _REMARK))):
            place = (x + margin, y + (row + 0.5) * grid.line)
            draw.text(
                place, text, fill=color, font=fitted_font(text, grid.width - 2 * margin, grid.line * 0.7), anchor="lm"
            )
    return np.array(page, np.uint8)
