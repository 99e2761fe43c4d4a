"""Paints the frames of a live session, by the stages that renders take."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import replace

from musetalk.errors import BackendError, Cancelled
from musetalk.media.frames import Frame
from musetalk.media.playback import play_endlessly
from musetalk.pipeline.composite import Compositor
from musetalk.pipeline.generate import Batch, generate
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import frames_of
from musetalk.pipeline.segments import Segment, segment_limits
from musetalk.progress import RenderRun
from musetalk.streaming.cutter import LiveCutter
from musetalk.streaming.voice_timeline import VoiceTimeline
from musetalk.utils.prefetch import prefetch

_AHEAD = 8  # frames of the source that are decoded ahead


class LiveRenderer:
    """Paints what a voice says, segment by segment. A generator's stages are those of `output_frames`.

    Args:
        plan: Of the whole source, without a voice.
        voice: Who speaks when.
        run: Cancellation, what is noticed.

    Raises:
        BackendError: The backend sees clips of many frames, and cannot paint them as a voice arrives.
    """

    def __init__(self, plan: RenderPlan, voice: VoiceTimeline, run: RenderRun) -> None:
        generator = plan.session.generator
        if generator.spec.min_clip > 1:
            raise BackendError(
                f'the backend "{plan.session.backend}" paints {generator.spec.min_clip} frames at a time, too many to '
                "speak live",
                "choose another backend, or make a file: musetalk speak",
            )
        limits = segment_limits(generator, plan.source.frame_bytes, plan.source.fps)
        session = replace(plan.session, speech=voice)
        self._plan = replace(plan, session=session, presence=voice, fallback=None)
        self._voice, self._run = voice, run
        self._cutter = LiveCutter(plan.face_plan, plan.timeline, limits.longest)
        self._compositor = Compositor(self._plan, run)
        self._shown_again: deque[Frame] = deque()
        self._frames = self._decode()

    def next_segment(self) -> Segment | None:
        """Return what can be painted next; None: nothing, until more of the voice is known."""
        return self._cutter.next(self._voice)

    def paint(self, segment: Segment, run: RenderRun) -> list[tuple[Frame, Frame]]:
        """Return the frames of a segment, and as they were decoded.

        Args:
            segment: From `next_segment`.
            run: A part of the session's, which ends painting this.

        Raises:
            MuseTalkError: The source cannot be decoded, or its faces not painted.
            Cancelled: Painting was ended; `go_back` to before the segment has to follow.
        """
        sources = [self._next_source() for _ in range(segment.stop - segment.start)]
        if not segment.tracks:
            return [(source, source) for source in sources]
        batch = Batch(segment, [source.copy() for source in sources])
        try:
            painted = generate(self._plan, run, batch)
        except Cancelled:
            self._shown_again.extendleft(reversed(sources))
            raise
        finished = self._compositor.finish(painted)
        return [(frame.picture, source) for frame, source in zip(frames_of(finished), sources, strict=True)]

    def go_back(self, frame: int, sources: list[Frame]) -> None:
        """Go on with a frame that was painted already, and those after it.

        Args:
            frame: Which.
            sources: The frames from it on that were painted, as they were decoded.
        """
        self._cutter.go_back(frame)
        self._shown_again.extendleft(reversed(sources))

    def close(self) -> None:
        """End the decoder."""
        self._frames.close()

    def _next_source(self) -> Frame:
        return self._shown_again.popleft() if self._shown_again else next(self._frames)

    def _decode(self) -> Generator[Frame, None, None]:
        plan = self._plan
        frames = play_endlessly(plan.source, plan.timeline.mode, folder=plan.folder, cancel=self._run.cancel)
        return prefetch(frames, capacity=_AHEAD, name="decode")
