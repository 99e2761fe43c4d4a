"""What a render did: one sentence, the figures, what the user should know, and the rest on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from musetalk.comparison.labels import painter_named, who_painted
from musetalk.frame_steps.registry import told_of_steps
from musetalk.utils.units import counted, duration, size
from musetalk.webui.backend_names import TO_BACKENDS, Way, draft_badge, is_draft, titled
from musetalk.webui.html.timeline import timeline_svg
from musetalk.webui.html.units import ratio, sentence

_MOST_SHOWN = 5  # fallbacks spelt out; the timeline shows all of them


def report_panel(report: Mapping[str, Any] | None, notice: str = "", better: Way = TO_BACKENDS) -> str:
    """Return the account of one render.

    Args:
        report: `RenderReport.to_dict()`, or the same from JSON; None shows nothing.
        notice: What results of this backend have to be labelled with; empty: nothing.
        better: Where to choose what is no draft.

    Returns:
        HTML, empty without a report. File names and messages in it are escaped.
    """
    if report is None:
        return ""
    phonemes = bool(report["settings"].get("speech", {}).get("phonemes"))
    draft = is_draft(report["backend"])
    said = draft_badge(better, phonemes=phonemes) if draft else notice_line(notice)
    return (
        f'<section class="mt-report" aria-label="Report of the render">{fallback_banner(report)}'
        f'<p class="mt-summary">{_summary(report)}</p>'
        f"{_choice(report)}{said}{_chips(report)}{warnings_list(report)}{timeline_svg(report)}"
        f'<div class="mt-folds">{_stages(report)}{table_fold("Settings", list(flat(report["settings"])))}'
        f"{table_fold('Versions', list(flat(report['versions'])))}</div></section>"
    )


def _summary(report: Mapping[str, Any]) -> str:
    painted, frames, resting = int(report["face_frames"]), int(report["frames"]), _frames_at_rest(report)
    if painted == frames:
        how = "the mouth is painted in all of them"
    elif resting and not painted:
        how = "the voice says nothing where there is a face, all are untouched"
    elif resting:
        rest = "the others" if painted + resting == frames else f"{resting:,}, the others are untouched"
        how = f"the mouth is painted in {painted:,} and at rest in {rest}"
    elif painted:
        how = f"the mouth is painted in {painted:,}, the others are untouched"
    else:
        how = "none of them shows a face to paint, all are untouched"
    if not report.get("instead") and (by_others := who_painted(report, titled)):
        how += f"; {by_others}"
    if steps := report.get("frame_steps"):
        how += f"; every frame was then {escape(told_of_steps(step['name'] for step in steps))}"
    made = f"{counted(frames, 'frame')} ({duration(report['video_seconds'])} of video)"
    return f"{made} in {duration(report['wall_seconds'])}: {how}."


def _frames_at_rest(report: Mapping[str, Any]) -> int:
    return sum(span["stop"] - span["start"] for span in report["spans"] if span["kind"] == "rest")


def _choice(report: Mapping[str, Any]) -> str:
    """Return why this backend was chosen, where that was left to the program."""
    why = report.get("choice")
    return f'<p class="mt-choice">{escape(sentence(why))}.</p>' if why else ""


def notice_line(notice: str) -> str:
    """Return what a result has to be labelled with; empty: nothing."""
    return f'<p class="mt-notice">{escape(notice)}.</p>' if notice else ""


def _chips(report: Mapping[str, Any]) -> str:
    wall = float(report["wall_seconds"])
    fallbacks, resting = int(report["fallback_frames"]), _frames_at_rest(report)
    chips = [
        ("frames", f"{report['frames']:,}", ""),
        ("with a face", f"{report['face_frames']:,}", ""),
        ("untouched", f"{report['passthrough_frames']:,}", ""),
        ("at rest", f"{resting:,}" if resting else "", ""),
        ("by a fallback", f"{fallbacks:,}", "warn" if fallbacks else ""),
        *_enhanced(report),
        ("real time", f"{ratio(report['video_seconds'] / wall)}\u00d7" if wall else "", ""),
        ("frames/s rendered", ratio(report["frames"] / wall) if wall else "", ""),
        ("useful bbox_shift", _range(report.get("bbox_shift_range")), ""),
        ("peak memory", size(int(report["peak_rss_mb"] * 2**20)), ""),
        ("size", _size(report.get("size")), ""),
        ("backend", f"{painter_named(report, named=titled)}, {report['device']}", ""),
    ]
    items = "".join(
        f'<div class="mt-chip" data-tone="{tone}"><dt>{name}</dt><dd>{escape(value)}</dd></div>'
        for name, value, tone in chips
        if value
    )
    return f'<dl class="mt-chips">{items}</dl>'


def _enhanced(report: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the figures of enhancement; none where nothing was to be enhanced."""
    if report.get("enhancer"):
        yield "enhanced", f"{report['restored_frames']:,}", "warn" if report["unrestored"] else ""
        yield "enhancer", report["enhancer"], ""


def _size(size: Sequence[int] | None) -> str:
    return "" if size is None else f"{size[0]}\u00d7{size[1]}"


def _range(ends: Sequence[int] | None) -> str:
    return "" if ends is None else f"{ends[0]} to {ends[1]}"


def warnings_list(report: Mapping[str, Any]) -> str:
    """Return what the user should know, fallbacks and frames that were not enhanced, stretch by stretch.

    What `whole_fallback` says is left out.
    """
    whole = whole_fallback(report)
    sentences = [text for text in report["warnings"] if text != whole]
    fallbacks = [] if whole else report["fallbacks"]
    sentences += _stretches(
        fallbacks,
        lambda each: f"were painted by {titled(each.get('backend') or 'a fallback')}",
        "by a fallback; the timeline shows them",
    )
    untouched = "stayed as they were painted"
    sentences += _stretches(report.get("unrestored", ()), lambda _: untouched, untouched)
    items = "".join(f"<li>{escape(sentence(text))}</li>" for text in sentences)
    return f'<ul class="mt-warnings" aria-label="What you should know">{items}</ul>' if items else ""


def _stretches(
    stretches: Sequence[Mapping[str, Any]], said: Callable[[Mapping[str, Any]], str], rest: str
) -> Iterator[str]:
    """A sentence for each of the first stretches of frames, what is `said` of it with its reason, and of the `rest`."""
    for each in stretches[:_MOST_SHOWN]:
        yield f"Frames {each['start']:,} to {each['stop'] - 1:,} {said(each)}: {each['reason']}"
    if len(stretches) > _MOST_SHOWN:
        yield f"{len(stretches) - _MOST_SHOWN:,} more stretches {rest}"


def whole_fallback(report: Mapping[str, Any]) -> str:
    """Return the warning that the backend asked for painted nothing of the result; empty: it did."""
    return str(report["warnings"][0]) if report.get("instead") else ""


def fallback_banner(report: Mapping[str, Any]) -> str:
    """Return what `whole_fallback` says, as it stands above all else."""
    whole = whole_fallback(report)
    return f'<p class="mt-swapped">{escape(sentence(whole))}.</p>' if whole else ""


def _stages(report: Mapping[str, Any]) -> str:
    stages: Mapping[str, float] = report["stages"]
    longest = max(stages.values(), default=0.0)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="mt-share"><div style="width:{seconds / longest:.1%}"></div>'
        f'</td><td class="mt-number">{duration(seconds)}</td></tr>'
        for name, seconds in stages.items()
        if longest
    )
    if not rows:
        return ""
    return (
        "<details><summary>Time per stage</summary><p>Stages overlap, so they may add up to more than the whole.</p>"
        f'<table class="mt-facts"><tbody>{rows}</tbody></table></details>'
    )


def table_fold(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """Names and values behind a title, both escaped; empty without any."""
    body = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    if not body:
        return ""
    return f'<details><summary>{title}</summary><table class="mt-facts"><tbody>{body}</tbody></table></details>'


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as lines, "encoder.crf" and "18"."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _written(value)


def _written(value: object) -> str:
    """Return a value as it is read in a line; of a list of settings, one after the other."""
    if isinstance(value, list) and all(isinstance(part, Mapping) for part in value):
        return ", ".join(" ".join(f"{name}={said}" for name, said in part.items()) for part in value)
    return "" if value is None else str(value)
