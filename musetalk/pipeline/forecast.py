"""How long a render will take: by what renders have cost here, or by a first guess where none was made yet."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import NetworkWork
from musetalk.errors import OutputError
from musetalk.media.types import Source
from musetalk.pipeline.report import RenderReport, save_json
from musetalk.progress import Stage
from musetalk.settings import RenderSettings
from musetalk.utils.plain_json import read_plain_json

COSTS = ".costs.json"  # a file beside the jobs
_MEGAPIXEL = 1e6
_TOGETHER = 0.02  # seconds a megapixel: one more result in the video that shows all
_PLOTS_SECONDS = 4.0
_TRUST_FRAMES = 200  # what so many frames have cost counts as much as all that was learned before
_log = logging.getLogger(__name__)


def seconds_made(source: Source, spoken: float, tail: Literal["cut", "keep"]) -> float:
    """Return how long a video will be that is made of a source and a voice of so many seconds."""
    return max(spoken, float(source.frame_count / source.fps)) if tail == "keep" else spoken


@dataclass(frozen=True, slots=True)
class RenderKind:
    """What of the settings decides what a frame costs, beside its size.

    Attributes:
        backend: What paints.
        device: What networks run on, as the settings say it.
        dtype: How exactly they calculate.
        decoder: What decodes their latents.
        detector: What finds faces.
        enhancer: What enhances painted faces; "none": nothing does.
        frame_steps: What is done to finished frames; empty: nothing.
        work: What the backend's networks have to do; None: it has none.
    """

    backend: str
    device: str
    dtype: str
    decoder: str
    detector: str
    enhancer: str
    frame_steps: str = ""
    work: NetworkWork | None = None

    @classmethod
    def of(cls, settings: RenderSettings, registry: BackendRegistry | None = None) -> RenderKind:
        """Pick it from the settings of a render.

        Args:
            settings: Of the render.
            registry: The backends that there are; None: those built in, and those installed.
        """
        backend = (registry or BackendRegistry()).by_name.get(settings.backend)
        network, enhance = settings.network, settings.enhance
        return cls(
            backend=settings.backend,
            device=network.device,
            dtype=network.dtype,
            decoder=network.decoder,
            detector=settings.detector.name,
            enhancer=enhance.model if enhance.wanted else "none",
            frame_steps="+".join(step.name for step in settings.all_frame_steps),
            work=None if backend is None else backend.configured(settings).work,
        )

    @property
    def loop_steps(self) -> float:
        """How many times the backend's network sees a frame, as a share of once without guidance."""
        return 1.0 if self.work is None else self.work.steps

    @property
    def key(self) -> str:
        """Under which its costs are kept: all of it but the steps, for what one step costs is what is kept."""
        return " ".join(value for value in asdict(self).values() if value and isinstance(value, str))


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
        """Return what a source and a voice of so many seconds ask for."""
        frames = max(1, round(seconds * float(source.fps)))
        return cls(
            frames=frames,
            source_frames=min(frames, source.frame_count),
            pixels=source.width * source.height,
            seconds=seconds,
        )


_SECOND = Work(frames=25, source_frames=25, pixels=1_000_000, seconds=1.0)


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

    def spared(self, plan: float, parse: float) -> Costs:
        """Return the same where of so many of the frames, 0 to 1, faces were found before, and parsed."""
        return self.model_copy(update={"plan": self.plan * (1 - plan), "parse": self.parse * (1 - parse)})


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
        guess: What renders of a kind should cost, where none was made yet.
    """

    def __init__(self, path: Path, guess: Callable[[RenderKind], Costs]) -> None:
        self._path = path
        self._guess = guess
        self._lock = threading.Lock()
        self._known = _load(path)

    def costs(self, kind: RenderKind) -> Costs:
        """Return what renders of a kind cost here."""
        return self.known(kind) or self._guess(kind)

    def known(self, kind: RenderKind) -> Costs | None:
        """Return what renders of a kind have cost here; None: none was made yet."""
        with self._lock:
            return self._known.get(kind.key)

    def forecast(self, work: Work, kinds: Sequence[RenderKind]) -> Forecast:
        """Return how long a job should take.

        Args:
            work: What it has to do.
            kinds: The kind of the render, or of each of those that are compared.
        """
        costs = [self.costs(kind) for kind in kinds]
        turns = [stage_seconds(work, kind, cost) for kind, cost in zip(kinds, costs, strict=True)]
        for turn in turns[1:]:
            turn["plan"] = 0.0  # the first one's is used
        if len(kinds) > 1:
            panels = (len(kinds) + 1) * work.frames * work.pixels / _MEGAPIXEL
            turns.append({"finish": _PLOTS_SECONDS + _TOGETHER * panels})
        return Forecast(tuple(turns), all(cost.frames for cost in costs))

    def share(self, kind: RenderKind, other: RenderKind) -> None:
        """Take what renders of a kind have cost for what those of another cost, which are made just as these."""
        with self._lock:
            if kind.key in self._known:
                self._known[other.key] = self._known[kind.key]
                self._keep()

    def learn(self, work: Work, kind: RenderKind, report: RenderReport) -> None:
        """Take in what a finished render has cost; what it took over from others tells nothing of that.

        Args:
            work: What it had to do.
            kind: Of the render.
            report: Of the render.
        """
        if report.fallback_frames or not report.face_frames:
            return  # others painted, or nobody
        seen = _costs_of(work, kind, report)
        reused = [stage for stage, count in (("plan", report.known_frames), ("parse", report.known_faces)) if count]
        if reused:
            seen = seen.model_copy(update=self.costs(kind).model_dump(include=set(reused)))
        with self._lock:
            self._known[kind.key] = _mixed(self._known.get(kind.key), seen)
            self._keep()

    def _keep(self) -> None:
        kept = {key: cost.model_dump() for key, cost in self._known.items()}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            save_json(kept, self._path)
        except (OSError, OutputError) as error:
            _log.warning("what a render has cost is kept in memory only (%s)", str(error))  # not where it came by


def stage_seconds(work: Work, kind: RenderKind, costs: Costs) -> dict[Stage, float]:
    """Return the seconds that each stage of a render should take."""
    painting = work.frames * costs.paint * kind.loop_steps
    return {
        "preflight": costs.begin,
        "plan": work.source_frames * costs.plan,
        "parse": work.source_frames * costs.parse,
        "speech": work.seconds * costs.speech,
        "render": painting + work.frames * work.pixels / _MEGAPIXEL * costs.other,
        "finish": costs.finish,
    }


def slowdown(kind: RenderKind, costs: Costs) -> float:
    """Return how many seconds of work a second of video takes: an ordinary one, with a face in all of its frames.

    What a render takes however short it is, loading networks for instance, is left out.
    """
    stages = stage_seconds(_SECOND, kind, costs)
    return sum(seconds for stage, seconds in stages.items() if stage not in ("preflight", "finish"))


def _costs_of(work: Work, kind: RenderKind, report: RenderReport) -> Costs:
    """Return what one render says that its parts cost."""
    stages = report.stages
    before = {name: stages.get(name, 0.0) for name in ("preflight", "load", "plan", "parse", "speech", "finish")}
    rendering = max(0.0, report.wall_seconds - sum(before.values()) - stages.get("wait", 0.0))
    painting = min(stages.get("generate", 0.0), rendering)
    return Costs(
        begin=before["preflight"] + before["load"],
        plan=before["plan"] / work.source_frames,
        parse=before["parse"] / work.source_frames,
        speech=before["speech"] / max(work.seconds, 0.1),
        paint=painting / report.face_frames / kind.loop_steps,
        other=(rendering - painting) / (report.frames * work.pixels / _MEGAPIXEL),
        finish=before["finish"],
        frames=report.frames,
    )


def _mixed(known: Costs | None, seen: Costs) -> Costs:
    """Return what was known, and what was seen since: recent and long renders say more."""
    if known is None:
        return seen
    share = max(0.3, seen.frames / (seen.frames + min(known.frames, _TRUST_FRAMES)))
    before, now = known.model_dump(), seen.model_dump()
    mixed = {name: before[name] + share * (now[name] - before[name]) for name in before if name != "frames"}
    return Costs(**mixed, frames=known.frames + seen.frames)


def _load(path: Path) -> dict[str, Costs]:
    try:
        kept = read_plain_json(path.read_bytes())
        return {str(key): Costs.model_validate(cost) for key, cost in kept.items()}
    except (OSError, ValueError, AttributeError, ValidationError):
        return {}
