"""Rendering: decode, generate and finish, overlapped, a few frames in memory at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice, repeat, zip_longest

from musetalk.compositing.masks import FaceMask
from musetalk.enhancers.deflicker import REMEMBERED
from musetalk.media.frames import Frame, frame_of, mixed
from musetalk.media.playback import play
from musetalk.pipeline.composite import Compositor
from musetalk.pipeline.generate import Batch, FaceSteps, generate
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.segments import Segment
from musetalk.progress import RenderRun
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.prefetch import map_closing, prefetch
from musetalk.utils.stopping import ends_by, stop_point


@dataclass(frozen=True, slots=True)
class OutputFrame:
    """One output frame.

    Attributes:
        number: Which.
        picture: As large as the source, and laid out as it, with the painted faces.
        steps: How each face in it was made; none: it passed through.
        source: As it was decoded, where somebody wants to see it beside the result.
        finished: What the frame steps made of it, as it is written, in RGB; None: there are none.
    """

    number: int
    picture: Frame
    steps: tuple[FaceSteps, ...]
    source: Frame | None = None
    finished: Frame | None = None

    @property
    def output(self) -> Frame:
        """The picture as it is written."""
        return self.picture if self.finished is None else self.finished

    @property
    def masks(self) -> tuple[FaceMask, ...]:
        """Where anything was painted in it."""
        return tuple(mask for step in self.steps for mask in step.shown)


def render_frames(plan: RenderPlan, start: int, stop: int, run: RenderRun) -> Generator[UInt8Array, None, None]:
    """Make output frames [start, stop): uint8 RGB [H, W, 3], as they are written; see `output_frames`."""
    with closing(output_frames(plan, start, stop, run)) as frames:
        for frame in frames:
            yield frame.output.rgb()


def output_frames(plan: RenderPlan, start: int, stop: int, run: RenderRun) -> Generator[OutputFrame, None, None]:
    """Make output frames [start, stop).

    Whole segments are made, with those that the first of them follows on, and what was not asked for is dropped, so
    that a frame's pixels do not depend on the range. Closing the iterator ends every thread and child process, also in
    the middle of a call.
    """
    remembered = 0 if plan.components.enhancer is None else REMEMBERED
    segments = _needed(plan.segments, start, stop, remembered)
    run = run.branch()
    decoded = prefetch(_decode(plan, segments, run), capacity=1, name="decode")
    generated = prefetch(map_closing(partial(generate, plan, run), decoded), capacity=1, name="generate")
    compositor = Compositor(plan, run)
    composited = prefetch(map_closing(compositor.finish, generated), capacity=1, name="finish")
    frames = _asked_for(composited, segments, start, stop)
    if plan.components.frame_steps:
        frames = prefetch(map_closing(partial(_finish, plan, run), frames), capacity=2, name="frame steps")
    with closing(frames):
        try:
            for frame in frames:  # noqa: UP028 - `yield from` would close them before the work is told to end
                yield frame
        finally:
            run.cancel.cancel()


def _asked_for(
    batches: Generator[Batch, None, None], segments: Sequence[Segment], start: int, stop: int
) -> Generator[OutputFrame, None, None]:
    """Yield output frames [start, stop) of the segments."""
    with closing(batches):
        for frame in _joined(batches, segments):
            if start <= frame.number < stop:
                yield frame


def _finish(plan: RenderPlan, run: RenderRun, frame: OutputFrame) -> OutputFrame:
    """Return a frame with what the frame steps make of it."""
    with run.clock.measure("frame steps"), ends_by(run.cancel.check):
        picture = frame.picture.rgb()
        for step in plan.components.frame_steps:
            stop_point()
            picture = step.apply(picture, frame.number, plan.source.fps)
    return replace(frame, finished=frame_of(picture))


def _needed(segments: Sequence[Segment], start: int, stop: int, remembered: int) -> list[Segment]:
    """Return the segments of a range, and those before it that the compositor has to know (see there).

    Args:
        segments: All there are.
        start: The first output frame.
        stop: The one after the last.
        remembered: Frames before a range over which flicker is damped.
    """
    asked = [index for index, segment in enumerate(segments) if segment.first < stop and segment.stop > start]
    if not asked:
        return []
    first, frames = asked[0], 0
    while segments[first].joined and frames < remembered:
        first -= 1
        frames += segments[first].stop - segments[first].start
    if segments[first].joined:  # from whose look that of the first one passes on
        first -= 1
    return list(segments[first : asked[-1] + 1])


def _joined(batches: Iterator[Batch], segments: Sequence[Segment]) -> Iterator[OutputFrame]:
    """Yield the frames of all segments in order; those that two segments painted cross-faded."""
    held: list[OutputFrame] = []  # painted by the segment before, and by this one, too
    for batch, after in zip_longest(batches, segments[1:]):
        frames = frames_of(batch)
        for place, (before, own) in enumerate(zip(held, frames, strict=False), 1):
            frames[place - 1] = _faded(before, own, place / (len(held) + 1))
        own_frames = frames[batch.segment.lead - len(held) :]
        shared = 0 if after is None else after.lead
        yield from own_frames[: len(own_frames) - shared]
        held = own_frames[len(own_frames) - shared :]


def frames_of(batch: Batch) -> list[OutputFrame]:
    """Return the output frames that a finished segment holds, those that it shares with others among them."""
    steps = zip(*(painted.steps() for painted in batch.painted), strict=True) if batch.painted else repeat(())
    sources = batch.sources or repeat(None)
    parts = zip(count(batch.segment.first), batch.frames, steps, sources, strict=False)
    return [OutputFrame(number, picture, made, source) for number, picture, made, source in parts]


def _faded(before: OutputFrame, after: OutputFrame, share: float) -> OutputFrame:
    """Return one frame painted twice, mixed; `share` is of the second. What both left alone stays as it is."""
    picture = mixed(before.picture, after.picture, share)
    return OutputFrame(before.number, picture, before.steps + after.steps, before.source)


def _decode(plan: RenderPlan, segments: list[Segment], run: RenderRun) -> Generator[Batch, None, None]:
    if not segments:
        return
    frames = play(
        plan.source,
        plan.timeline,
        segments[0].first,
        segments[-1].stop,
        spool_dir=plan.folder,
        cancel=run.cancel,
    )
    shared: list[Frame] = []  # with the segment before, which paints into its own
    with closing(frames):
        for segment, after in zip_longest(segments, segments[1:]):
            with run.clock.measure("decode"):
                pictures = [*shared, *islice(frames, segment.stop - segment.first - len(shared))]
                shared = [picture.copy() for picture in pictures[len(pictures) - (after.lead if after else 0) :]]
                sources = tuple(picture.copy() for picture in pictures) if plan.keeps_sources else ()
            yield Batch(segment, pictures, sources)
