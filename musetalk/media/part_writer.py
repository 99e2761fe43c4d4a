"""A video that is made in parts: each by an encoder of its own, then joined as they are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from musetalk.errors import OutputError, write_error
from musetalk.media import part_commands
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.ffmpeg_process import Child
from musetalk.media.frame_pipe import FrameWriter
from musetalk.media.frames import FrameLayout
from musetalk.media.types import ColorTags
from musetalk.progress import CancelToken
from musetalk.settings import EncoderSettings
from musetalk.utils.files import put_in_place


class PartWriter(FrameWriter):
    """One ffmpeg that takes the frames of one part from a pipe, and encodes them.

    Use it as a context manager: leaving it without `finish` ends ffmpeg, and leaves no file.

    Args:
        place: The file to make; .mp4.
        out: What it will be a part of.
        layout: Of the frames.
        fps: Their exact rate.
        color: Color tags to write.
        settings: Codec and quality.
        threads: Of x264, whose bits depend on their number.
        cancel: Ends the encoder.
    """

    def __init__(
        self,
        place: Path,
        out: Path,
        *,
        layout: FrameLayout,
        fps: Fraction,
        color: ColorTags,
        settings: EncoderSettings,
        threads: int,
        cancel: CancelToken | None = None,
    ) -> None:
        arguments = part_commands.encode_part(
            place, layout=layout, fps=fps, color=color, settings=settings, threads=threads
        )
        super().__init__(arguments, place, out, layout, cancel)
        self._finished = False

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if not self._finished:
            with suppress(OSError):
                self._place.unlink()

    def finish(self) -> Path:
        """Wait until the part is whole; its file.

        Raises:
            OutputError: It could not be completed.
        """
        made = self._complete()
        self._finished = True
        return made


class SoundWriter:
    """One ffmpeg that encodes a sound track while pictures are made.

    Use it as a context manager: leaving it ends ffmpeg.

    Args:
        folder: Where its file is made.
        out: What it will be heard in; its kind decides that of the file: each says in its own way where sound ends.
        sound: What is heard.
        kbps: Bit rate.
        cancel: Ends the encoder.
    """

    def __init__(
        self, folder: Path, out: Path, *, sound: SoundTrack, kbps: int, cancel: CancelToken | None = None
    ) -> None:
        self._place = folder / ("sound.mka" if out.suffix.lower() == ".mkv" else "sound.m4a")
        self._out = out
        self._child = Child(part_commands.encode_sound(self._place, sound=sound, kbps=kbps), cancel=cancel)
        self._finished = False

    def __enter__(self) -> SoundWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()

    def check(self) -> None:
        """Make sure, in a moment, that it has not failed so far.

        Raises:
            OutputError: It has.
        """
        if self._child.ended:
            self.finish()

    def finish(self) -> Path:
        """Wait until it is whole; its file.

        Raises:
            OutputError: It could not be completed.
        """
        if not self._finished:
            _wait(self._child, self._place, self._out)
            self._finished = True
        return self._place


def join_parts(
    parts: Sequence[tuple[Path, int]],
    sound: Path,
    out: Path,
    *,
    folder: Path,
    fps: Fraction,
    comment: str,
    captions: Path | None = None,
    cancel: CancelToken | None = None,
) -> None:
    """Join parts and sound to a file that appears whole or not at all.

    Args:
        parts: The file of each, all of one folder, and its frames; in their order.
        sound: Encoded.
        out: The file to make.
        folder: Where it is written until it is whole; on the same file system as `out`.
        fps: Exact rate of the frames.
        comment: Goes into the file's metadata.
        captions: A file of them, for a track that players switch on; None: there is none.
        cancel: Ends the work.

    Raises:
        OutputError: It cannot be made.
    """
    listing = parts[0][0].with_suffix(".ffconcat")
    partial = folder / f"partial{out.suffix.lower()}"
    try:
        listing.write_text(part_commands.list_parts([(path.name, count) for path, count in parts], fps))
    except OSError as error:
        raise write_error(error)(f'"{out.name}" cannot be joined ({error.strerror})', path=out) from error
    arguments = part_commands.join_parts(partial, listing=listing, sound=sound, comment=comment, captions=captions)
    with Child(arguments, cancel=cancel) as child:
        _wait(child, partial, out)
    put_in_place(partial, out)


def _wait(child: Child, place: Path, out: Path) -> None:
    """Wait until a child has made a file.

    Raises:
        OutputError: It could not.
    """
    if child.finish() != 0 or not place.is_file():
        other = OutputError(f'"{out.name}" cannot be encoded ({child.complaint})', path=out)
        raise child.disk_error(out.parent) or other
