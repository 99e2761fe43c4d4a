"""The record of a render that was put into a store: what the driver has to know of it without fetching it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, overload

from pydantic import TypeAdapter

from musetalk.pipeline.report import RenderReport
from musetalk.storage.locations import Location, ObjectUrl

_ENDING = ".made.json"


@dataclass(frozen=True, slots=True)
class MadeRecord:
    """What a file that was made is.

    Attributes:
        size: In bytes.
        digest: Its SHA-256.
        inputs: What was known of the source and the voice that it was made of.
        report: Of the render.
        stored: What the store says of it (`ObjectFacts.text`); empty: it is not there yet.
    """

    size: int
    digest: str
    inputs: tuple[str, ...]
    report: RenderReport
    stored: str = ""

    @staticmethod
    def parse(content: bytes | None) -> MadeRecord | None:
        """Return what JSON says; None: there is none, or it is no record."""
        if content is None:
            return None
        try:
            return _reader().validate_json(content)
        except ValueError:  # of another version, or damaged
            return None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@cache
def _reader() -> TypeAdapter[MadeRecord]:
    return TypeAdapter(MadeRecord)


@overload
def record_beside(made: Path) -> Path: ...
@overload
def record_beside(made: ObjectUrl) -> ObjectUrl: ...
def record_beside(made: Location) -> Location:
    """Return where the record of a file lies."""
    return made.with_name(f"{made.name}{_ENDING}")
