"""The measures of a comparison over time, in one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from musetalk.errors import write_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from musetalk.comparison.types import Comparison
    from musetalk.metrics.types import Curves, Measures
    from musetalk.pipeline.report import RenderReport

# Okabe and Ito, "Color Universal Design" (2008): told apart with any color vision. Their yellow is too pale for lines.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_SOURCE, _VOICE, _BORDER = "#8a8a8a", "#444444", "#1a1a1a"
_BY_ANOTHER: dict[str, Any] = {"facecolor": "white", "edgecolor": "#b00020", "hatch": "////"}
_CURVES = (
    ("opening", "mouth opening\n(of its width)"),
    ("sharpness", "sharpness\n(var. of Laplacian)"),
    ("jitter", "jitter in the\nmouth (levels)"),
    ("jitter_around", "jitter around\nit (levels)"),
)
_WIDTH, _DPI = 8.0, 165  # inches, dots per inch: half as wide on the page, letters are 11 pixels high
_SHORT, _TALL, _LANE = 0.7, 1.3, 0.3  # inches: heights of the voice, of a measure, of a backend's lane


def draw_plots(comparison: Comparison, out: Path, named: Callable[[str], str] = str) -> None:
    """Draw loudness, who painted what, and each measure over time, one color per backend, the source in grey.

    Args:
        comparison: With at least one report that has measures.
        out: The PNG to make.
        named: What backends are called where it is shown.

    Raises:
        OutputError: It cannot be written.
    """
    measured = [
        (replace(report, backend=named(report.backend)), report.measures)
        for _, report in comparison.rendered
        if report.measures is not None
    ]
    lanes = max(0.6, _LANE * len(measured))
    heights = [_SHORT, lanes, *[_TALL] * len(_CURVES)]
    figure = Figure(figsize=(_WIDTH, sum(heights) + 1.2), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)  # pyplot, and what it shares between threads, stays out of this
    axes = figure.subplots(len(heights), sharex=True, height_ratios=heights)
    _draw_voice(axes[0], *measured[0])
    _draw_lanes(axes[1], measured)
    for axis, (name, label) in zip(axes[2:], _CURVES, strict=True):
        _draw_curves(axis, measured, name, label)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    axes[0].set_xlim(0, max(report.video_seconds for report, _ in measured))
    axes[-1].set_xlabel("seconds", fontsize=10)
    handles, names = axes[2].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=10, frameon=False)
    try:
        figure.savefig(out, format="png")
    except OSError as error:
        problem = f'"{out.name}" cannot be written ({error.strerror})'
        raise write_error(error)(problem, "free some space", path=out) from error


def _seconds(report: RenderReport, measures: Measures, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the moments of a curve's bins, in the middle of each."""
    step = float(measures.series.frames_per_bin / Fraction(report.fps))
    return (np.arange(count, dtype=np.float64) + 0.5) * step


def _numbers(values: Sequence[float | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _draw_voice(axis: Axes, report: RenderReport, measures: Measures) -> None:
    voice = _numbers(measures.series.voice)
    axis.fill_between(_seconds(report, measures, len(voice)), voice, color=_VOICE, alpha=0.55, linewidth=0)
    axis.set_ylim(0, 1)
    _name(axis, "voice")


def _draw_lanes(axis: Axes, measured: Sequence[tuple[RenderReport, Measures]]) -> None:
    """A lane per backend: bars where it painted, hatched where another one did, ticks where clips meet."""
    for lane, (report, measures) in enumerate(measured):
        fps, color = Fraction(report.fps), _COLOURS[lane % len(_COLOURS)]
        for span in report.spans:
            if span.kind in ("face", "fallback"):
                start, length = float(span.start / fps), float((span.stop - span.start) / fps)
                style = _BY_ANOTHER if span.kind == "fallback" else {"color": color, "alpha": 0.45}
                axis.broken_barh([(start, length)], (lane - 0.35, 0.7), **style)
        borders = np.array(measures.series.borders, np.float64) * float(measures.series.frames_per_bin / fps)
        axis.vlines(borders, lane - 0.35, lane + 0.35, colors=_BORDER, linewidth=0.5)
    axis.set_ylim(len(measured) - 0.5, -0.5)
    axis.set_yticks(range(len(measured)), [report.backend for report, _ in measured])
    axis.set_title(
        "painted; hatched: by a fallback; ticks: where clips meet", loc="left", fontsize=9, color=_VOICE, pad=3
    )


def _draw_curves(axis: Axes, measured: Sequence[tuple[RenderReport, Measures]], name: str, label: str) -> None:
    report, measures = measured[0]
    _draw_curve(axis, report, measures, measures.series.source, name, "the source", _SOURCE)
    for number, (report, measures) in enumerate(measured):
        color = _COLOURS[number % len(_COLOURS)]
        _draw_curve(axis, report, measures, measures.series.picture, name, report.backend, color)
    axis.set_ylim(bottom=0)
    axis.grid(axis="y", linewidth=0.4, alpha=0.5)
    _name(axis, label)


def _draw_curve(
    axis: Axes, report: RenderReport, measures: Measures, curves: Curves, name: str, label: str, color: str
) -> None:
    values = _numbers(getattr(curves, name))
    seconds = _seconds(report, measures, len(values))
    # The marker is for frames that stand alone: a line needs two.
    axis.plot(seconds, values, color=color, linewidth=1.1, marker=".", markersize=2, label=label)


def _name(axis: Axes, text: str) -> None:
    axis.set_ylabel(text, fontsize=9, rotation=0, ha="right", va="center")
