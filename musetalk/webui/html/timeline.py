"""The output on one line: how each frame was made, and how loud the voice is over it."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from typing import Any

from musetalk.utils.units import counted
from musetalk.webui.html.timeline_seek import readout, seek_bar
from musetalk.webui.html.units import clock

_WIDTH = 1000  # units across; the browser stretches them
_VOICE, _GAP, _BAND = 44, 4, 14  # units (and pixels) down: the voice, then air, then the bands
_COLUMNS = 360  # more spans than this are merged into so many columns; bounds the size of the plot
_THINNEST = 0.1  # units; what is thinner would not be drawn at all
_POINTS = 600  # of the voice's curve
_MOST_TICKS = 6
_STEPS = (0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds
_TITLES = {
    "face": "face painted",
    "fallback": "fallback",
    "rest": "at rest",
    "cutaway": "cutaway",
    "tail": "after the voice",
}


@dataclass(frozen=True, slots=True)
class _Piece:
    """Output frames [start, stop) drawn as one rectangle; `count` of them were made in this way."""

    start: int
    stop: int
    kind: str
    count: float


def timeline_svg(report: Mapping[str, Any]) -> str:
    """Return the timeline of one render.

    Fallbacks have a layer of their own, so that none can disappear under what surrounds it. However long the output,
    the result stays under 60 KB.

    Args:
        report: `RenderReport.to_dict()`, or the same from JSON.

    Returns:
        A `<figure>` with an SVG (well-formed XML), a time axis and a legend; empty where the report has no spans.
    """
    pieces = [_piece(span) for span in report["spans"]]
    frames = max((piece.stop for piece in pieces), default=0)
    if not frames:
        return ""
    seconds = float(frames / Fraction(report["fps"]))
    ticks = _ticks(seconds)
    return (
        f'<figure class="mt-timeline">{_svg(pieces, frames, seconds, report["loudness"], ticks)}'
        f"{_axis(ticks, seconds)}{seek_bar(report, frames)}{_legend(pieces, bool(report['loudness']))}"
        f"{readout()}</figure>"
    )


def _piece(span: Mapping[str, Any]) -> _Piece:
    return _Piece(span["start"], span["stop"], span["kind"], span["stop"] - span["start"])


def _svg(
    pieces: Sequence[_Piece], frames: int, seconds: float, loudness: Sequence[float], ticks: Sequence[float]
) -> str:
    body = "".join((_grid(ticks, seconds), _curve(loudness), _bands(pieces, frames), _marks(pieces, frames)))
    totals = ", ".join(f"{counted(count, 'frame')} {_TITLES[kind]}" for kind, count in _totals(pieces).items())
    name = f"mt-timeline-{zlib.crc32(body.encode()):08x}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_VOICE + _GAP + _BAND}" '
        f'preserveAspectRatio="none" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">How each frame was made</title>'
        f'<desc id="{name}-desc">{escape(clock(seconds))} of video: {escape(totals)}.</desc>{body}</svg>'
    )


def _grid(ticks: Sequence[float], seconds: float) -> str:
    lines = "".join(f"M{_number(tick / seconds * _WIDTH)} 0v{_VOICE + _GAP + _BAND}" for tick in ticks)
    return f'<path class="mt-grid" d="{lines}"/>'


def _curve(loudness: Sequence[float]) -> str:
    """Return the voice as an area; of too many values, the largest of each bin."""
    if not loudness:
        return ""
    bins = min(len(loudness), _POINTS)
    edges = [index * len(loudness) // bins for index in range(bins + 1)]
    tops = [max(loudness[start:stop]) for start, stop in itertools.pairwise(edges)]
    steps = []
    for index, top in enumerate(tops):
        level = _VOICE * (1 - min(max(float(top), 0.0), 1.0))
        steps.append(f"{_number((index + 0.5) / bins * _WIDTH)} {_number(level)}")
    first, last = steps[0].split()[1], steps[-1].split()[1]
    points = " ".join([f"0 {first}", *steps, f"{_WIDTH} {last}"])
    return f'<path class="mt-voice" d="M0 {_VOICE}L{points} {_WIDTH} {_VOICE}z"/>'


def _bands(pieces: Sequence[_Piece], frames: int) -> str:
    """Return what is no fallback; the less was painted, the lower, so that color is not all that tells kinds apart."""
    calm = [piece for piece in pieces if piece.kind != "fallback"]
    shown = calm if len(calm) <= _COLUMNS else _merged(calm, frames)
    heights = {"face": _BAND, "rest": _BAND * 3 / 4, "cutaway": _BAND / 2, "tail": _BAND / 4}
    return "".join(
        _group(kind, [piece for piece in shown if piece.kind == kind], frames, height)
        for kind, height in heights.items()
    )


def _marks(pieces: Sequence[_Piece], frames: int) -> str:
    """Return the fallbacks, as tall as the plot; their outline keeps the shortest one visible."""
    found = [piece for piece in pieces if piece.kind == "fallback"]
    shown = found if len(found) <= _COLUMNS // 2 else _merged(found, frames)
    return _group("fallback", shown, frames, _VOICE + _GAP + _BAND)


def _group(kind: str, pieces: Sequence[_Piece], frames: int, height: float) -> str:
    if not pieces:
        return ""
    top, tall = _number(_VOICE + _GAP + _BAND - height), _number(height)
    shapes = []
    for piece in pieces:
        x = piece.start / frames * _WIDTH
        width = _number(max((piece.stop - piece.start) / frames * _WIDTH, _THINNEST))
        shapes.append(f'<path d="M{_number(x)} {top}h{width}v{tall}h-{width}z"><title>{_caption(piece)}</title></path>')
    return f'<g class="mt-{kind}">{"".join(shapes)}</g>'


def _caption(piece: _Piece) -> str:
    length = piece.stop - piece.start
    where = f"frames {piece.start}-{piece.stop - 1}" if length > 1 else f"frame {piece.start}"
    count = max(1, round(piece.count))
    return f"{where}, {piece.kind}" if count >= length else f"{where}, {count} {piece.kind}"


def _merged(pieces: Iterable[_Piece], frames: int) -> list[_Piece]:
    """As many pieces as there are columns at most: each becomes what most of its frames are, equal ones join."""
    columns: list[dict[str, float]] = [{} for _ in range(_COLUMNS)]
    wide = frames / _COLUMNS
    for piece in pieces:
        for index in range(int(piece.start / wide), min(math.ceil(piece.stop / wide), _COLUMNS)):
            count = min(piece.stop, (index + 1) * wide) - max(piece.start, index * wide)
            columns[index][piece.kind] = columns[index].get(piece.kind, 0.0) + count
    runs: list[_Piece] = []
    for index, counts in enumerate(columns):
        if not counts:
            continue
        kind, count = max(counts.items(), key=lambda item: item[1])
        start, stop = index * frames // _COLUMNS, -(-(index + 1) * frames // _COLUMNS)
        last = runs[-1] if runs else None
        if last is not None and last.kind == kind and last.stop >= start:
            runs[-1] = _Piece(last.start, stop, kind, last.count + count)
        else:
            runs.append(_Piece(start, stop, kind, count))
    return runs


def _totals(pieces: Iterable[_Piece]) -> dict[str, int]:
    """Frames of each kind, in the order of the legend."""
    totals = dict.fromkeys(_TITLES, 0)
    for piece in pieces:
        totals[piece.kind] += piece.stop - piece.start
    return {kind: count for kind, count in totals.items() if count}


def _ticks(seconds: float) -> list[float]:
    step = next((step for step in _STEPS if seconds / step <= _MOST_TICKS), seconds / _MOST_TICKS)
    ticks = [index * step for index in range(int(seconds / step + 1e-9) + 1)]
    return [*ticks, seconds] if seconds - ticks[-1] > step / 2 else ticks


def _axis(ticks: Sequence[float], seconds: float) -> str:
    """Labels in HTML, because the SVG's own text would be stretched; the plot's description says the length."""
    fine = len(ticks) > 1 and ticks[1] < 1
    labels = []
    for tick in ticks:
        share = tick / seconds
        edge = ' data-edge="start"' if share < 0.02 else ' data-edge="end"' if share > 0.96 else ""
        label = f"{tick:.2f}".rstrip("0").rstrip(".") + " s" if fine else clock(tick)
        labels.append(f'<span style="left:{share:.2%}"{edge}>{label}</span>')
    return f'<div class="mt-axis" aria-hidden="true">{"".join(labels)}</div>'


def _legend(pieces: Iterable[_Piece], voice: bool) -> str:
    items = [
        f'<li><i class="mt-swatch mt-{kind}"></i>{_TITLES[kind]} <b>{count:,}</b></li>'
        for kind, count in _totals(pieces).items()
    ]
    if voice:
        items.append('<li><i class="mt-swatch mt-voice"></i>voice</li>')
    return f'<ul class="mt-legend">{"".join(items)}</ul>'


def _number(value: float) -> str:
    """At most one decimal: a tenth of a unit is less than a pixel."""
    return f"{value:.1f}".removesuffix(".0")
