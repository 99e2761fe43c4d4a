"""What became of a talk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from musetalk.pipeline.report import RenderReport, save_json
from musetalk.presenter.talk import Talk


@dataclass(frozen=True, slots=True)
class TalkReport:
    """What became of a talk.

    Attributes:
        output: The video.
        captions: The files of captions beside it.
        talk: What is said in it, and when.
        voice: What read it aloud.
        render: Of the lips; None: they do not move.
        static: Why they do not; empty: they move.
        notes: What the user should know, a sentence each.
    """

    output: Path
    captions: tuple[Path, ...]
    talk: Talk
    voice: str
    render: RenderReport | None
    static: str = ""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "output": str(self.output),
            "captions": [str(path) for path in self.captions],
            "seconds": self.talk.seconds,
            "voice": self.voice,
            "lips_move": not self.static,
            "static": self.static,
            "notes": list(self.notes),
            "passages": [
                {
                    "kind": each.passage.kind,
                    "line": each.passage.line,
                    "shown": each.passage.shown,
                    "start": each.start,
                    "stop": each.stop,
                    "words": [asdict(word) for word in each.words],
                }
                for each in self.talk.passages
            ],
            "slides": [
                {"picture": None if each.path is None else str(each.path), "start": each.start, "line": each.line}
                for each in self.talk.slides
            ],
            "render": None if self.render is None else self.render.to_dict(),
        }

    def save(self, path: Path) -> None:
        """Write it as JSON; see `save_json`."""
        save_json(self.to_dict(), path)
