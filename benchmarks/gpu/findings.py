"""What a part of the run finds out, kept line by line, so that nothing is lost where the part ends early.

Needs nothing but Python: a page is written also where packages are missing.
"""

from __future__ import annotations

import json
import textwrap
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

_REASON = 300  # characters that a page tells of an error; the log has all of it
_WIDTH = 120  # of a page's lines


class Findings:
    """Writes down what is found as soon as it is.

    Args:
        path: A file of JSON lines; is appended to.
        seconds: How long the part may take, from now.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._deadline = path, time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that the part may still take; less than 0: it is late."""
        return self._deadline - time.monotonic()

    def say(self, text: str) -> None:
        """Keep a paragraph."""
        self._keep(say=text)

    def head(self, *cells: object) -> None:
        """Begin a table."""
        self._keep(head=[*map(str, cells)])

    def row(self, *cells: object) -> None:
        """Keep a row of the table that was begun last."""
        self._keep(row=[*map(str, cells)])

    def attempt(self, what: str, work: Callable[[], None], needs: float = 0.0) -> bool:
        """Do a piece of work; where it fails, or there is no time for it, that is kept, and others can go on.

        Args:
            what: Its name, for the page.
            work: It.
            needs: Seconds that it takes at least.

        Returns:
            Whether it was done.
        """
        if self.left < max(needs, 0.0):
            self._keep(left_out=what)
            return False
        self._keep(begun=what)
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and says nothing about other pieces
            traceback.print_exc()
            self._keep(failed=what, why=reason_of(error))
            return False
        self._keep(done=what)
        return True

    def _keep(self, **line: object) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}"[:_REASON]


def as_markdown(path: Path) -> str:
    """Return what was found as Markdown: paragraphs and tables in order, then what failed and what was left out."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    blocks: list[str] = []
    for line in lines:
        if "say" in line:
            blocks.append(textwrap.fill(line["say"], _WIDTH, break_long_words=False, break_on_hyphens=False) + "\n")
        elif "head" in line:
            blocks.append(_line(line["head"]) + _line(["---"] * len(line["head"])))
        elif "row" in line:
            blocks[-1] += _line(line["row"])
    return "\n".join([*blocks, *_ends(lines)])


def names(path: Path, end: str) -> list[str]:
    """Return the pieces of work that ended in a way: "done", "failed", "left_out"; or that were "begun"."""
    if not path.exists():
        return []
    return _named([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()], end)


def _ends(lines: Sequence[dict[str, Any]]) -> list[str]:
    told = [f"**Failed**: {line['failed']}: `{line['why']}`\n" for line in lines if "failed" in line]
    if left_out := _named(lines, "left_out"):
        told.append(f"**Left out** for want of time: {'; '.join(left_out)}.\n")
    ended = {*_named(lines, "done"), *_named(lines, "failed")}
    if open_ends := [what for what in _named(lines, "begun") if what not in ended]:
        told.append(f"**Not finished**: {'; '.join(open_ends)}.\n")
    return told


def _named(lines: Iterable[dict[str, Any]], end: str) -> list[str]:
    return [line[end] for line in lines if end in line]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
