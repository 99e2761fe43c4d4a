"""What the surgical check finds, as lines of tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_MARK = "FAILED: "


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    Attributes:
        name: What was looked at.
        said: What was seen.
        failed: Whether that is wrong.
    """

    name: str
    said: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """One table.

    Attributes:
        title: What it is about.
        lines: In the order in which they were found.
    """

    title: str
    lines: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The lines that are wrong."""
        return tuple(line for line in self.lines if line.failed)

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The table as text: (name, what was seen), failures marked."""
        return [(line.name, f"{_MARK}{line.said}" if line.failed else line.said) for line in self.lines]


def shape_of(values: object) -> str:
    """The shape of an array or a tensor, for people: "[16, 256, 256, 3]"."""
    return str(list(getattr(values, "shape", ())))


def judged(name: str, said: str, problems: Sequence[str]) -> Finding:
    """A line that is wrong where there are problems, and then names them, too."""
    return Finding(name, "; ".join([*problems, said]) if problems else said, bool(problems))
