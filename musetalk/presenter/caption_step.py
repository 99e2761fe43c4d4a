"""The frame step that writes captions into the picture, as those of a talk are written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from musetalk.errors import PATH, CaptionsError
from musetalk.frame_steps.spec import FrameStepSpec, Size, TimedFrameStep
from musetalk.media.captions import Caption, read_captions
from musetalk.presenter.captions import fitted
from musetalk.presenter.drawing import Layer, draw_element
from musetalk.presenter.elements import caption_element
from musetalk.presenter.layout import caption_strip
from musetalk.settings import Settings, setting
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.text import unwritable
from musetalk.weights.part_spec import Place

_KEPT = 4  # captions that stay drawn: frames are asked for in order


class CaptionOptions(Settings):
    """Which captions."""

    file: Path = setting(Path("captions.srt"), "the captions: a .srt or a .vtt file", values="FILE")


class CaptionedPicture:
    """Writes captions into pictures of any size. A `TimedFrameStep`.

    Args:
        captions: By when they are seen, none over another.
    """

    def __init__(self, captions: Iterable[Caption]) -> None:
        self._captions = tuple(captions)
        self._starts = [each.start for each in self._captions]
        self._layer = lru_cache(_KEPT)(_layer)

    def __call__(self, picture: UInt8Array, now: float) -> UInt8Array:
        """Return a picture with what is read at a time in seconds. See `TimedFrameStep`."""
        at = bisect_right(self._starts, now) - 1
        if at < 0 or now >= self._captions[at].stop:
            return picture
        captioned = picture.copy()
        self._layer(self._captions[at], (picture.shape[1], picture.shape[0])).over(captioned)
        return captioned


def _layer(caption: Caption, size: Size) -> Layer:
    return draw_element(caption_element(caption, caption_strip(size), min(size)))


def _load(options: CaptionOptions, _place: Place) -> TimedFrameStep:
    return CaptionedPicture(fitted(read_captions(options.file)))


def _check(options: CaptionOptions) -> tuple[str, ...]:
    """Make sure that captions can be written with the fonts here; return what is left out.

    Raises:
        CaptionsError: There are none, or there is no font for some letters; names the line.
    """
    left_out = dict[str, None]()
    for caption in read_captions(options.file):
        missing = unwritable(" ".join(caption.lines))
        if letters := ", ".join([letter for letter in missing if letter.isalnum()][:8]):
            problem = f"there is no font here for {letters} of the caption in line {caption.line} of {PATH}"
            remedy = "install one that has these letters, such as Noto"
            raise CaptionsError(problem, remedy, path=options.file, line=caption.line)
        left_out |= dict.fromkeys(missing)
    return (f"there is no font here for {' '.join(left_out)}: left out of the captions",) if left_out else ()


CAPTIONS = FrameStepSpec(
    "captions",
    "captions of a file, written into the picture (--burn-captions)",
    load=_load,
    options=CaptionOptions,
    done="captioned",
    check=_check,
    timed=True,
    server_only=True,
)
