"""What a comparison is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from musetalk.pipeline.report import RenderReport, save_json

# files of its folder
SIDE_BY_SIDE, PLOTS, COMPARISON = "side-by-side.mp4", "plots.png", "comparison.json"
SOURCE_IN_STEP = "source-in-step.mp4"


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of one backend.

    Attributes:
        backend: Its name.
        video: Name of its video in the comparison's folder; empty: it has none.
        report: Of its render, with measures; None: it failed.
        error: Why it failed; empty: it did not.
        error_kind: The kind of that error; see `MuseTalkError.kind`.
    """

    backend: str
    video: str = ""
    report: RenderReport | None = None
    error: str = ""
    error_kind: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The account of a comparison. The keys of `to_dict` are a contract.

    Attributes:
        source: Name of the source's file.
        voice: Name of the voice's file.
        parts: Each backend, in the order in which they were asked for.
        side_by_side: Name of the video that shows them together; empty: fewer than two have one.
        plots: Name of the picture of the measures over time; empty: nothing was measured.
        source_in_step: Name of the video that shows the source as the results do; empty: nobody asked for it.
    """

    source: str
    voice: str
    parts: tuple[Compared, ...]
    side_by_side: str = ""
    plots: str = ""
    source_in_step: str = ""

    @property
    def rendered(self) -> tuple[tuple[Compared, RenderReport], ...]:
        """The backends that did not fail, each with its report."""
        return tuple((part, part.report) for part in self.parts if part.report is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write it as JSON.

        Raises:
            OutputError: It cannot be written.
        """
        save_json(self.to_dict(), path)
