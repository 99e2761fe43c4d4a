"""`read_upstream_cache`: MuseTalk's cache, believed only where all its parts agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from musetalk.avatars.upstream.cache import (
    COORDS,
    FRAMES,
    INFO,
    LATENTS,
    MASK_COORDS,
    MASKS,
    UpstreamAvatar,
    UpstreamInfo,
    Version,
)
from musetalk.avatars.upstream.latents import read_latents, same_latents
from musetalk.avatars.upstream.pickled_numbers import read_rows
from musetalk.avatars.upstream.pictures import (
    AGAIN,
    check_stays,
    goes_back,
    numbered_pictures,
    picture_size,
    same_picture,
)
from musetalk.errors import PATH, AvatarError
from musetalk.settings import Limits
from musetalk.utils.arrays import Float64Array, Int32Array
from musetalk.utils.plain_json import read_plain_json
from musetalk.utils.stopping import stop_point

_T = TypeVar("_T")

_WHOLE = "give a folder with all that MuseTalk's preparation writes"
_MOST_INFO = 2**20  # bytes of the facts
_LONGEST_NAME = 1024  # characters of what the facts say
_FARTHEST_SHIFT = 2**15  # pixels
_INSIDE = 0.5  # least share of a box that lies in its picture
_WIDEST = 4  # times as wide as its box that a blended square may be


def read_upstream_cache(folder: Path, limits: Limits | None = None) -> UpstreamAvatar:
    """Read an avatar that MuseTalk prepared. Its pickles are not unpickled; nothing that they ask for is done.

    The lists go forward and back, so that they can be repeated: only the forward half is returned, after the other was
    found to be the same. A cache that goes forward only is taken, too. Pictures are looked at, not decoded, but for
    those that have to be compared.

    Args:
        folder: The avatar's folder, `results/v15/avatars/NAME` or `results/avatars/NAME` there.
        limits: What it may ask of the machine; None: the usual.

    Raises:
        AvatarError: It lacks something, is damaged, contradicts itself, or holds anything that does not belong; the
            text says what.
        MediaError: A picture cannot be read.
        LimitError: Pictures are larger than the limits allow.
    """
    limits = limits or Limits()
    places = _places(folder)
    info = _read_info(places[INFO])
    boxes, mask_boxes = (_pixels(read_rows(places[name], 4), places[name]) for name in (COORDS, MASK_COORDS))
    frames, masks = (numbered_pictures(places[name]) for name in (FRAMES, MASKS))
    counts = {FRAMES: len(frames), MASKS: len(masks), COORDS: len(boxes), MASK_COORDS: len(mask_boxes)}
    _check_counts(counts, folder)  # before the largest file is looked at
    latents = read_latents(places[LATENTS])
    _check_counts({**counts, LATENTS: len(latents)}, folder)
    mirrored = goes_back(frames, limits)
    if mirrored:
        same = partial(same_picture, limits=limits)
        for name, pictures in ((FRAMES, frames), (MASKS, masks)):
            _check_mirrored(name, pictures, same, folder)
        for name, rows in ((COORDS, boxes), (MASK_COORDS, mask_boxes)):
            _check_mirrored(name, rows.tolist(), list.__eq__, folder)
        _check_mirrored(LATENTS, latents, same_latents, folder)
    count = len(frames) // 2 if mirrored else len(frames)
    frames, masks, boxes, mask_boxes = frames[:count], masks[:count], boxes[:count], mask_boxes[:count]
    width, height = _size_of_all(frames, limits)
    boxes, notes = _inside(boxes, width, height, places[COORDS])
    _check_masks(masks, mask_boxes, boxes, places[MASK_COORDS], limits)
    for values in (boxes, mask_boxes):
        values.setflags(write=False)
    return UpstreamAvatar(
        folder, info, width, height, tuple(frames), tuple(masks), boxes, mask_boxes, latents[:count], mirrored, notes
    )


def _places(folder: Path) -> dict[str, Path]:
    """Return where the parts of a cache lie, by their names."""
    if not folder.is_dir():
        raise AvatarError(f'there is no folder "{PATH}"', _WHOLE, path=folder)
    places = {name: folder / name for name in (INFO, COORDS, MASK_COORDS, LATENTS, FRAMES, MASKS)}
    for name, place in places.items():
        there = place.is_dir() if name in (FRAMES, MASKS) else place.is_file()
        if not there:
            raise AvatarError(f'"{PATH}" has no {name}, so it is no avatar that MuseTalk prepared', _WHOLE, path=folder)
        check_stays(place, folder)
    return places


def _read_info(path: Path) -> UpstreamInfo:
    try:
        if path.stat().st_size > _MOST_INFO:
            raise AvatarError(f'"{PATH}" is far larger than the facts of an avatar', AGAIN, path=path)
        held = read_plain_json(path.read_bytes())
    except OSError as error:
        problem = f'"{PATH}" cannot be read ({error.strerror})'
        raise AvatarError(problem, "check its permissions", path=path) from error
    except ValueError as error:
        raise AvatarError(f'"{PATH}" is damaged: it is no JSON', AGAIN, path=path) from error
    if not isinstance(held, dict):
        raise AvatarError(f'"{PATH}" holds no facts by name', AGAIN, path=path)
    name, video, shift = held.get("avatar_id"), held.get("video_path"), held.get("bbox_shift")
    version = held.get("version", "v1")  # from before there were two, none is said
    texts = isinstance(name, str) and isinstance(video, str) and max(len(name), len(video)) <= _LONGEST_NAME
    number = isinstance(shift, int) and not isinstance(shift, bool) and abs(shift) <= _FARTHEST_SHIFT
    if not texts or not number or version not in ("v1", "v15"):
        problem = f'"{PATH}" does not say avatar_id, video_path, bbox_shift and version as MuseTalk does'
        raise AvatarError(problem, AGAIN, path=path)
    return UpstreamInfo(str(name), str(video), int(cast("int", shift)), cast("Version", version))


def _pixels(rows: Float64Array, path: Path) -> Int32Array:
    """Return boxes as whole pixels."""
    if (rows != np.round(rows)).any():
        problem = f'"{path.name}" holds boxes that are not whole pixels'
        raise AvatarError(problem, AGAIN, path=path)
    return rows.astype(np.int32)


def _check_counts(counts: dict[str, int], folder: Path) -> None:
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise AvatarError(f'the parts of "{PATH}" differ in their number of frames ({told})', AGAIN, path=folder)
    if 0 in counts.values():
        raise AvatarError(f'"{PATH}" holds no frame', AGAIN, path=folder)


def _check_mirrored(name: str, values: Sequence[_T], same: Callable[[_T, _T], bool], folder: Path) -> None:
    count = len(values)
    for at in range(count // 2):
        stop_point()
        if not same(values[at], values[count - 1 - at]):
            problem = f'{name} of "{PATH}" goes forward and back, but {count - 1 - at} there is not what {at} is'
            raise AvatarError(problem, AGAIN, path=folder)


def _size_of_all(frames: Sequence[Path], limits: Limits) -> tuple[int, int]:
    width, height = picture_size(frames[0], limits)
    for frame in frames:
        stop_point()
        size = picture_size(frame, limits)
        if size != (width, height):
            problem = (
                f'the frames differ in size ("{frames[0].name}" is {width}x{height}, "{frame.name}" is '
                f"{size[0]}x{size[1]})"
            )
            raise AvatarError(problem, AGAIN, path=frame)
    return width, height


def _inside(boxes: Int32Array, width: int, height: int, path: Path) -> tuple[Int32Array, tuple[str, ...]]:
    """Return the boxes, cut to their pictures, and what is to be said of that.

    MuseTalk's latents are those of the part of a box that lies in the picture: more there was not to encode.
    """
    for number, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        if (x0, y0, x1, y1) == (0, 0, 0, 0):
            raise AvatarError(f'"{path.name}" says that frame {number} has no face', AGAIN, path=path)
        shown = (min(x1, width) - x0) * (min(y1, height) - y0)
        whole = (x1 - x0) * (y1 - y0)
        if x1 <= x0 or y1 <= y0 or x0 < 0 or y0 < 0 or x0 >= width or y0 >= height or shown < _INSIDE * whole:
            problem = (
                f'"{path.name}" has the face of frame {number} at {x0},{y0} to {x1},{y1}, which is not in its picture '
                f"of {width}x{height}"
            )
            raise AvatarError(problem, AGAIN, path=path)
    cut = np.minimum(boxes, np.array([width, height, width, height], np.int32))
    beyond = int((cut != boxes).any(axis=1).sum())
    if not beyond:
        return cut, ()
    return cut, (f"of {len(boxes)} boxes {beyond} reached beyond the picture: they end at its edge",)


def _check_masks(masks: Sequence[Path], mask_boxes: Int32Array, boxes: Int32Array, path: Path, limits: Limits) -> None:
    """Make sure that each mask has the size of its square, and that around the crop."""
    for number, (mask, square, box) in enumerate(zip(masks, mask_boxes.tolist(), boxes.tolist(), strict=True)):
        stop_point()
        wanted, size = (square[2] - square[0], square[3] - square[1]), picture_size(mask, limits)
        if wanted != size:
            problem = (
                f'the mask "{mask.name}" is {size[0]}x{size[1]}, and its square in "{path.name}" '
                f"{wanted[0]}x{wanted[1]}"
            )
            raise AvatarError(problem, AGAIN, path=mask)
        around = all(square[at] <= box[at] and square[at + 2] >= box[at + 2] for at in (0, 1))
        if not around or max(wanted) > _WIDEST * max(box[2] - box[0], box[3] - box[1]):
            problem = f'"{path.name}" has the mask of frame {number} elsewhere than its face'
            raise AvatarError(problem, AGAIN, path=path)
