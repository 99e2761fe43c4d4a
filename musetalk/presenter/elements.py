"""What is seen of a talk besides the presenter: titles, bullets, slides and captions, each with its time and place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Literal, TypeAlias

from musetalk.media.captions import Caption
from musetalk.presenter.layout import Box, Places
from musetalk.presenter.script import Passage
from musetalk.presenter.talk import ShownSlide, SpokenPassage, Talk
from musetalk.presenter.type_setting import SetText, set_text

ElementKind: TypeAlias = Literal["title", "bullet", "caption", "slide"]

# Heights of letters, in shorter sides of the picture: as large as this, and as small as they may become.
_TITLE, _LEAST_TITLE = 0.075, 0.04
_BULLET, _LEAST_BULLET = 0.05, 0.032
_CAPTION, _LEAST_CAPTION = 0.045, 0.018  # in which any line of a caption fits
_BESIDE = 0.6  # between what stands below each other, in heights of letters
_INDENT = 1.3  # of a bullet, by its mark, and by each level, in heights of letters
_DEEPEST = 3  # level from which bullets are no further indented
_TITLES_PART = 0.42  # of the height of what stands over the presenter
_PADDING = 0.45  # of a plate around its text, in heights of letters


@dataclass(frozen=True, slots=True)
class Line:
    """A text and where it stands.

    Attributes:
        text: Set into lines.
        x: Its left side, in the picture's pixels.
        y: Its top.
    """

    text: SetText
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Element:
    """What is seen for a time.

    Attributes:
        kind: What it is.
        start: Seconds; it is seen from then on.
        stop: Seconds.
        box: Where it stands, its plate included; all within the picture.
        lines: Its texts.
        plate: Whether it stands on a plate of its own.
        picture: Of a slide.
        script_line: Of the script, that shows the slide.
    """

    kind: ElementKind
    start: float
    stop: float
    box: Box
    lines: tuple[Line, ...] = ()
    plate: bool = False
    picture: Path | None = None
    script_line: int | None = None


def elements_of(talk: Talk, places: Places, captions: Sequence[Caption]) -> tuple[Element, ...]:
    """Return all that is seen besides the presenter, by when it appears.

    Args:
        talk: What is spoken.
        places: Where things stand.
        captions: What is written at the bottom; empty: nothing.
    """
    shorter = min(places.canvas)
    slides = tuple(_slides(talk.slides, talk.seconds, places.slide))
    words = [element for section in _sections(talk) for element in _section(section, places, shorter)]
    seen = [part for element in words for part in _outside(element, slides)]
    captioned = (caption_element(each, places.captions, shorter) for each in captions)
    return tuple(sorted((*slides, *seen, *captioned), key=lambda element: element.start))


@dataclass(frozen=True, slots=True)
class _Section:
    """A title with what follows it; `stop`: where the next one begins."""

    title: SpokenPassage | None
    bullets: tuple[SpokenPassage, ...]
    stop: float


def _sections(talk: Talk) -> Iterator[_Section]:
    shown = [passage for passage in talk.passages if passage.passage.kind != "text"]
    starts = [0, *(number for number, each in enumerate(shown) if number and each.passage.kind == "title"), len(shown)]
    for first, last in pairwise(starts):
        title = shown[first] if first < last and shown[first].passage.kind == "title" else None
        bullets = tuple(shown[first + (title is not None) : last])
        stop = shown[last].start if last < len(shown) else talk.seconds
        yield _Section(title, bullets, stop)


def _section(section: _Section, places: Places, shorter: int) -> Iterator[Element]:
    panel = places.panel
    if places.covered:
        yield from _lower_third(section, panel, shorter)
        return
    top = panel.y
    if section.title is not None:
        title = _title(section.title.passage, panel, shorter, round(0.35 * panel.height))
        yield _text_element("title", section.title.start, section.stop, title, panel)
        top = title.y + title.text.height + round(_BESIDE * _TITLE * shorter)
    rest = Box(panel.x, min(top, panel.bottom - 1), panel.width, max(1, panel.bottom - top))
    for page, ends in _pages(section.bullets, section.stop, rest, shorter):
        for spoken, lines in page:
            yield _element("bullet", spoken.start, ends, lines, panel, plate=False)


def _lower_third(section: _Section, panel: Box, shorter: int) -> Iterator[Element]:
    """Yield the title and one bullet at a time, at the bottom of the panel, each on a plate."""
    padding = round(_PADDING * _BULLET * shorter)
    upper = round(_TITLES_PART * panel.height)
    inner = Box(panel.x + padding, panel.y + padding, panel.width - 2 * padding, upper - 2 * padding)
    bottom = replace(inner, y=panel.y + upper + padding, height=panel.height - upper - 2 * padding)
    if section.title is not None:
        line = _title(section.title.passage, inner, shorter, inner.height)
        lowered = replace(line, y=inner.bottom - line.text.height)
        yield _text_element("title", section.title.start, section.stop, lowered, panel, padding)
    for bullet, follows in zip_longest(section.bullets, section.bullets[1:]):
        ends = section.stop if follows is None else follows.start
        lines, _ = _bullet(replace(bullet.passage, level=0), bottom, _BULLET * shorter, _LEAST_BULLET * shorter)
        yield _element("bullet", bullet.start, ends, lines, panel, plate=True, padding=padding)


def _title(passage: Passage, box: Box, shorter: int, height: int) -> Line:
    text = set_text(passage.shown, box.width, max(1, height), _TITLE * shorter, _LEAST_TITLE * shorter)
    return Line(text, box.right - text.width if text.leftwards else box.x, box.y)


_Page: TypeAlias = list[tuple[SpokenPassage, tuple[Line, ...]]]


def _pages(bullets: Sequence[SpokenPassage], stop: float, box: Box, shorter: int) -> Iterator[tuple[_Page, float]]:
    """Yield the bullets that stand together, in letters of one size, and when they go: what does not fit follows."""
    letters, least = _BULLET * shorter, _LEAST_BULLET * shorter
    page = _set_page(bullets, box, letters)
    while len(page) < len(bullets) and letters > least:
        letters = max(least, 0.92 * letters)
        page = _set_page(bullets, box, letters)
    while page:
        rest = bullets[len(page) :]
        yield page, rest[0].start if rest else stop
        bullets, page = rest, _set_page(rest, box, letters)


def _set_page(bullets: Sequence[SpokenPassage], box: Box, letters: float) -> _Page:
    """Return as many bullets as fit below each other, one at least."""
    page, top = _Page(), box.y
    for bullet in bullets:
        room = replace(box, y=min(top, box.bottom - 1), height=max(1, box.bottom - top))
        lines, height = _bullet(
            bullet.passage, room if not page else replace(room, height=box.height), letters, letters
        )
        if page and top + height > box.bottom:
            break
        page.append((bullet, lines))
        top += height + round(_BESIDE * letters)
    return page


def _bullet(passage: Passage, box: Box, letters: float, least: float) -> tuple[tuple[Line, ...], int]:
    """Return a bullet's mark and text, and how high it is."""
    indent = round(_INDENT * letters * (1 + min(passage.level, _DEEPEST)))
    width = max(1, box.width - indent)
    text = set_text(passage.shown, width, box.height, letters, least)
    mark = set_text(passage.mark or "•", max(1, round(_INDENT * letters)), box.height, text.letters, 0.3 * text.letters)
    at = box.right - indent if text.leftwards else box.x + indent - round(_INDENT * letters)
    x = box.right - indent - text.width if text.leftwards else box.x + indent
    return (Line(mark, at, box.y), Line(text, x, box.y)), max(text.height, mark.height)


def caption_element(caption: Caption, box: Box, shorter: int) -> Element:
    """Return a caption as it stands at the bottom of a box.

    Args:
        caption: One or two lines that fit.
        box: The strip for captions.
        shorter: Pixels of the picture's shorter side.
    """
    padding = round(_PADDING * _CAPTION * shorter)
    inner = Box(box.x + padding, box.y + padding, box.width - 2 * padding, max(1, box.height - 2 * padding))
    each = [
        set_text(
            line, inner.width, max(1, inner.height // len(caption.lines)), _CAPTION * shorter, _LEAST_CAPTION * shorter
        )
        for line in caption.lines
    ]
    lines, top = list[Line](), inner.bottom - sum(text.height for text in each)
    for text in each:
        lines.append(Line(text, inner.x + (inner.width - text.width) // 2, top))
        top += text.height
    return _element("caption", caption.start, caption.stop, tuple(lines), box, plate=True, padding=padding)


def _slides(slides: Sequence[ShownSlide], seconds: float, box: Box) -> Iterator[Element]:
    for slide, follows in zip_longest(slides, slides[1:]):
        stop = seconds if follows is None else follows.start
        if slide.path is not None and stop > slide.start:
            yield Element("slide", slide.start, stop, box, picture=slide.path, script_line=slide.line)


def _outside(element: Element, slides: Iterable[Element]) -> Iterator[Element]:
    """Yield an element in the times in which no slide takes its place."""
    start = element.start
    for slide in slides:
        if slide.stop <= start or slide.start >= element.stop:
            continue
        if slide.start > start:
            yield replace(element, start=start, stop=slide.start)
        start = slide.stop
    if start < element.stop:
        yield replace(element, start=start)


def _text_element(
    kind: ElementKind, start: float, stop: float, line: Line, within: Box, padding: int | None = None
) -> Element:
    return _element(kind, start, stop, (line,), within, plate=padding is not None, padding=padding or 0)


def _element(
    kind: ElementKind,
    start: float,
    stop: float,
    lines: tuple[Line, ...],
    within: Box,
    *,
    plate: bool,
    padding: int = 0,
) -> Element:
    """Return an element as large as its lines and its plate, cut at the box that it stands in."""
    left = max(within.x, min(line.x for line in lines) - padding)
    top = max(within.y, min(line.y for line in lines) - padding)
    right = min(within.right, max(line.x + line.text.width for line in lines) + padding)
    bottom = min(within.bottom, max(line.y + line.text.height for line in lines) + padding)
    return Element(kind, start, stop, Box(left, top, max(1, right - left), max(1, bottom - top)), lines, plate)
