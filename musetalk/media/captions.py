"""Files of captions that go with a video: SubRip and WebVTT, read and written."""

from __future__ import annotations

import heapq
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from musetalk.errors import PATH, CaptionsError
from musetalk.utils.files import read_at_most

CAPTION_SUFFIXES = (".srt", ".vtt")
_MOST_BYTES = 20_000_000
_MOST_AT_ONCE = 100  # that are to be seen at one time
_ARROW = "-->"
_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*{_ARROW}\s*{_CLOCK}(?:\s.*)?")
_LIKE_TIMES = re.compile(r"\s*\d+:\d+(?::\d+)?[.,:]\d+\b")
_NO_CAPTION = re.compile(r"(WEBVTT|NOTE|STYLE|REGION)\b")
_STYLE = re.compile(r"</?(?:[bius]|c|v|lang|ruby|rt|font)(?:[\s.][^>]*)?>|<[\d:.]+>|\{\\[^}]*\}", re.IGNORECASE)
_REMEDY = "correct that line, or give another .srt or .vtt file"


@dataclass(frozen=True, slots=True)
class Caption:
    """What is read at one time.

    Attributes:
        lines: One or more.
        start: Seconds.
        stop: Where it goes; not after the next one's start.
        line: Of the file that it was read from, where its times stand, from 1 on; None: of no file.
    """

    lines: tuple[str, ...]
    start: float
    stop: float
    line: int | None = field(default=None, compare=False)


def read_captions(path: Path) -> tuple[Caption, ...]:
    """Return what a file of captions shows, by when it comes, without its styles.

    Where several are to be seen at one time, they stand below each other for as long.

    Raises:
        CaptionsError: It holds none, or something that is none; names the line.
    """
    text = _text_of(path)
    vtt = path.suffix.lower() == ".vtt"
    if vtt and not text.startswith("WEBVTT"):
        raise CaptionsError(f"line 1 of {PATH} does not say WEBVTT", _REMEDY, path=path, line=1)
    found = list[Caption]()
    for number, block in _blocks(text):
        at = next((place for place, line in enumerate(block[:2]) if _ARROW in line), None)
        if at is not None:
            _refuse_another(block, at + 1, path, number)
            said = tuple(filter(None, (_plain(line, entities=vtt) for line in block[at + 1 :])))
            found.append(Caption(said, *_times(block[at], path, number + at), number + at))
        elif vtt and _NO_CAPTION.match(block[0]):
            continue
        elif not found or block[0].strip().isdigit() or any(map(_LIKE_TIMES.match, block[:2])):
            wanted = "times such as 00:00:01,500 --> 00:00:04,000"
            problem = f"line {number} of the captions {PATH} begins what has no {wanted}: {_quoted(block[0])}"
            raise CaptionsError(problem, _REMEDY, path=path, line=number)
        else:  # an empty line within what is read
            before, more = found[-1], (_plain(line, entities=vtt) for line in block)
            found[-1] = replace(before, lines=(*before.lines, *filter(None, more)))
    if not found:
        raise CaptionsError(f"the captions {PATH} hold no times", "give a .srt or a .vtt file", path=path)
    return tuple(_one_at_a_time([each for each in found if each.lines and each.stop > each.start], path))


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


def _text_of(path: Path) -> str:
    """Return what is written in a file of captions.

    Raises:
        CaptionsError: It is of another kind, or cannot be read.
    """
    remedy = "give a .srt or a .vtt file"
    if path.suffix.lower() not in CAPTION_SUFFIXES:
        raise CaptionsError(f"the captions {PATH} are of no kind that is known", remedy, path=path)
    try:
        content = read_at_most(path, _MOST_BYTES)
    except OSError as error:
        problem = f"the captions {PATH} cannot be read ({error.strerror or error})"
        raise CaptionsError(problem, "check the file's name", path=path) from error
    if content is None:
        raise CaptionsError(f"the captions {PATH} are too large", remedy, path=path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = f"line {line} of the captions {PATH} is no text in UTF-8"
        raise CaptionsError(problem, "save them as such", path=path, line=line) from error


_Block: TypeAlias = tuple[int, list[str]]


def _blocks(text: str) -> Iterator[_Block]:
    """Yield what stands between empty lines, with the number of its first line, from 1 on."""
    block, first = list[str](), 0
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if line.strip():
            first = first if block else number
            block.append(line)
        elif block:
            yield first, block
            block = []
    if block:
        yield first, block


def _refuse_another(block: Sequence[str], first: int, path: Path, number: int) -> None:
    """Make sure that no caption begins within another one, whose words it would be.

    Args:
        block: Lines.
        first: Which of them is the first that is read.
        path: The file.
        number: Of the block's first line in it.

    Raises:
        CaptionsError: One does.
    """
    for place in range(first, len(block)):
        if _TIMES.fullmatch(block[place]):
            problem = f"line {number + place} of the captions {PATH} begins another one within one"
            raise CaptionsError(problem, "put an empty line between them", path=path, line=number + place)


def _times(line: str, path: Path, number: int) -> tuple[float, float]:
    """Return from when to when a caption is seen, in seconds.

    Raises:
        CaptionsError: The line does not say so.
    """
    found = _TIMES.fullmatch(line)
    parts = [str(part or 0) for part in found.groups()] if found else []
    if not parts or max(map(int, (*parts[1:3], *parts[5:7]))) > 59:
        wanted = "times such as 00:00:01,500 --> 00:00:04,000"
        problem = f"line {number} of the captions {PATH} has no {wanted}: {_quoted(line)}"
        raise CaptionsError(problem, _REMEDY, path=path, line=number)
    start, stop = _seconds(*parts[:4]), _seconds(*parts[4:])
    if stop < start:
        problem = f"line {number} of the captions {PATH} ends before it begins: {_quoted(line)}"
        raise CaptionsError(problem, _REMEDY, path=path, line=number)
    return start, stop


def _seconds(hours: str, minutes: str, seconds: str, fraction: str) -> float:
    return (int(hours) * 60 + int(minutes)) * 60 + float(f"{seconds}.{fraction}")


def _plain(line: str, *, entities: bool) -> str:
    """Return a line of a caption without styles and control characters."""
    bare = _STYLE.sub("", line)
    if entities:
        bare = html.unescape(bare)
    return " ".join("".join(letter for letter in bare if letter >= " " and letter != "\x7f").split())


def _one_at_a_time(captions: Sequence[Caption], path: Path) -> Iterator[Caption]:
    """Yield captions one after the other: of those that share a time, the lines of all.

    Raises:
        CaptionsError: They are too many to be seen.
    """
    waiting = sorted(captions, key=lambda each: each.start)
    edges = sorted({edge for each in waiting for edge in (each.start, each.stop)})
    seen, come = list[tuple[float, int, Caption]](), 0
    for start, stop in pairwise(edges):
        while come < len(waiting) and waiting[come].start <= start:
            heapq.heappush(seen, (waiting[come].stop, come, waiting[come]))
            come += 1
        while seen and seen[0][0] <= start:
            heapq.heappop(seen)
        if len(seen) > _MOST_AT_ONCE:
            line = seen[0][2].line
            problem = f"line {line} of the captions {PATH} is one of more than {_MOST_AT_ONCE} at one time"
            raise CaptionsError(problem, _REMEDY, path=path, line=line)
        if seen:
            now = [each for _, _, each in sorted(seen, key=lambda item: item[1])]
            yield Caption(tuple(line for each in now for line in each.lines), start, stop, now[0].line)


def _quoted(line: str) -> str:
    shown = "".join(letter for letter in line.strip() if letter.isprintable())
    return f'"{shown[:40]}\u2026"' if len(shown) > 40 else f'"{shown}"'


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
