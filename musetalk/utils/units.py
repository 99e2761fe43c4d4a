"""Numbers as people read them: never "0 MiB", never "60 s, more than the 60 s allowed"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

_SIZES = (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10))
_MOST_BINARY_DIGITS = 5  # of a size; what needs more is told in bytes
_MOST_DIGITS = 15  # that a float tells apart


def duration(seconds: float, digits: int = 3) -> str:
    """Return how long something takes or took, "0.84 s", "18.8 s", "3 min 05 s", "2 h 04 min"; short ones "40 ms".

    Args:
        seconds: 0 or more.
        digits: Significant ones, of what is shorter than a minute; more than three also show a longer one in seconds.
    """
    seconds = max(0.0, seconds)
    if 0 < seconds < 0.0995:
        return f"{number(seconds * 1000, digits - 1)} ms"
    if seconds < 59.95 or digits > 3:
        return f"{number(seconds, digits if seconds >= 9.95 else digits - 1)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def in_seconds(seconds: float, digits: int = 3) -> str:
    """Return a length as settings have it, "0.5 s", "14401 s".

    Args:
        seconds: 0 or more.
        digits: Significant ones; whole seconds are always shown.
    """
    return f"{number(seconds, digits).replace(',', '')} s"


def listed(names: Sequence[str]) -> str:
    """Names as a text, "one", "one and two", "one, two and three"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def roughly(seconds: float) -> str:
    """A length of time that is an estimate, "a few seconds", "about 40 s", "about 2 h 20 min", "about 3 days"."""
    return "a few seconds" if seconds < 8 else f"about {_rounded(seconds)}"


def _rounded(seconds: float) -> str:
    if seconds < 57:
        return f"{max(10, round(seconds / 5) * 5)} s"
    if seconds < 57 * 60:
        minutes = round(seconds / 60) if seconds < 600 else round(seconds / 300) * 5
        return f"{max(1, minutes)} min"
    tens = round(seconds / 600)
    if tens < 60:
        hours, rest = divmod(tens, 6)
        return f"{max(1, hours)} h" + (f" {rest}0 min" if rest and hours else "")
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def counted(count: int, noun: str) -> str:
    """Return a count and what is counted, "1 frame", "1,200 frames"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(count: float, digits: int = 3) -> str:
    """Bytes for people, "3.4 GiB", "870 MiB", "12 KiB", "1 byte".

    Args:
        count: 0 or more.
        digits: Significant ones.
    """
    for unit, power in _SIZES if digits <= _MOST_BINARY_DIGITS else ():
        if count >= 2**power - 2 ** (power - 11):  # what would be shown as 1024 of the unit below
            return f"{number(count / 2**power, digits)} {unit}"
    return counted(round(count), "byte")


def frame_rate(fps: Fraction | str) -> str:
    """Return a rate of frames for people, "25 fps", "29.97 fps".

    Args:
        fps: Frames a second, as a fraction or the text of one ("30000/1001").
    """
    return f"{number(float(Fraction(fps)), 4)} fps"


def apart(first: float, second: float, say: Callable[[float, int], str]) -> tuple[str, str]:
    """Return two different amounts with as many digits as tell them apart, three at least.

    Args:
        first: An amount.
        second: Another one.
        say: `duration`, `in_seconds` or `size`.
    """
    for digits in range(3, _MOST_DIGITS):
        texts = say(first, digits), say(second, digits)
        if texts[0] != texts[1]:
            return texts
    return say(first, 3), say(second, 3)


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, without exponent and without zeros at its end: "0.84", "1,020"."""
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    places = max(0, digits - whole) if whole else _places_below_one(abs(value), digits)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _places_below_one(value: float, digits: int) -> int:
    """Decimal places that show so many digits of a value below 1."""
    if value == 0:
        return 0
    leading = 0
    while value < 0.1:
        value, leading = value * 10, leading + 1
    return digits + leading
