"""What the surgical check finds, as tables of lines."""

from __future__ import annotations

from dataclasses import dataclass

from musetalk.backends.check import Finding

_MARK = "FAILED: "


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
