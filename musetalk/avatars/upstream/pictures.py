"""The numbered pictures of a cache: finding them, their sizes, and whether two are the same."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from musetalk.errors import PATH, AvatarError, LimitError
from musetalk.media.pictures.decoding import opened, read_image
from musetalk.settings import Limits
from musetalk.utils.units import counted

AGAIN = "prepare the avatar again with MuseTalk"
_STRANGE = "leave in it only what MuseTalk put there"
_ENDINGS = (".png", ".jpg", ".jpeg")  # what MuseTalk takes for pictures of its cache
_LONGEST_NUMBER = 18  # digits
_PROBED = 8  # pairs of pictures that tell whether they go back as they came


def check_stays(path: Path, folder: Path) -> None:
    """Make sure that a name in a folder does not lead out of it.

    Raises:
        AvatarError: It does.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        problem = f'"{PATH}" is a link that leads out of its folder'
        raise AvatarError(problem, "put the file itself there", path=path)


def numbered_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder of a cache, by the numbers that are their names, from 0 on.

    Raises:
        AvatarError: One is missing, there twice, or no file of this cache.
    """
    found: dict[int, Path] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if path.suffix.lower() not in _ENDINGS or entry.name.startswith("."):
                continue
            if not (path.stem.isascii() and path.stem.isdecimal()) or len(path.stem) > _LONGEST_NUMBER:
                problem = f'"{folder.name}" holds "{entry.name}", whose name is no number'
                raise AvatarError(problem, _STRANGE, path=path)
            if entry.is_symlink():
                check_stays(path, folder.parent)
            if not entry.is_file():
                raise AvatarError(f'"{PATH}" is no ordinary file', AGAIN, path=path)
            other = found.setdefault(int(path.stem), path)
            if other != path:
                problem = f'"{folder.name}" holds both "{other.name}" and "{entry.name}"'
                raise AvatarError(problem, _STRANGE, path=path)
    missing = next((number for number in range(len(found)) if number not in found), None)
    if missing is not None:
        problem = f'"{folder.name}" holds {counted(len(found), "picture")}, and not that of frame {missing}'
        raise AvatarError(problem, AGAIN, path=folder)
    return [found[number] for number in range(len(found))]


def picture_size(path: Path, limits: Limits) -> tuple[int, int]:
    """Return the (width, height) that a picture's header says.

    Raises:
        MediaError: It is none.
        LimitError: That is more than the limits allow.
    """
    with opened(path) as image:
        width, height = image.size
    if width * height > limits.max_pixels:
        problem = f'"{path.name}" is {width}x{height}, more than the {limits.max_pixels} pixels allowed'
        raise LimitError(problem, "raise limits.max_pixels", path=path, limit="max_pixels")
    return width, height


def same_picture(one: Path, other: Path, limits: Limits) -> bool:
    """Return whether two files show the same; what is not the same to the byte is decoded."""
    if filecmp.cmp(one, other, shallow=False):
        return True
    if picture_size(one, limits) != picture_size(other, limits):
        return False
    return np.array_equal(read_image(one), read_image(other))


def goes_back(pictures: Sequence[Path], limits: Limits) -> bool:
    """Return whether pictures go forward and then back, as most of a few pairs of them tell."""
    half, odd = divmod(len(pictures), 2)
    if odd:
        return False
    probed = sorted({round(at * (half - 1) / (_PROBED - 1)) for at in range(_PROBED)})
    same = sum(same_picture(pictures[at], pictures[-1 - at], limits) for at in probed)
    return 2 * same >= len(probed)
