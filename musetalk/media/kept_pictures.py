"""Decoded pictures kept on disk, so that what is shown twice is decoded once."""

from __future__ import annotations

import bisect
import logging
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from musetalk.media.frames import Frame, FrameLayout

MOST_BYTES = 2**30  # of pictures that are kept
_ROOM = 2  # times as much has to be free
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class KeptPictures:
    """Pictures of a source, in a file that they are written to one after the other, as they are decoded.

    Attributes:
        path: The file.
        layout: Of the pictures.
        numbers: Those of the pictures that count, ascending.
        places: Of each of these its place in the file.
        to_the_end: Whether after the last of them the source has no more.
        failed: Whether they could not be written, which may have ended their decoder.
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

    def keep(self, pictures: Generator[tuple[int, Frame], None, None]) -> Generator[tuple[int, Frame], None, None]:
        """Pass whole pictures on with their numbers, which ascend, and keep them; none where they cannot be written."""
        self.forget()
        with closing(pictures):
            with self.path.open("wb", buffering=0) as file:
                for number, picture in pictures:
                    if written := self._append(number, picture, file):
                        yield number, picture
                        continue
                    break
                else:
                    self.to_the_end = written = True
            if not written:
                self.give_up()
                self.failed = True
                yield number, picture
                yield from pictures

    def _append(self, number: int, picture: Frame, file: IO[bytes]) -> bool:
        """Write a picture behind the others; return whether there was room."""
        try:
            if file.write(picture.view) < self.layout.frame_bytes:
                return False
        except OSError as error:
            _log.info("pictures are decoded again where they are shown again: they cannot be kept (%s)", error)
            return False
        self.add(number, len(self.places))
        return True

    def covers(self, first: int, last: int) -> bool:
        """Return whether all that is known of the pictures [first, last] is here, and whole."""
        return bool(self.numbers) and self.numbers[0] <= first and last <= self.numbers[-1] and self.whole

    def picture(self, number: int) -> Frame | None:
        """Return the picture of that number, or the last before it; None: the disk has lost it."""
        return next((picture for _, picture in self.pictures_from(number)), None)

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
    size = count * layout.frame_bytes
    room = size <= MOST_BYTES and shutil.disk_usage(folder).free >= _ROOM * size
    return KeptPictures(folder / "pictures.raw", layout) if room else None
