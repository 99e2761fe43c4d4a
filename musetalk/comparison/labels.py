"""Labels of a backend's result, which name a fallback that painted parts of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def painter_named(report: Mapping[str, Any], frame: int | None = None, named: Callable[[str], str] = str) -> str:
    """Return the backend of a report, and whoever painted in its place: of all, or of one frame.

    Args:
        report: As for `who_painted`.
        frame: Of the output; None: all.
        named: From backends' names to what they are called where this is shown.
    """
    painters = [report["instead"]] if report.get("instead") else []
    if frame is not None:
        painters = [_painter(each) for each in report["fallbacks"] if each["start"] <= frame < each["stop"]]
    others, asked = " and ".join(map(named, dict.fromkeys(painters))), named(str(report["backend"]))
    return f"{asked} (by {others})" if others else asked


def who_painted(report: Mapping[str, Any], named: Callable[[str], str] = str) -> str:
    """Return who painted what the backend of a report could not, in a few words; empty where it painted all.

    Args:
        report: As `RenderReport.to_dict` gives it, or as its JSON is read.
        named: As for `painter_named`.
    """
    if report.get("instead"):
        return f"this is {named(report['instead'])}'s result"
    fallback, faces = report["fallback_frames"], report["face_frames"]
    others = " and ".join(dict.fromkeys(map(named, map(_painter, report["fallbacks"]))))
    return f"{fallback} of {faces} frames by {others}" if fallback else ""


def _painter(fallback: Mapping[str, Any]) -> str:
    return fallback.get("backend") or "a fallback"
