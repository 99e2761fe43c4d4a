"""A clip that an image-to-video tool made of a portrait (MuseV, AnimateDiff, Wan and others), as the presenter."""

from __future__ import annotations

from pathlib import Path

from musetalk.errors import PATH, MediaError
from musetalk.media.containers.formats import IMAGE_SUFFIXES

_VIDEOS = frozenset({".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".gif"})
_PICTURES = frozenset(IMAGE_SUFFIXES) - _VIDEOS


def find_motion(place: Path) -> Path:
    """Return what is to be shown of what such a tool left: its newest clip, or its frames.

    Args:
        place: A clip, a folder of frames, or a folder in which these are, one below the other.

    Raises:
        MediaError: There is neither.
    """
    if place.is_file():
        return place
    if not place.is_dir():
        raise MediaError(f"there is no {PATH}", "give what the tool made: a clip, or a folder", path=place)
    files = [path for path in place.rglob("*") if path.is_file() and not path.name.startswith(".")]
    clips = [path for path in files if path.suffix.lower() in _VIDEOS]
    if clips:
        return max(clips, key=lambda path: path.stat().st_mtime_ns)
    folders = {path.parent for path in files if path.suffix.lower() in _PICTURES}
    if not folders:
        raise MediaError(
            f"there is no clip and no frame in {PATH}", "give the folder that the tool wrote to", path=place
        )
    return max(folders, key=lambda folder: sum(path.parent == folder for path in files))
