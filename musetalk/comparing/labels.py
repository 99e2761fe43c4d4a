"""What a backend's result has to be called, where others may have painted parts of it."""

from __future__ import annotations

from typing import Any


def who_painted(report: dict[str, Any]) -> str:
    """Who painted what the backend of a report could not, in a few words; empty where it painted all.

    Args:
        report: As `RenderReport.to_dict` gives it, or as its JSON is read.
    """
    if report["instead"]:
        return f"this is {report['instead']}'s result"
    fallback, faces = report["fallback_frames"], report["face_frames"]
    others = " and ".join(dict.fromkeys(each["backend"] for each in report["fallbacks"]))
    return f"{fallback} of {faces} frames by {others}" if fallback else ""
