"""Decoded pictures kept on disk, so that what is read twice is decoded once."""

from __future__ import annotations

import bisect
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from musetalk.media.frames import Frame, FrameLayout

MOST_BYTES = 2**30  # of pictures that are kept
_ROOM = 2  # times as much has to be free


@dataclass(slots=True)
class KeptPictures:
    """Pictures of a source, in a file that its decoder writes one after the other.

    Attributes:
        path: The file.
        layout: Of the pictures.
        numbers: Those of the pictures that count, ascending.
        places: Of each of these its place in the file.
        to_the_end: Whether after the last of them the source has no more.
        failed: Whether the decoder ended in trouble, for which writing them may be the reason.
    """

    path: Path
    layout: FrameLayout
    numbers: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    to_the_end: bool = False
    failed: bool = False

    @property
    def whole(self) -> bool:
        """Whether all pictures that are known are on disk."""
        return not self.places or self._written() > self.places[-1]

    def add(self, number: int, place: int) -> None:
        """Note that the picture at a place of the file has a number."""
        self.numbers.append(number)
        self.places.append(place)

    def forget(self) -> None:
        """Begin anew: the decoder does."""
        self.numbers.clear()
        self.places.clear()
        self.to_the_end = self.failed = False

    def give_up(self) -> None:
        """Keep none of them: the room they take is free again."""
        self.forget()
        self.path.unlink(missing_ok=True)

    def _written(self) -> int:
        size = self.path.stat().st_size if self.path.is_file() else 0
        return size // self.layout.frame_bytes

    def pictures_from(self, number: int) -> Iterator[tuple[int, Frame]]:
        """Yield pictures with their numbers, from that one or the last before it on, as far as they are there, whole.

        Nothing where it lies beyond them.
        """
        if not self.numbers or number > self.numbers[-1] or not self.path.is_file():
            return
        first = max(0, bisect.bisect_right(self.numbers, number) - 1)
        with self.path.open("rb") as file:
            for known, place in zip(self.numbers[first:], self.places[first:], strict=True):
                frame = Frame(self.layout)
                file.seek(place * self.layout.frame_bytes)
                if file.readinto(frame.view) < self.layout.frame_bytes:
                    return  # the decoder was ended while it wrote
                yield known, frame


def keep_pictures(folder: Path, layout: FrameLayout, count: int) -> KeptPictures | None:
    """Return where so many pictures can be kept; None: they are too large, or the disk is too full.

    Args:
        folder: The job's temporary folder.
        layout: Of the pictures.
        count: At most.
    """
    return KeptPictures(folder / "pictures.raw", layout) if has_room(folder, layout, count) else None


def has_room(folder: Path, layout: FrameLayout, count: int) -> bool:
    """Return whether so many pictures can be kept in a folder: they are not too large, nor is the disk too full."""
    size = count * layout.frame_bytes
    return size <= MOST_BYTES and shutil.disk_usage(folder).free >= _ROOM * size
