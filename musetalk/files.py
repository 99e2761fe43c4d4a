"""Places for outputs."""

from __future__ import annotations

from pathlib import Path

from musetalk.errors import OutputError


def make_room_for(path: Path) -> None:
    """Make sure, before long work, that a file can be made at `path`: its folder is there, and it is none itself.

    Raises:
        OutputError: It cannot.
    """
    if path.is_dir():
        raise OutputError(f'"{path}" is a folder', "give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f'the folder "{path.parent}" cannot be made ({error.strerror})', "write elsewhere") from error
