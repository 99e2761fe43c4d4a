"""Pictures, animated ones too, and folders of pictures as sources."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from musetalk.errors import LimitError, MediaError
from musetalk.media.colors import SDR
from musetalk.media.containers.formats import IMAGE_SUFFIXES, PictureFormat, picture_format
from musetalk.media.pictures.animation import Animation, read_animation, read_canvases
from musetalk.media.pictures.decoding import format_of, is_sideways, opened, reading, still
from musetalk.media.pictures.srgb import is_transparent, profile_note
from musetalk.media.timing.clock import FrameClock, build_clock
from musetalk.media.timing.rates import DEFAULT_RATE, WantedRate, played_at
from musetalk.media.types import Source
from musetalk.settings import Background, Limits

_TICK = Fraction(1, 90_000)  # of animations, in seconds: all usual delays and rates are whole numbers of it
_NAMED = 3  # files that a note names
_HIDDEN = re.compile(r"\.|(thumbs|ehthumbs)\.db$|desktop\.ini$", re.IGNORECASE)  # how names of no one's concern begin


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a picture's header tells.

    Attributes:
        size: (width, height), upright.
        notes: What the user should know, each a sentence that lacks its subject.
    """

    size: tuple[int, int]
    notes: tuple[str, ...]


def probe_picture(path: Path, fps: WantedRate, limits: Limits, background: Background = "white") -> Source:
    """Describe a picture: a still of one frame, or an animation with a timing of its own.

    Args:
        path: The file.
        fps: The rate to play it at, see `probe_source`.
        limits: What it may ask of the machine.
        background: What is laid under transparent parts.

    Raises:
        MediaError: It cannot be read, or is of a format that cannot.
        LimitError: It has too many pixels.
    """
    with opened(path):  # what cannot be, is refused by its own name
        pass
    kind = format_of(path)
    with reading(path, "is damaged"):
        animation = read_animation(path, kind.name, limits.max_seconds)
    if animation is not None:
        return _animated(path, kind.name, animation, fps, limits, background)
    facts = _facts(path, limits)
    see_through = _laid_over(background) if _shows_through(path) else ()
    notes = (*(f"the file {note}" for note in facts.notes), *see_through)
    return _stills(path, (path,), facts.size, fps, background, notes)


def probe_folder(folder: Path, fps: WantedRate, limits: Limits, background: Background = "white") -> Source:
    """Describe all pictures of a folder, in the order of the numbers in their names.

    Raises:
        MediaError: No picture there, one cannot be read, or their sizes differ.
        LimitError: One has too many pixels.
    """
    images, notes = _pictures_of(folder)
    facts = [_facts(image, limits) for image in images]
    size = facts[0].size
    for image, other in zip(images, facts, strict=True):
        if other.size != size:
            raise MediaError(
                f'the pictures in "{folder.name}" differ in size ("{images[0].name}" is {size[0]}x{size[1]}, '
                f'"{image.name}" is {other.size[0]}x{other.size[1]})',
                "bring them to one size",
                path=image,
            )
    samples = sorted({0, len(images) // 2, len(images) - 1})
    see_through = _laid_over(background) if any(_shows_through(images[at]) for at in samples) else ()
    return _stills(folder, images, size, fps, background, (*notes, *_gathered(images, facts), *see_through))


def _gathered(images: Sequence[Path], facts: Sequence[_Facts]) -> list[str]:
    """Return what is to be said of single pictures of a folder, the same of several in one sentence."""
    said: dict[str, list[str]] = {}
    for image, fact in zip(images, facts, strict=True):
        for note in fact.notes:
            said.setdefault(note, []).append(image.name)
    return [f"{_listed(names)}: {'each' if len(names) > 1 else 'it'} {note}" for note, names in said.items()]


def _stills(
    path: Path,
    images: tuple[Path, ...],
    size: tuple[int, int],
    fps: WantedRate,
    background: Background,
    notes: tuple[str, ...],
) -> Source:
    count, rate = len(images), played_at(DEFAULT_RATE, fps)
    clock = FrameClock(rate, count, tuple(float(k / rate) for k in range(count)), None, tuple(range(count)))
    return _source(path, size, clock, background, notes, images=images)


def _animated(
    path: Path, name: str, animation: Animation, fps: WantedRate, limits: Limits, background: Background
) -> Source:
    _check_size(path, animation.size, limits)
    if animation.largest > limits.max_pixels:
        raise LimitError(
            f'"{path.name}" has a frame of {animation.largest} pixels',
            "save it again as MP4",
            path=path,
            limit="max_pixels",
        )
    with reading(path, "is damaged"), opened(path) as image:
        size = animation.size[::-1] if is_sideways(path, image) else animation.size
        colors = profile_note(image)
        with closing(read_canvases(path, name)) as canvases:
            see_through = animation.clears or is_transparent(next(canvases))
    notes = [f"the file {colors}"] if colors else []
    if see_through:
        notes += _laid_over(background)
    if animation.hurried:
        notes.append(
            f"{animation.hurried} of the file's {len(animation.durations)} frames ask to be shown for 10 ms or less; "
            "they are shown for 100 ms, as browsers do"
        )
    if animation.cut_off:
        notes.append(f"the file ends inside its frame {len(animation.durations) + 1}: the frames before it are used")
    return _source(path, size, _clock(animation.durations, fps, limits), background, tuple(notes), animated=True)


def _clock(durations: Sequence[Fraction], fps: WantedRate, limits: Limits) -> FrameClock:
    ends = [0, *(round(end / _TICK) for end in itertools.accumulate(durations))]
    keys = [True] + [False] * (len(durations) - 1)
    last = ends[-1] - ends[-2]
    clock = build_clock(ends[:-1], keys, _TICK, None, fps=fps, last=last, longest=limits.max_seconds)
    return _held(clock, round(ends[-1] * _TICK * clock.fps))


def _held(clock: FrameClock, frames: int) -> FrameClock:
    """The same clock with so many frames, the last picture held: animations say how long, and often hold it."""
    further = frames - clock.frame_count
    if further <= 0:
        return clock
    pictures = np.arange(clock.frame_count) if clock.pictures is None else clock.pictures
    held = np.concatenate([pictures, np.full(further, pictures[-1])])
    return replace(clock, frame_count=frames, pictures=held)


def _source(
    path: Path,
    size: tuple[int, int],
    clock: FrameClock,
    background: Background,
    notes: tuple[str, ...],
    *,
    images: tuple[Path, ...] = (),
    animated: bool = False,
) -> Source:
    return Source(
        path=path,
        width=size[0],
        height=size[1],
        clock=clock,
        color=SDR,
        pixel_format="rgb24",
        square_pixels=True,
        seekable=not animated,
        images=images,
        animated=animated,
        alpha_background=background,
        notes=notes,
        output_color=SDR,
    )


def _laid_over(background: Background) -> tuple[str]:
    return (f"transparent parts of the source are laid over {background} (alpha_background)",)


def _shows_through(path: Path) -> bool:
    with still(path) as image, reading(path, "is damaged"):
        return is_transparent(image)


def _facts(path: Path, limits: Limits) -> _Facts:
    with opened(path) as image, reading(path, "cannot be read as a picture"):
        _check_size(path, image.size, limits)  # before EXIF: some formats are decoded for it
        size = (image.height, image.width) if is_sideways(path, image) else image.size
        colors, more = profile_note(image), _more_note(image)
        return _Facts(size, tuple(filter(None, (colors, more))))


def _more_note(image: Image.Image) -> str:
    """That a file holds more pictures than the one that is used."""
    count = getattr(image, "n_frames", 1) if image.format in ("TIFF", "HEIF", "GIF", "PNG", "WEBP", "AVIF") else 1
    if count < 2:
        return ""
    which = "main" if image.format == "HEIF" else "first"
    return f"holds {count} pictures: the {which} one is used"


def _check_size(path: Path, size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if not width or not height:
        raise MediaError(f'"{path.name}" is damaged', "open it and save it again as PNG", path=path)
    if width * height > limits.max_pixels:
        raise LimitError(
            f'"{path.name}" is {width}x{height}, more than the {limits.max_pixels} pixels allowed',
            "scale it down or raise limits.max_pixels",
            path=path,
            limit="max_pixels",
        )


def _pictures_of(folder: Path) -> tuple[tuple[Path, ...], list[str]]:
    """Return a folder's pictures in order, and notes on those that are left out."""
    taken: list[Path] = []
    hidden: list[str] = []
    foreign: list[str] = []
    for item in _files_of(folder):
        named_so = item.suffix.lower() in IMAGE_SUFFIXES
        kind = _format_if_readable(item)
        if _HIDDEN.match(item.name):
            if named_so or kind is not None:
                hidden.append(item.name)
        elif kind is not None and not kind.readable:
            foreign.append(f"{item.name} ({kind.name})")
        elif named_so or kind is not None:
            taken.append(item)
    notes = []
    if hidden:
        notes.append(f"hidden files that look like pictures were left out: {_listed(hidden)}")
    if foreign:
        notes.append(f"pictures of kinds that cannot be read here were left out: {_listed(foreign)}")
    if not taken:
        left = f" that can be used ({notes[0]})" if notes else ""
        raise MediaError(
            f'there is no picture in the folder "{folder}"{left}',
            "give a video, or a folder of PNG or JPEG files",
            path=folder,
        )
    return tuple(taken), notes


def _files_of(folder: Path) -> list[Path]:
    try:
        return sorted((item for item in folder.iterdir() if item.is_file()), key=_natural)
    except OSError as error:
        raise MediaError(
            f'the folder "{folder}" cannot be opened ({error.strerror})',
            "check its permissions",
            path=folder,
        ) from error


def _format_if_readable(path: Path) -> PictureFormat | None:
    try:
        return picture_format(path)
    except OSError:  # what is named as a picture is complained of when it is opened; the rest is of no concern
        return None


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]
