"""What the simulation of a fleet takes for granted: clips, what they cost, what fails, and what all workers share."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

FPS = 25
PART_SECONDS = 10.0  # of a render's parts, 250 frames at 25 fps; see `musetalk/resume`

# Lengths of videos that businesses make: seconds, and which share is no longer. 60 % up to two minutes and 10 % beyond
# twenty: Vidyard's report on 760,000 videos of 2020; 35 % up to one minute: its report on 2022. Shortest and longest
# are assumed. The mean that follows, 6.5 minutes, is what was said of 2020: "just over 6 minutes".
BUSINESS_LENGTHS = ((5.0, 0.0), (60.0, 0.35), (120.0, 0.60), (1200.0, 0.90), (3600.0, 1.0))

Fate: TypeAlias = Literal["good", "bad", "poisoned"]
Plans: TypeAlias = Literal["worker", "shared"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A row of the batch.

    Attributes:
        source: Which video.
        voice: Which voice; the same source and voice are the same render.
        seconds: How long its voice, and so its output, is.
        fate: "bad": no face is found; "poisoned": whoever renders it dies.
        took: Seconds that its render takes, where that was measured; None: as the costs say.
    """

    source: int
    voice: int
    seconds: float
    fate: Fate = "good"
    took: float | None = None

    @property
    def frames(self) -> int:
        """Output frames."""
        return max(1, round(self.seconds * FPS))


@dataclass(frozen=True, slots=True)
class RenderCosts:
    """What a worker takes for its work, in seconds where nothing is said.

    Attributes:
        load: From its start until it is ready.
        load_bytes: That it reads from shared storage for that, in bytes.
        fixed: Of each task before its first frame, whatever its length.
        plan: Finding faces in a frame of the source.
        frame: Making an output frame.
        join: Joining parts, for each output frame.
        threads: That want a processor while it works; counts where workers share one machine.
        plans: Who knows what was found in a source, beside those who make parts of the same render: the worker that
            found it, while its machine is there ("worker"), or all ("shared").
    """

    load: float = 0.0
    load_bytes: float = 0.0
    fixed: float = 0.0
    plan: float = 0.0
    frame: float = 0.0
    join: float = 0.0
    threads: float = 1.0
    plans: Plans = "worker"


@dataclass(frozen=True, slots=True)
class Failures:
    """What goes wrong.

    Attributes:
        losses: Machines that are taken away, for each worker's hour; nobody is to blame.
        replaced_after: Seconds until another one stands in for it.
        deaths: Workers that die over a task that is innocent, for each worker's hour.
        passing: Share of tasks that fail in a way that may pass, somewhere on their way.
        bad: Share of clips whose source has no face.
        poisoned: Share of clips over which every worker dies.
    """

    losses: float = 0.0
    replaced_after: float = 0.0
    deaths: float = 0.0
    passing: float = 0.0
    bad: float = 0.0
    poisoned: float = 0.0


@dataclass(frozen=True, slots=True)
class DriverCosts:
    """What the driver, one thread, takes, in seconds.

    Attributes:
        begin: For each task it hands out.
        take: For each task that has ended.
        publish: For each render that is done, but for its bytes and the ledger.
        ledger: For each transaction of the ledger.
        digest: For each byte of an output, which it reads to know its SHA-256.
        progress: For each sign of progress, of which every worker gives `signs` a second.
        signs: See there.
    """

    begin: float = 0.0
    take: float = 0.0
    publish: float = 0.0
    ledger: float = 0.0
    digest: float = 0.0
    progress: float = 0.0
    signs: float = 2.0


@dataclass(frozen=True, slots=True)
class Shared:
    """What all workers share.

    Attributes:
        storage: Bytes a second that shared storage gives and takes, of all workers together.
        source_rate: Bytes of a source's second.
        output_rate: Bytes of an output's second.
        processors: Of the one machine that all workers are on; none: each has its own.
        others: Threads of other programs there that want a processor.
    """

    storage: float = math.inf
    source_rate: float = 0.0
    output_rate: float = 0.0
    processors: float = math.inf
    others: float = 0.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that a simulation is given but for the clips and the number of workers."""

    costs: RenderCosts
    failures: Failures = Failures()
    driver: DriverCosts = DriverCosts()
    shared: Shared = Shared()
    seed: int = 1


def length_at(share: float, lengths: Sequence[tuple[float, float]] = BUSINESS_LENGTHS) -> float:
    """Return the length that a share of videos does not exceed, in seconds; between two points it is log-uniform."""
    for (shorter, before), (longer, until) in pairwise(lengths):
        if share <= until:
            return float(shorter * (longer / shorter) ** ((share - before) / (until - before)))
    return lengths[-1][0]


def make_clips(count: int, failures: Failures, *, voices: int = 4, doubled: float = 0.02, seed: int = 1) -> list[Clip]:
    """Return clips whose lengths are those of `BUSINESS_LENGTHS`: dubs of sources in several voices.

    Args:
        count: How many.
        failures: How many of them are bad or poisoned.
        voices: For each source; they are about as long as the source.
        doubled: Share of rows that ask for what another row asks for.
        seed: Of chance.
    """
    draw = random.Random(seed)  # noqa: S311 - no secret
    sources = math.ceil(count / voices)
    lengths = [length_at((number + 0.5) / sources) for number in range(sources)]
    draw.shuffle(lengths)
    clips = [_clip(number, lengths[number // voices], number // voices, failures, draw) for number in range(count)]
    for number in draw.sample(range(1, count), round(doubled * count)):
        clips[number] = clips[number - 1]
    return clips


def _clip(number: int, length: float, source: int, failures: Failures, draw: random.Random) -> Clip:
    chance = draw.random()
    fate: Fate = "bad" if chance < failures.bad else "good"
    if failures.bad <= chance < failures.bad + failures.poisoned:
        fate = "poisoned"
    return Clip(source, number, max(1.0, length * draw.uniform(0.9, 1.1)), fate)


def read_clips(path: Path) -> list[Clip]:
    """Return clips of your own: CSV with the columns `seconds` and, if wanted, `source`; a clip for each line.

    Raises:
        ValueError: There is no such column, or no length in it.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or "seconds" not in rows[0]:
        raise ValueError(f'"{path}" has no column "seconds"; its first line names the columns')
    sources: dict[str, int] = {}
    clips = []
    for number, row in enumerate(rows):
        source = sources.setdefault(row.get("source") or str(number), len(sources))
        clips.append(Clip(source, number, float(row["seconds"])))
    return clips
