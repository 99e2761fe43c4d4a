"""What renders cost here: learned from those that were made, guessed where none was yet."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from musetalk.errors import OutputError
from musetalk.media.types import Source
from musetalk.pipeline.report import RenderReport, save_json
from musetalk.progress import Stage
from musetalk.settings import RenderSettings

COSTS = ".costs.json"  # a file beside the jobs
_MEGAPIXEL = 1e6
_TOGETHER = 0.02  # seconds a megapixel: one more result in the video that shows all
_PLOTS_SECONDS = 4.0
_TRUST_FRAMES = 200  # what so many frames have cost counts as much as all that was learned before
_LATENTSYNC = "latentsync"
_log = logging.getLogger(__name__)


def seconds_made(source: Source, spoken: float, settings: RenderSettings) -> float:
    """How long a video will be that is made of a source and a voice of so many seconds."""
    return max(spoken, float(source.frame_count / source.fps)) if settings.tail == "keep" else spoken


class Work(BaseModel):
    """How much a render has to do."""

    model_config = ConfigDict(frozen=True)

    frames: int = Field(ge=1)
    """To be made."""
    source_frames: int = Field(ge=1)
    """Of these, different ones: what faces are looked for in."""
    pixels: int = Field(ge=1)
    """Of a frame."""
    seconds: float
    """Of the voice, or of what is to be made."""

    @classmethod
    def of(cls, source: Source, seconds: float) -> Work:
        """What a source and a voice of so many seconds ask for."""
        frames = max(1, round(seconds * float(source.fps)))
        return cls(
            frames=frames,
            source_frames=min(frames, source.frame_count),
            pixels=source.width * source.height,
            seconds=seconds,
        )


class Costs(BaseModel):
    """Seconds that a backend's renders take, by what there is to do."""

    model_config = ConfigDict(frozen=True)

    begin: float
    """Until faces are looked for: inputs looked at, networks loaded."""
    plan: float
    """For each source frame: its faces found."""
    parse: float
    """For each source frame: its faces parsed."""
    speech: float
    """For each second of the voice."""
    paint: float
    """For each frame: its mouth, by one step of the loop."""
    other: float
    """For each megapixel of each frame: the rest of rendering it."""
    finish: float
    """At the end."""
    frames: int = 0
    """From which this was learned; 0: it is a guess."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long a job should take.

    Attributes:
        turns: Seconds of each stage: of one render, or of each of those that are compared and of what shows them.
        learned: Whether all of it follows from renders that were made here.
    """

    turns: tuple[Mapping[Stage, float], ...]
    learned: bool

    @property
    def seconds(self) -> float:
        """Of all of it."""
        return sum(sum(turn.values()) for turn in self.turns)


class CostBook:
    """What renders have cost here, kept on disk. Safe to share between threads.

    Args:
        path: The file; what cannot be read in it is forgotten.
        guess: What renders with these settings should cost, where none was made yet.
    """

    def __init__(self, path: Path, guess: Callable[[RenderSettings], Costs]) -> None:
        self._path = path
        self._guess = guess
        self._lock = threading.Lock()
        self._known = _load(path)

    def costs(self, settings: RenderSettings) -> Costs:
        """What renders with these settings cost here."""
        with self._lock:
            known = self._known.get(_key(settings))
        return known or self._guess(settings)

    def forecast(self, work: Work, settings: RenderSettings, compare: Sequence[str] = ()) -> Forecast:
        """How long a job should take.

        Args:
            work: What it has to do.
            settings: Of the render.
            compare: Backends that are compared; empty: it is one render.
        """
        backends = compare or (settings.backend,)
        each = [settings.model_copy(update={"backend": backend}) for backend in backends]
        costs = [self.costs(one) for one in each]
        turns = [stage_seconds(work, one, cost) for one, cost in zip(each, costs, strict=True)]
        for turn in turns[1:]:
            turn["plan"] = 0.0  # the first one's is used
        if compare:
            panels = (len(compare) + 1) * work.frames * work.pixels / _MEGAPIXEL
            turns.append({"finish": _PLOTS_SECONDS + _TOGETHER * panels})
        return Forecast(tuple(turns), all(cost.frames for cost in costs))

    def learn(self, work: Work, settings: RenderSettings, report: RenderReport, *, planned: bool = True) -> None:
        """Take in what a finished render has cost.

        Args:
            work: What it had to do.
            settings: Of the render.
            report: Of the render.
            planned: Whether it looked for the faces itself.
        """
        if report.fallback_frames or not report.face_frames:
            return  # others painted, or nobody
        seen = _costs_of(work, settings, report)
        if not planned:
            seen = seen.model_copy(update={"plan": self.costs(settings).plan})
        with self._lock:
            self._known[_key(settings)] = _mixed(self._known.get(_key(settings)), seen)
            kept = {key: cost.model_dump() for key, cost in self._known.items()}
            try:
                save_json(kept, self._path)
            except OutputError as error:
                _log.warning("what a render has cost is kept in memory only (%s)", error)


def loop_steps(settings: RenderSettings) -> float:
    """How many times a backend's network sees a frame, as a share of once without guidance."""
    if not settings.backend.startswith(_LATENTSYNC):
        return 1.0
    chosen = settings.latentsync
    clips = 1.0 if chosen.overlap == 0 else 16 / (16 - chosen.overlap)  # frames that clips share are seen twice
    return chosen.steps_taken * (2.0 if chosen.guidance > 1 else 1.0) * clips


def _key(settings: RenderSettings) -> str:
    """What decides the cost of a frame, beside its size and the steps of a loop."""
    network, restorer = settings.network, settings.enhance.model if settings.enhance.wanted else "none"
    return " ".join(
        (settings.backend, network.device, network.dtype, network.decoder, settings.detector.name, restorer)
    )


def stage_seconds(work: Work, settings: RenderSettings, costs: Costs) -> dict[Stage, float]:
    """Return the seconds that each stage of a render should take."""
    painting = work.frames * costs.paint * loop_steps(settings)
    return {
        "preflight": costs.begin,
        "plan": work.source_frames * costs.plan,
        "parse": work.source_frames * costs.parse,
        "speech": work.seconds * costs.speech,
        "render": painting + work.frames * work.pixels / _MEGAPIXEL * costs.other,
        "finish": costs.finish,
    }


def _costs_of(work: Work, settings: RenderSettings, report: RenderReport) -> Costs:
    """What one render says that its parts cost."""
    stages = report.stages
    before = {name: stages.get(name, 0.0) for name in ("preflight", "load", "plan", "parse", "speech", "finish")}
    rendering = max(0.0, report.wall_seconds - sum(before.values()))
    painting = min(stages.get("generate", 0.0), rendering)
    return Costs(
        begin=before["preflight"] + before["load"],
        plan=before["plan"] / work.source_frames,
        parse=before["parse"] / work.source_frames,
        speech=before["speech"] / max(work.seconds, 0.1),
        paint=painting / report.face_frames / loop_steps(settings),
        other=(rendering - painting) / (report.frames * work.pixels / _MEGAPIXEL),
        finish=before["finish"],
        frames=report.frames,
    )


def _mixed(known: Costs | None, seen: Costs) -> Costs:
    """What was known, and what was seen since: recent and long renders say more."""
    if known is None:
        return seen
    share = max(0.3, seen.frames / (seen.frames + min(known.frames, _TRUST_FRAMES)))
    before, now = known.model_dump(), seen.model_dump()
    mixed = {name: before[name] + share * (now[name] - before[name]) for name in before if name != "frames"}
    return Costs(**mixed, frames=known.frames + seen.frames)


def _load(path: Path) -> dict[str, Costs]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): Costs.model_validate(cost) for key, cost in kept.items()}
    except (OSError, ValueError, AttributeError, ValidationError):
        return {}
