"""What was noticed while a part was made, kept with it: so the report of a resumed render is about all of it."""

from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np
from pydantic import BaseModel, ConfigDict

from musetalk.media.seeking import Experience
from musetalk.metrics.measurer import CURVES, MeasuredPart
from musetalk.metrics.types import Outside
from musetalk.progress import EnhanceFailureEvent, FallbackEvent, RenderRun


class KeptMeasures(BaseModel):
    """`MeasuredPart` as text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    curves: str
    tracks: tuple[int, ...]
    outside: Outside

    @classmethod
    def of(cls, part: MeasuredPart) -> KeptMeasures:
        """Write it."""
        curves = base64.b64encode(part.curves.astype("<f4").tobytes()).decode()
        return cls(curves=curves, tracks=tuple(part.tracks.tolist()), outside=part.outside)

    def read(self) -> MeasuredPart:
        """Read it back.

        Raises:
            ValueError: It is none.
        """
        values = np.frombuffer(base64.b64decode(self.curves, validate=True), "<f4").astype(np.float32)
        return MeasuredPart(values.reshape(CURVES, len(self.tracks)), np.array(self.tracks, np.int64), self.outside)


class PartAccount(BaseModel):
    """What was noticed while one part was made.

    Attributes:
        fallbacks: Those that touch its frames.
        enhance_failures: The same.
        warnings: Those that were new.
        stages: Seconds of work per stage since the part before it, or the start.
        seconds: How long that took.
        peak_mb: Most resident memory until then, in MiB.
        read: Source frames that were read: the last one and all before.
        undecodable: Those of them whose picture cannot be decoded.
        measures: Of its frames; None: nobody asked for them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fallbacks: tuple[FallbackEvent, ...] = ()
    enhance_failures: tuple[EnhanceFailureEvent, ...] = ()
    warnings: tuple[str, ...] = ()
    stages: dict[str, float] = {}
    seconds: float = 0.0
    peak_mb: float = 0.0
    read: int = 0
    undecodable: tuple[int, ...] = ()
    measures: KeptMeasures | None = None

    def tell(self, run: RenderRun, experience: Experience) -> None:
        """Let a run that takes the part over know of it, as if it had made it."""
        for fell in self.fallbacks:
            run.record_fallback(fell.start, fell.stop, fell.track, fell.backend, fell.reason, fell.kind)
        for failed in self.enhance_failures:
            run.record_enhance_failure(failed.start, failed.stop, failed.track, failed.reason, failed.kind)
        for sentence in self.warnings:
            run.warn(sentence)
        for stage, seconds in self.stages.items():
            run.clock.add(stage, seconds)
        experience.frames = max(experience.frames, self.read)
        experience.missing |= set(self.undecodable)


class Bookkeeper:
    """Says of a run, part by part, what was new.

    Args:
        run: That makes the parts.
        experience: Of its source.
        peak_mb: Says how much memory it took at most so far, in MiB.
    """

    def __init__(self, run: RenderRun, experience: Experience, peak_mb: Callable[[], float]) -> None:
        self._run, self._experience, self._peak_mb = run, experience, peak_mb
        self._told: set[str] = set()
        self._stages: dict[str, float] = {}
        self._seconds = 0.0

    def take_over(self, account: PartAccount) -> None:
        """Let the run know of a part that it need not make."""
        account.tell(self._run, self._experience)
        self._told |= set(account.warnings)
        for stage, seconds in account.stages.items():
            self._stages[stage] = self._stages.get(stage, 0.0) + seconds

    def close(self, frames: range, measures: MeasuredPart | None) -> PartAccount:
        """Return the account of what was made last.

        Args:
            frames: Output frames of the part.
            measures: Of them.
        """
        run, before, since = self._run, self._stages, self._seconds
        warnings = tuple(sentence for sentence in run.warnings if sentence not in self._told)
        self._told |= set(warnings)
        self._stages, self._seconds = run.clock.seconds, run.elapsed
        return PartAccount(
            fallbacks=tuple(each for each in run.fallbacks if _touch(each, frames)),
            enhance_failures=tuple(each for each in run.enhance_failures if _touch(each, frames)),
            warnings=warnings,
            stages={stage: round(seconds - before.get(stage, 0.0), 4) for stage, seconds in self._stages.items()},
            seconds=self._seconds - since,
            peak_mb=self._peak_mb(),
            read=self._experience.frames,
            undecodable=tuple(sorted(self._experience.missing)),
            measures=None if measures is None else KeptMeasures.of(measures),
        )


def _touch(event: FallbackEvent | EnhanceFailureEvent, frames: range) -> bool:
    return event.start < frames.stop and event.stop > frames.start
