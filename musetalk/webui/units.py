"""Numbers and messages as people read them."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """A moment or a countdown, "1:05"; from an hour on "1:00:05"."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def duration(seconds: float) -> str:
    """How long something took, "0.84 s", "18.8 s", "3 min 05 s", "2 h 04 min"."""
    if seconds < 59.95:
        return f"{max(0.0, seconds):.{3 if seconds >= 9.95 else 2}g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def counted(count: int, noun: str) -> str:
    """A count and what is counted, "1 frame", "1,200 frames"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(count: int) -> str:
    """Bytes for people, "3.4 GiB", "870 MiB", "12 KiB"."""
    for unit, power in (("GiB", 30), ("MiB", 20)):
        if count >= 2**power:
            return f"{count / 2**power:.3g} {unit}"
    return f"{count / 2**10:.3g} KiB"


def ratio(value: float) -> str:
    """A factor or a rate without false precision, "0.042", "1.7", "24.1", "310"."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"


def ago(seconds: float) -> str:
    """How long ago something happened, "just now", "4 min ago", "3 h ago", "2 days ago"."""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds / 60)} min ago"
    if seconds < 86400:
        return f"{int(seconds / 3600)} h ago"
    return f"{counted(int(seconds / 86400), 'day')} ago"


def sentence(text: str) -> str:
    """A message with a capital, unless it begins with something that is no word, such as a path."""
    first = text.split(" ", 1)[0].rstrip(",:;")
    return text[:1].upper() + text[1:] if first.isalpha() else text
