"""`write_upstream_cache`: an avatar as MuseTalk keeps it, whole or not at all."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from musetalk.avatars.upstream.cache import (
    COORDS,
    FRAMES,
    INFO,
    MASK_COORDS,
    MASKS,
    RESULTS,
    UpstreamFrame,
    UpstreamInfo,
    Version,
    picture_name,
)
from musetalk.avatars.upstream.latents import LatentsWriter, latents_writer
from musetalk.errors import PATH, AvatarError, OutputError, write_error
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.files import link_or_copy, temporary_folder
from musetalk.utils.stopping import stop_point

_PROTOCOL = 4  # of pickles, as MuseTalk's
_ROW: dict[Version, type] = {"v1": tuple, "v15": list}  # what a box is in `coords.pkl`


def write_upstream_cache(
    folder: Path, info: UpstreamInfo, frames: Iterable[UpstreamFrame], *, replace: bool = False
) -> int:
    """Write an avatar as MuseTalk reads it: every frame with its mask, forward and then in reverse.

    Frames are written as they come, so that memory does not grow with their number. The reverse half is links to the
    files of the forward one, where the disk allows.

    Args:
        folder: What to make; appears whole or not at all.
        info: The avatar's facts.
        frames: Its frames, in order.
        replace: Whether an avatar that is there goes; what MuseTalk rendered with it (`vid_output`) stays.

    Returns:
        How many frames there are; the lists hold twice as many.

    Raises:
        AvatarError: There is something at `folder`, and it is not to be replaced or is no avatar of MuseTalk's.
        OutputError: It cannot be written.
    """
    check_place(folder, replace=replace)
    with _writable(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(folder.parent) as temporary, _writable(folder):
        made = temporary / "avatar"
        for name in (FRAMES, MASKS, RESULTS):
            (made / name).mkdir(parents=True)
        count = _write_parts(made, info, frames)
        _put_in_place(made, folder, temporary)
    return count


def check_place(folder: Path, *, replace: bool) -> None:
    """Make sure, before long work, that an avatar may be made at a place.

    Raises:
        AvatarError: There is something, and it is not to be replaced or is no avatar of MuseTalk's.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise AvatarError(f'"{PATH}" is there, and is no folder', "choose another name", path=folder)
    if not any(folder.iterdir()):
        return
    if not replace:
        raise AvatarError(f'"{PATH}" is there already', "choose another name, or say that it goes", path=folder)
    if not (folder / INFO).is_file():
        problem = f'"{PATH}" is no avatar that MuseTalk prepared, and is not replaced'
        raise AvatarError(problem, "choose another name", path=folder)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f'"{PATH}" cannot be written ({error.strerror or error})'
        raise write_error(error)(problem, "write elsewhere", path=folder) from error


def _write_parts(made: Path, info: UpstreamInfo, frames: Iterable[UpstreamFrame]) -> int:
    with latents_writer(made) as latents:
        boxes, squares = _write_frames(made, frames, latents)
        count = len(boxes)
        if not count:
            raise AvatarError("an avatar needs a frame at least", "choose another source")
        order = [*range(count), *reversed(range(count))]
        latents.finish(order)
    for number in range(count):
        stop_point()
        for part in (FRAMES, MASKS):
            link_or_copy(made / part / picture_name(number), made / part / picture_name(2 * count - 1 - number))
    rows = _ROW[info.version]
    for name, values in ((COORDS, [rows(box) for box in boxes]), (MASK_COORDS, squares)):
        (made / name).write_bytes(pickle.dumps([values[at] for at in order], protocol=_PROTOCOL))
    (made / INFO).write_text(json.dumps(asdict(info)), encoding="utf-8")
    return count


def _write_frames(
    made: Path, frames: Iterable[UpstreamFrame], latents: LatentsWriter
) -> tuple[list[list[int]], list[list[int]]]:
    """Write pictures, masks and latents; return boxes and blended squares."""
    boxes, squares = [], []
    for number, frame in enumerate(frames):
        stop_point()
        box, square = _whole(frame.box), _whole(frame.mask_box)
        height, width = frame.picture.shape[:2]
        if not (0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
            raise ValueError(f"the crop {box} of frame {number} is not in its picture of {width}x{height}")
        if frame.mask.shape != (square[3] - square[1], square[2] - square[0]):
            raise ValueError(f"the mask {frame.mask.shape} of frame {number} is not of its square {square}")
        boxes.append(box)
        squares.append(square)
        latents.add(frame.latents)
        _write_picture(made / FRAMES / picture_name(number), cv2.cvtColor(frame.picture, cv2.COLOR_RGB2BGR))
        _write_picture(made / MASKS / picture_name(number), frame.mask)
    return boxes, squares


def _whole(box: Sequence[int]) -> list[int]:
    """Return a box as Python's own numbers: what is pickled then asks for nothing when it is read."""
    return [int(value) for value in box]


def _write_picture(path: Path, picture: UInt8Array | np.ndarray) -> None:
    done, content = cv2.imencode(".png", picture)
    if not done:
        raise OutputError(f'"{PATH}" cannot be made', path=path)
    path.write_bytes(content.tobytes())


def _put_in_place(made: Path, folder: Path, temporary: Path) -> None:
    """Give an avatar that is whole its place; what was there goes, but for what was rendered with it."""
    old = temporary / "old"
    if folder.exists():
        folder.replace(old)
        if (old / RESULTS).is_dir():
            (made / RESULTS).rmdir()
            (old / RESULTS).replace(made / RESULTS)
    try:
        made.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
