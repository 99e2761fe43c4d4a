"""Captions: what is spoken, in lines that can be read in time."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

from musetalk.media.captions import Caption
from musetalk.tts.types import TimedWord

LINE = 42  # letters, as broadcasters have it; a wide one (CJK) counts twice
LINES = 2
LONGEST = 6.0  # seconds that one caption stands
_SHORTEST = 0.8  # it stands so long, if nothing follows
_GAP = 1.0  # seconds of silence over which no caption stands
_ENDS = (".", "!", "?", "…", "。", "！", "？")
_CLAUSES = (",", ";", ":", "—", "，", "、", "；", "：")


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


def fitted(captions: Iterable[Caption]) -> Iterator[Caption]:
    """Yield captions that fit into the picture: of what is too long, one part after the other, by its letters."""
    for each in captions:
        if len(each.lines) <= LINES and max(map(_width, each.lines)) <= LINE:
            yield each
            continue
        for part in caption_words([_by_letters(each)]):
            if part.start < each.stop:
                yield Caption(part.lines, part.start, min(part.stop, each.stop), each.line)


def _by_letters(caption: Caption) -> Sequence[TimedWord]:
    """Return the words of a caption as if each of its letters took as long."""
    words = [word for line in caption.lines for word in line.split()]
    ends = list(accumulate(map(len, words), initial=0))
    seconds = (caption.stop - caption.start) / ends[-1]
    times = pairwise(caption.start + seconds * end for end in ends)
    return [TimedWord(word, start, stop) for word, (start, stop) in zip(words, times, strict=True)]


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
    parts, width = [""], 0
    for letter in word.text:
        width += _width(letter)
        if width > LINE:
            parts.append("")
            width = _width(letter)
        parts[-1] += letter
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
