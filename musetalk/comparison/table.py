"""A comparison as rows of text, one column per backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from musetalk.comparison.labels import who_painted

_LOWER, _HIGHER = "lower is better", "higher is better"
_NEAR_1, _AS_SOURCE = "close to 1 is better", "close to the source is better"
_CALM = "lower is better among mouths that move alike"
NOTHING = "–"  # noqa: RUF001 - where there is too little to say


@dataclass(frozen=True, slots=True)
class Row:
    """One measure.

    Attributes:
        label: What it is.
        texts: One per backend, in the comparison's order.
        source: Of the source itself; empty where it has none.
        about: How it is to be read, in a sentence.
        better: Which way is better, in a few words.
    """

    label: str
    texts: tuple[str, ...]
    source: str
    about: str
    better: str


def rows(comparison: dict[str, Any]) -> tuple[Row, ...]:
    """Lay out a comparison's measures.

    Args:
        comparison: As `Comparison.to_dict` gives it, or as its JSON is read.
    """
    reports = [part["report"] for part in comparison["parts"]]
    measures = [(report or {}).get("measures") for report in reports]
    source = next((each["source"] for each in measures if each), None)

    def figure(label: str, about: str, better: str, name: str, digits: int) -> Row:
        texts = (_number(each and each["picture"][name], digits) for each in measures)
        return Row(label, tuple(texts), _number(source and source[name], digits), about, better)

    def fact(label: str, about: str, better: str, say: Callable[[Any], str], of: list[Any], beside: str = "") -> Row:
        return Row(label, tuple(NOTHING if each is None else say(each) for each in of), beside, about, better)

    kept = "of loudness and opening, at the best of 7 lags (frames); the source's is what chance gives"
    heard = _beside(source)
    return (
        fact("seconds per face frame", "of painting alone", _LOWER, _pace, reports),
        fact("seconds in all", "the first one looks for the faces, too", _LOWER, _whole, reports),
        figure("mouth sharpness", "variance of the Laplacian; noise counts as detail", _AS_SOURCE, "sharpness", 1),
        fact("  relative to the source", "1: as sharp as the source", _NEAR_1, _relative, measures, _one(source)),
        figure(
            "jitter in the mouth", "second difference in time, grey levels; speaking adds to it", _CALM, "jitter", 2
        ),
        figure("jitter around it", "the same in the lower face beside the mouth", _AS_SOURCE, "jitter_around", 2),
        figure(
            "jump at clip borders", "change where clips meet, by that inside them; 1: none", _NEAR_1, "border_jump", 2
        ),
        fact("change outside the mask", "has to be 0", _LOWER, _outside, measures),
        fact("fallback frames", "painted by another backend", _LOWER, _fallbacks, reports),
        fact("voice/mouth correlation", kept, _HIGHER, lambda each: _correlation(each["picture"]), measures, heard),
    )


def remarks(comparison: dict[str, Any]) -> tuple[str, ...]:
    """Return what a reader has to know beside the figures: who failed and why, and the notes of each report.

    Args:
        comparison: As for `rows`.
    """
    found = list[str]()
    for part in comparison["parts"]:
        if part["error"]:
            found.append(f"{part['backend']} failed: {part['error']}")
        found += [f"{part['backend']}: {note}" for note in (part["report"] or {}).get("warnings", ())]
    return tuple(found)


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _pace(report: dict[str, Any]) -> str:
    seconds, frames = report["stages"].get("generate"), report["face_frames"]
    return _number(seconds / frames if seconds is not None and frames else None, 3)


def _whole(report: dict[str, Any]) -> str:
    return _number(report["wall_seconds"], 1)


def _relative(measures: dict[str, Any]) -> str:
    return _number(measures["relative_sharpness"], 2)


def _outside(measures: dict[str, Any]) -> str:
    outside = measures["outside"]
    if not outside["pixels"]:
        return "0"
    return f"up to {outside['greatest']} levels: {outside['pixels']} pixels in {outside['frames']} frames"


def _fallbacks(report: dict[str, Any]) -> str:
    count, told = str(report["fallback_frames"]), who_painted(report)
    return told if told.startswith(f"{count} of") else f"{count}: {told}" if told else count


def _one(source: dict[str, Any] | None) -> str:
    return "1.00" if source else ""


def _beside(source: dict[str, Any] | None) -> str:
    return NOTHING if source is None else _correlation(source)


def _correlation(figures: dict[str, Any]) -> str:
    lag = figures["lag"]
    when = f" ({abs(lag)} {'late' if lag > 0 else 'early'})" if lag else ""
    return _number(figures["correlation"], 2) + when
