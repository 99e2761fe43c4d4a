"""Moments as people write them."""

from __future__ import annotations

import re

from musetalk.errors import SettingsError

_SECONDS = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)")
_CLOCK = re.compile(r"(?:(\d+):([0-5]?\d)|(\d+)):([0-5]?\d(?:[.,]\d*)?)")


def moment_of(text: str) -> float | None:
    """Seconds from "2.5", "2,5", "2.5 s", "0:02.5" or "1:00:02"; None where nothing is written.

    Raises:
        SettingsError: It is no moment.
    """
    text = text.strip().removesuffix("s").rstrip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        return float(text.replace(",", "."))
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise SettingsError(f'"{text}" is no moment', "give seconds, like 2.5, or a time, like 0:02.5")
    hours, minutes, only, seconds = match.groups()
    return 3600.0 * float(hours or 0) + 60.0 * float(minutes or only) + float(seconds.replace(",", "."))
