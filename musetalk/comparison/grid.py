"""Layout of a side-by-side video: panels and the size of their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from musetalk.media.filters import encoded_size
from musetalk.media.types import Source

WIDEST = 3840  # pixels of the whole
NARROWEST = 480  # pixels of a panel: below that one sees no mouth
_GAP = 2  # pixels between panels
_IN_A_ROW, _UPRIGHT_IN_A_ROW = 2, 4  # panels
_LEAST_LETTER, _LETTERS_A_WIDTH = 17, 62  # pixels; letters are read at the width of a page, whatever the video's


@dataclass(frozen=True, slots=True)
class Grid:
    """Where panels lie, in pixels.

    Attributes:
        width, height: Size of a picture.
        line: Height of a line of text above it.
        lines: How many there are.
        columns, rows: Of panels.
    """

    width: int
    height: int
    line: int
    lines: int
    columns: int
    rows: int

    @classmethod
    def of(cls, source: Source, remarks: Sequence[str]) -> Grid:
        """Return the grid for results of that size.

        Args:
            source: One of the results.
            remarks: What has to be said of each panel; empty: nothing.
        """
        count = len(remarks)
        in_a_row = _IN_A_ROW if source.width >= source.height else _UPRIGHT_IN_A_ROW
        columns = count if count <= in_a_row else -(-count // -(-count // in_a_row))
        room = (WIDEST - (columns - 1) * _GAP) // columns
        width = min(room, max(NARROWEST, source.width))
        height = max(1, round(source.height * width / source.width))
        letter = max(_LEAST_LETTER, columns * width / _LETTERS_A_WIDTH)
        return cls(width, height, round(1.45 * letter), 2 if any(remarks) else 1, columns, -(-count // columns))

    @property
    def label(self) -> int:
        """Height of what is above a picture."""
        return self.line * self.lines

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the whole, as large as it is in a file."""
        width = self.columns * (self.width + _GAP) - _GAP
        height = self.rows * (self.label + self.height + _GAP) - _GAP
        return encoded_size((width, height))

    def corner(self, number: int) -> tuple[int, int]:
        """(x, y) of a panel's label; its picture lies below."""
        row, column = divmod(number, self.columns)
        return column * (self.width + _GAP), row * (self.label + self.height + _GAP)
