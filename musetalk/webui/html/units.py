"""Numbers and messages as people read them."""

from __future__ import annotations

from musetalk.utils.units import counted


def clock(seconds: float) -> str:
    """Return a moment or a countdown, "1:05"; from an hour on "1:00:05"."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def ratio(value: float) -> str:
    """Return a factor or a rate without false precision, "0.042", "1.7", "24.1", "310"."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"


def ago(seconds: float) -> str:
    """Return how long ago something happened, "just now", "4 min ago", "3 h ago", "2 days ago"."""
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds / 60)} min ago"
    if seconds < 86400:
        return f"{int(seconds / 3600)} h ago"
    return f"{counted(int(seconds / 86400), 'day')} ago"


def in_time(seconds: float) -> str:
    """Return how long until something happens, "less than a minute", "4 min", "3 h", "2 days"."""
    if seconds < 60:
        return "less than a minute"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h" if seconds < 2 * 86400 else counted(round(seconds / 86400), "day")


def sentence(text: str) -> str:
    """Return a message with a capital, unless it begins with something that is no word, such as a path."""
    first = text.split(" ", 1)[0].rstrip(",:;")
    return text[:1].upper() + text[1:] if first.isalpha() else text
