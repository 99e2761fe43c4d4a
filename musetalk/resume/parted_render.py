"""A render that is written in parts: what is there is taken over, what is missing is made, and all of it is joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from types import TracebackType

from musetalk.media.frames import Frame, FrameLayout
from musetalk.media.part_writer import PartWriter, SoundWriter, join_parts
from musetalk.media.types import ColorTags
from musetalk.metrics.measurer import REMEMBERED, Measurer
from musetalk.pipeline.newest_frame import small_jpeg
from musetalk.pipeline.render import OutputFrame
from musetalk.pipeline.report import Resumed
from musetalk.progress import CancelToken, RenderRun
from musetalk.resume.account import Bookkeeper
from musetalk.resume.part_folder import PartFolder
from musetalk.settings import EncoderSettings
from musetalk.utils.files import temporary_folder
from musetalk.utils.units import counted


@dataclass(frozen=True, slots=True)
class Video:
    """One video that is made of a render's frames.

    Attributes:
        name: By which its parts are known; empty: it is the output.
        out: The file to make.
        layout: Of its frames.
        color: Color tags to write.
        encoder: Codec and quality.
        comment: Goes into its metadata.
        picture: Its frame, for one of the render.
        captions: Goes with it, as a track that players switch on; None: nothing.
    """

    name: str
    out: Path
    layout: FrameLayout
    color: ColorTags
    encoder: EncoderSettings
    comment: str
    picture: Callable[[OutputFrame], Frame]
    captions: Path | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Output frames [start, stop) that are to be made.

    `first` is where to begin, so that they are measured right.
    """

    first: int
    start: int
    stop: int


class PartedRender:
    """Makes the parts of a render that are not there, and joins them all.

    Args:
        videos: What is made of its frames; the output first.
        fps: Exact rate of the frames.
        kept: Where parts are kept; it has begun.
        sound: What is heard, while it is being encoded.
        measurer: Measures the frames; None: nobody asked for that.
        books: Says what was noticed while a part was made.
        run: Progress, timing, warnings.
        threads: Of x264.
        numbers: The parts that are wanted; None: all.
    """

    def __init__(
        self,
        videos: tuple[Video, ...],
        fps: Fraction,
        kept: PartFolder,
        sound: SoundWriter | None,
        measurer: Measurer | None,
        books: Bookkeeper,
        run: RenderRun,
        threads: int,
        numbers: range | None = None,
    ) -> None:
        self._videos, self._fps, self._kept, self._sound = videos, fps, kept, sound
        self._measurer, self._books, self._run, self._threads = measurer, books, run, threads
        every = range(kept.parts.count)
        self._wanted = every if numbers is None else tuple(number for number in numbers if number in every)
        self._taken = tuple(sorted(kept.accounts))
        for number in self._taken:
            self._take_over(number)

    @property
    def resumed(self) -> Resumed | None:
        """What was taken over from earlier renders; None: nothing."""
        taken, there = len(self._taken), len(self._kept.accounts)
        seconds = sum(self._kept.accounts[number].seconds for number in self._taken)
        peak = max((self._kept.accounts[number].peak_mb for number in self._taken), default=0.0)
        return Resumed(taken, there - taken, round(seconds, 3), peak) if taken else None

    def stretches(self) -> Iterator[Stretch]:
        """Yield what is to be made: parts that are missing, those in a row together."""
        parts, missing = self._kept.parts, self._kept.missing(self._wanted)
        there = f"{len(self._taken)} of {counted(len(self._wanted), 'part')} are there"
        note = f"going on where this render was stopped: {there}" if self._taken else ""
        self._run.emit("render", self._frames_of(self._kept.accounts), self._frames_of(self._wanted), note)
        for _, row in groupby(enumerate(missing), lambda each: each[1] - each[0]):
            own = [number for _, number in row]
            start = parts.range_of(own[0]).start
            lead = REMEMBERED if self._measurer is not None else 0
            yield Stretch(max(0, start - lead), start, parts.range_of(own[-1]).stop)

    def write(self, frames: Iterable[OutputFrame], stretch: Stretch) -> None:
        """Make the parts of a stretch of its frames, which come in order from `stretch.first`.

        Raises:
            OutputError: A part cannot be written.
        """
        before, total = self._frames_of(self._kept.accounts), self._frames_of(self._wanted)
        with ExitStack() as stack:
            part: _Part | None = None
            for frame in frames:
                if frame.number < stretch.start:
                    self._measure(frame, again=True)
                    continue
                if part is None:
                    part = stack.enter_context(self._part(frame.number // self._kept.parts.length))
                with self._run.clock.measure("encode"):
                    part.write(frame)
                self._measure(frame)
                self._run.show(lambda: small_jpeg(frame.output.rgb()))  # noqa: B023 - it is called at once, or never
                if frame.number == part.frames.stop - 1:
                    self._close(part)
                    stack.close()
                    part = None
                self._run.emit("render", before + frame.number + 1 - stretch.start, total)

    def join(self) -> None:
        """Let the files appear, whole, and all that was kept of them go.

        Raises:
            OutputError: They cannot be made.
        """
        with self._run.clock.measure("finish"):
            self._run.emit("finish", 0, 1)
            assert self._sound is not None  # noqa: S101 - whoever joins has it
            sound = self._sound.finish()
            for video in reversed(self._videos):
                self._join(video, sound)
            self._kept.finished = True
        self._run.emit("finish", 1, 1)

    def _join(self, video: Video, sound: Path) -> None:
        parts = self._kept.parts
        files = [(self._kept.place(n, video.name), len(parts.range_of(n))) for n in range(parts.count)]
        with temporary_folder(video.out.parent) as folder:
            join_parts(
                files,
                sound,
                video.out,
                folder=folder,
                fps=self._fps,
                comment=video.comment,
                captions=video.captions,
                cancel=self._run.cancel,
            )

    def _take_over(self, number: int) -> None:
        account = self._kept.accounts[number]
        self._books.take_over(account)
        if self._measurer is not None and account.measures is not None:
            self._measurer.take(self._kept.parts.range_of(number), account.measures.read())

    def _frames_of(self, numbers: Iterable[int]) -> int:
        return sum(len(self._kept.parts.range_of(number)) for number in numbers)

    def _part(self, number: int) -> _Part:
        return _Part(number, self._videos, self._kept, self._fps, self._threads, self._run.cancel)

    def _measure(self, frame: OutputFrame, *, again: bool = False) -> None:
        if self._measurer is not None and frame.source is not None:
            with self._run.clock.measure("measure"):
                self._measurer.add(frame.number, frame.picture, frame.source, frame.masks, again=again)

    def _close(self, part: _Part) -> None:
        """Keep a part that has all its frames."""
        with self._run.clock.measure("encode"):
            made = part.finish()
        if self._sound is not None:
            self._sound.check()
        measures = None if self._measurer is None else self._measurer.part(part.frames)
        self._kept.add(part.number, made, self._books.close(part.frames, measures))


class _Part:
    """A part that is being written: an encoder for each video.

    Args:
        number: Which.
        videos: What is made of its frames.
        kept: Where it is kept.
        fps: Exact rate of the frames.
        threads: Of x264.
        cancel: Ends the encoders.
    """

    def __init__(
        self,
        number: int,
        videos: tuple[Video, ...],
        kept: PartFolder,
        fps: Fraction,
        threads: int,
        cancel: CancelToken,
    ) -> None:
        self.number, self.frames = number, kept.parts.range_of(number)
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._writers = [
                (video, stack.enter_context(_writer(video, number, kept, fps, threads, cancel))) for video in videos
            ]
            self._stack = stack.pop_all()

    def __enter__(self) -> _Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def write(self, frame: OutputFrame) -> None:
        """Hand on the next frame."""
        for video, writer in self._writers:
            writer.write(video.picture(frame))

    def finish(self) -> dict[str, Path]:
        """Wait until it is whole; the file of each video."""
        return {video.name: writer.finish() for video, writer in self._writers}


def _writer(
    video: Video, number: int, kept: PartFolder, fps: Fraction, threads: int, cancel: CancelToken
) -> PartWriter:
    return PartWriter(
        kept.place_to_write(number, video.name),
        video.out,
        layout=video.layout,
        fps=fps,
        color=video.color,
        settings=video.encoder,
        threads=threads,
        cancel=cancel,
    )
