"""How rows ended, and a batch: for programs as JSON, for people as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from musetalk.batch.rows import Row
from musetalk.pipeline.report import RenderReport

RowState: TypeAlias = Literal["done", "skipped", "duplicate", "failed", "set_aside", "stopped"]
STORED = "stored"  # the fact that a store has this object: `ObjectFacts.text`
WHOLE: tuple[RowState, ...] = ("done", "skipped", "duplicate")


@dataclass(frozen=True, slots=True)
class RowResult:
    """How a row ended.

    Attributes:
        row: Its name in the manifest.
        line: Where it begins there; 0: it is in none.
        output: Its file.
        state: "done": rendered; "duplicate": another row's render, under its name, too; "skipped": a batch before had
            made it; "failed"; "set_aside": it ended its workers; "stopped": before it was done.
        key: Of its content; empty: it has none.
        error, error_kind: Why it failed, in words, and the kind of error; see `MuseTalkError`.
        attempts: How often it was begun.
        seconds: Of work on it.
        worker: Who finished it.
        size, digest: Of its file: bytes, and SHA-256.
        facts: Of the render: frames, fallback_frames, video_seconds, backend, device; of an object `STORED`, too.
        report: Of the render; None: it was not made now, or failed.
    """

    row: str
    line: int
    output: str
    state: RowState
    key: str = ""
    error: str = ""
    error_kind: str = ""
    attempts: int = 0
    seconds: float = 0.0
    worker: str = ""
    size: int = 0
    digest: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    report: RenderReport | None = None

    @classmethod
    def of(cls, row: Row, state: RowState, **said: Any) -> RowResult:  # noqa: ANN401 - any attribute
        """Return the result of a row."""
        return cls(row.name, row.line, str(row.output), state, **said)

    def for_row(self, row: Row, state: RowState, stored: Mapping[str, str]) -> RowResult:
        """Return the same as the result of another row, which asked for the same.

        Args:
            row: That row.
            state: How it ended.
            stored: From `publish`.
        """
        output = str(row.output)
        report = None if self.report is None else replace(self.report, output=output)
        facts = {name: value for name, value in self.facts.items() if name != STORED} | dict(stored)
        said: dict[str, Any] = {"line": row.line, "output": output, "state": state, "facts": facts, "report": report}
        return replace(self, row=row.name, **said)

    @property
    def whole(self) -> bool:
        """Whether its file is there."""
        return self.state in WHOLE

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What a worker did.

    Attributes:
        renders: That it finished.
        pieces: Of long renders.
        seconds: Of work.
        video_seconds: Of video that came of it.
        losses: How often it died, or went.
        silent_seconds: For how long it gave no sign of life of its task, the longest time.
    """

    renders: int = 0
    pieces: int = 0
    seconds: float = 0.0
    video_seconds: float = 0.0
    losses: int = 0
    silent_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BatchReport:
    """The account of a batch. The keys of `to_dict` are a contract.

    Attributes:
        rows: How each ended, in the order of the manifest.
        workers: What each did.
        seconds: How long it took.
        stopped: Whether somebody stopped it.
        notes: What the user should know, a sentence each.
    """

    rows: tuple[RowResult, ...]
    workers: Mapping[str, WorkerShare]
    seconds: float
    stopped: bool = False
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many rows ended in each state, and frames that a fallback painted."""
        states = Counter(row.state for row in self.rows)
        fallbacks = sum(row.facts.get("fallback_frames", 0) for row in self.rows if row.state == "done")
        return {**{state: states[state] for state in get_args(RowState)}, "fallback_frames": fallbacks}

    @property
    def failed(self) -> Sequence[RowResult]:
        """The rows that have no file, but for those that were stopped."""
        return [row for row in self.rows if row.state in ("failed", "set_aside")]

    @property
    def complete(self) -> bool:
        """Whether all files are there."""
        return all(row.whole for row in self.rows)

    def to_dict(self, *, reports: bool = False) -> dict[str, Any]:
        """Plain values, ready for JSON.

        Args:
            reports: With the whole report of each render, for where these are kept nowhere else.
        """
        rows = [row.to_dict() for row in self.rows]
        for row in () if reports else rows:
            del row["report"]
        return {
            "counts": {"rows": len(self.rows), **self.counts},
            "seconds": self.seconds,
            "stopped": self.stopped,
            "workers": {name: asdict(share) for name, share in self.workers.items()},
            "notes": list(self.notes),
            "rows": rows,
        }


def facts_of(report: RenderReport) -> dict[str, Any]:
    """Return what of a render's report is told in that of the batch."""
    return {
        "frames": report.frames,
        "face_frames": report.face_frames,
        "fallback_frames": report.fallback_frames,
        "video_seconds": report.video_seconds,
        "backend": report.backend,
        "device": report.device,
    }
