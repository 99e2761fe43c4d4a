"""Captions: what is spoken, in lines that can be read in time; as SubRip and WebVTT."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from musetalk.tts.types import TimedWord

LINE = 42  # letters, as broadcasters have it; a wide one (CJK) counts twice
LINES = 2
LONGEST = 6.0  # seconds that one caption stands
_SHORTEST = 0.8  # it stands so long, if nothing follows
_GAP = 1.0  # seconds of silence over which no caption stands
_ENDS = (".", "!", "?", "…", "。", "！", "？")
_CLAUSES = (",", ";", ":", "—", "，", "、", "；", "：")


@dataclass(frozen=True, slots=True)
class Caption:
    """What is read at one time.

    Attributes:
        lines: One or two.
        start: Seconds.
        stop: Where it goes; not after the next one's start.
    """

    lines: tuple[str, ...]
    start: float
    stop: float


def caption_words(passages: Iterable[Sequence[TimedWord]]) -> tuple[Caption, ...]:
    """Return the captions of what is spoken: every word once, in order, none over two passages.

    Args:
        passages: The words of each.
    """
    groups = [group for passage in passages for group in _groups(passage)]
    starts = [group[0].start for group in groups]
    return tuple(
        Caption(_break([word.text for word in group]), start, min(max(group[-1].stop, start + _SHORTEST), follows))
        for group, start, follows in zip(groups, starts, [*starts[1:], math.inf], strict=True)
    )


def as_srt(captions: Iterable[Caption]) -> str:
    """Return captions as a SubRip file's content."""
    blocks = (
        f"{number}\n{_time(each.start, ',')} --> {_time(each.stop, ',')}\n" + "\n".join(each.lines) + "\n"
        for number, each in enumerate(captions, 1)
    )
    return "\n".join(blocks)


def as_vtt(captions: Iterable[Caption]) -> str:
    """Return captions as a WebVTT file's content."""
    blocks = (
        f"{_time(each.start, '.')} --> {_time(each.stop, '.')}\n" + "\n".join(map(_escaped, each.lines)) + "\n"
        for each in captions
    )
    return "WEBVTT\n\n" + "\n".join(blocks)


def _groups(words: Sequence[TimedWord]) -> Iterator[list[TimedWord]]:
    """Yield the words that stand together: as many as fit, cut where a sentence or a clause ends."""
    rest = [part for word in words for part in _parts(word)]
    while rest:
        fits = 1
        while (
            fits < len(rest)
            and len(_break([word.text for word in rest[: fits + 1]])) <= LINES
            and rest[fits].stop - rest[0].start <= LONGEST
            and rest[fits].start - rest[fits - 1].stop < _GAP
        ):
            fits += 1
        count = fits if fits == len(rest) else _cut(rest[:fits])
        yield rest[:count]
        rest = rest[count:]


def _cut(words: Sequence[TimedWord]) -> int:
    """Return how many words of those that fit stand together, where more follow."""
    for marks, least in ((_ENDS, 0.0), (_CLAUSES, 0.4)):
        ends = [number for number, word in enumerate(words, 1) if word.text.rstrip("\"'”’)]»").endswith(marks)]
        if ends and ends[-1] >= least * len(words):
            return ends[-1]
    return len(words)


def _parts(word: TimedWord) -> Iterator[TimedWord]:
    """Yield a word in parts that each fit into a line."""
    text, parts = word.text, list[str]()
    while _width(text) > LINE:
        length = 1
        while _width(text[: length + 1]) <= LINE:
            length += 1
        parts.append(text[:length])
        text = text[length:]
    parts.append(text)
    total, done = sum(map(len, parts)), 0
    for part in parts:
        start = word.start + (word.stop - word.start) * done / max(1, total)
        done += len(part)
        yield TimedWord(part, start, word.start + (word.stop - word.start) * done / max(1, total))


def _break(words: Sequence[str]) -> tuple[str, ...]:
    """Return words in lines: one if they fit, else two about as long, else as many as are needed."""
    whole = " ".join(words)
    if _width(whole) <= LINE:
        return (whole,)
    halves = [(" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words))]
    fitting = [pair for pair in halves if max(map(_width, pair)) <= LINE]
    if not fitting:
        return tuple(words)
    return min(fitting, key=lambda pair: abs(_width(pair[0]) - _width(pair[1])))


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
