"""The frame step that puts the presenter into the picture of a talk, with titles, bullets, slides and captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from musetalk.frame_steps.spec import FrameStepSpec, Size, TimedFrameStep
from musetalk.presenter.captions import caption_words
from musetalk.presenter.drawing import BACKGROUND, draw_element
from musetalk.presenter.elements import Element, elements_of
from musetalk.presenter.layout import Places, canvas_size, fill, place
from musetalk.presenter.talk_file import TalkFile, read_talk
from musetalk.settings import Settings, setting
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.weights.part_spec import Place

FADE = 0.2  # seconds in which a title or a bullet comes; half of it before its first word
_KEPT = 24  # elements that stay drawn
_ROUND = 0.08  # radius of the small picture's corners, of its shorter side
_SOFT = 4  # corners are drawn so many times as large, for smooth edges


class TalkOptions(Settings):
    """Which talk."""

    file: Path = setting(Path("talk.json"), "the file that `musetalk present` made of a script", values="FILE")


class TalkPicture:
    """Draws the pictures of a talk. A `TimedFrameStep`.

    Args:
        file: What is drawn, and how.
    """

    def __init__(self, file: TalkFile) -> None:
        self._places = place(file.layout, file.aspect, file.shorter, captions=file.captions)
        captions = caption_words([each.words for each in file.talk.passages]) if file.captions else ()
        self._schedule = Schedule(elements_of(file.talk, self._places, captions))
        self._background = np.full((*self._places.canvas[::-1], 3), BACKGROUND, np.uint8)
        self._layer = lru_cache(_KEPT)(draw_element)

    def __call__(self, picture: UInt8Array, now: float) -> UInt8Array:
        """Return the picture of the talk, given the presenter's. See `TimedFrameStep`."""
        seen = list(self._schedule.seen(now))
        canvas = self._background.copy()
        slides = [element for element in seen if element.kind == "slide"]
        for element in slides:
            self._layer(element).over(canvas)
        _put_presenter(canvas, picture, self._places, beside_slide=bool(slides))
        for element in seen:
            if element.kind != "slide":
                self._layer(element).over(canvas, shows(element, now))
        return canvas


class Schedule:
    """What is seen when.

    Args:
        elements: By when they appear.
    """

    def __init__(self, elements: Sequence[Element]) -> None:
        self._by_second: dict[int, list[Element]] = {}
        for element in elements:
            for second in range(int(max(0.0, element.start - FADE)), int(element.stop) + 1):
                self._by_second.setdefault(second, []).append(element)

    def seen(self, now: float) -> Iterator[Element]:
        """Yield what is seen at a time."""
        for element in self._by_second.get(int(now), ()):
            early = 0.0 if element.kind in {"slide", "caption"} else FADE / 2
            if element.start - early <= now < element.stop:
                yield element


def shows(element: Element, now: float) -> float:
    """Return how much of an element is seen, 0 to 1: titles and bullets come and go gently."""
    if element.kind in {"slide", "caption"}:
        return 1.0
    comes, goes = (now - element.start) / FADE + 0.5, (element.stop - FADE / 2 - now) / FADE
    return min(1.0, max(0.0, min(comes, goes)))


def _put_presenter(canvas: UInt8Array, picture: UInt8Array, places: Places, *, beside_slide: bool) -> None:
    """Put the presenter's picture where it stands; a small one has round corners."""
    box = places.beside_slide if beside_slide else places.presenter
    part, at = fill((picture.shape[1], picture.shape[0]), box)
    shown = picture[part.y : part.bottom, part.x : part.right]
    shrinks = at.width < part.width
    scaled = cv2.resize(shown, (at.width, at.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    under = canvas[at.y : at.bottom, at.x : at.right]
    if box.x > 0 and box.y > 0:
        alpha = _rounded(at.width, at.height)
        under[...] = np.rint(under + alpha * (scaled - under.astype(np.float32)))
    else:
        under[...] = scaled


@lru_cache(maxsize=4)
def _rounded(width: int, height: int) -> Float32Array:
    """Return the shape of a picture with round corners, float32 [height, width, 1], 0 to 1."""
    shape = np.zeros((height * _SOFT, width * _SOFT), np.uint8)
    radius = max(1, round(_ROUND * min(width, height) * _SOFT))
    right, bottom = shape.shape[1] - 1, shape.shape[0] - 1
    cv2.rectangle(shape, (radius, 0), (right - radius, bottom), 255, -1)
    cv2.rectangle(shape, (0, radius), (right, bottom - radius), 255, -1)
    for x in (radius, right - radius):
        for y in (radius, bottom - radius):
            cv2.circle(shape, (x, y), radius, 255, -1)
    small = cv2.resize(shape, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small[..., None], np.float32) / np.float32(255)


def _load(options: TalkOptions, _place: Place) -> TimedFrameStep:
    return TalkPicture(read_talk(options.file))


def _size(options: TalkOptions, _size: Size) -> Size:
    file = _read(options.file, options.file.stat().st_mtime_ns if options.file.is_file() else 0)
    return canvas_size(file.aspect, file.shorter)


@lru_cache(maxsize=4)  # it is asked for with each frame
def _read(path: Path, _changed: int) -> TalkFile:
    return read_talk(path)


TALK = FrameStepSpec(
    "talk",
    "the picture of a talk: title, bullets, slides and captions beside the presenter (musetalk present)",
    load=_load,
    options=TalkOptions,
    done="set into the picture of the talk",
    size=_size,
    timed=True,
    server_only=True,
)
