"""What a comparison found: who failed, one column per backend, plots, and what is to be known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from musetalk.comparison.labels import who_painted
from musetalk.comparison.table import Row, rows
from musetalk.webui.backend_names import draft_badge, is_draft, titled
from musetalk.webui.html.report import fallback_banner, flat, notice_line, table_fold, warnings_list
from musetalk.webui.html.timeline import timeline_svg
from musetalk.webui.html.units import sentence


def comparison_panel(
    comparison: Mapping[str, Any],
    plots: str,
    notices: Mapping[str, str] | None = None,
    videos: Mapping[str, str] | None = None,
) -> str:
    """Return the account of one comparison.

    Args:
        comparison: `Comparison.to_dict()`, or the same from JSON.
        plots: The address of the picture of plots; empty: there is none.
        notices: By backend, what its results have to be labelled with.
        videos: Addresses of what can be downloaded, by what it is: a backend's result, or all side by side.

    Returns:
        HTML. Names and messages in it are escaped.
    """
    said, painted = notices or {}, [part for part in comparison["parts"] if part["report"]]
    wholly = "".join(fallback_banner(part["report"]) for part in painted)
    parts = "".join(_part(index, part, said.get(part["backend"], "")) for index, part in enumerate(painted))
    picture = ""
    if plots:
        alt, address = "Plots over time of what the table sums up, a line for each backend", escape(plots)
        link = f'<a href="{address}" target="_blank"><img src="{address}" alt="{alt}" loading="lazy"></a>'
        region = 'class="mt-plots mt-wide" role="region" aria-label="Plots" tabindex="0"'
        picture = f"<figure {region}>{link}</figure>"
    table = _table(comparison["parts"], rows(dict(comparison)))
    return (
        f'<section class="mt-report" aria-label="Comparison">{_failures(comparison["parts"])}{wholly}'
        f"{_downloads(videos or {})}{table}{picture}{parts}"
        f'<div class="mt-folds">{_settings(painted)}</div></section>'
    )


def _failures(parts: Sequence[Mapping[str, Any]]) -> str:
    """Return which backends made nothing, and why; empty: none."""
    failed = [part for part in parts if part["error"]]
    if not failed:
        return ""
    items = "".join(
        f"<li><b>{escape(titled(part['backend']))}</b> {escape(sentence(part['error']))}</li>" for part in failed
    )
    return f'<div class="mt-failed"><p>{len(failed)} of {len(parts)} backends failed:</p><ul>{items}</ul></div>'


def _downloads(videos: Mapping[str, str]) -> str:
    """Links to all that was made; empty: nothing."""
    links = " ".join(
        f'<a href="{escape(address)}" download="{escape(_saved_as(name, address))}">{escape(titled(name))}</a>'
        for name, address in videos.items()
    )
    return f'<p class="mt-downloads">Download: {links}</p>' if links else ""


def _saved_as(name: str, address: str) -> str:
    """Return what a file is called among downloads: as the page calls it, where it is called after its backend."""
    return f"{titled(name)}.mp4" if address.endswith(f"/{name}.mp4") else ""


def _settings(painted: Sequence[Mapping[str, Any]]) -> str:
    """Return what all of them were rendered with; the backend is each one's own."""
    if not painted:
        return ""
    return table_fold("Settings", [row for row in flat(painted[0]["report"]["settings"]) if row[0] != "backend"])


def _table(parts: Sequence[Mapping[str, Any]], measures: Sequence[Row]) -> str:
    """Figures with a column for each backend, and which way is better; which backend is, they cannot say alone.

    Wide tables scroll in their own box, also by keyboard.
    """
    heads = [_head(part) for part in parts]
    heads += ['<th scope="col">source</th>'] if any(row.source for row in measures) else []
    body = "".join(_row(row, [*row.texts, row.source][: len(heads)]) for row in measures)
    return (
        '<div class="mt-wide" role="region" aria-label="Figures of each backend" tabindex="0">'
        f'<table class="mt-compared"><thead><tr><th scope="col">Measured</th>{"".join(heads)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _head(part: Mapping[str, Any]) -> str:
    """Return a backend's name, and below it who else painted, or that it failed."""
    said = "failed" if part["error"] else who_painted(part["report"], titled)
    about = f'<span class="mt-users">{escape(said)}</span>' if said else ""
    return f'<th scope="col">{escape(titled(part["backend"]))}{about}</th>'


def _row(row: Row, texts: Sequence[str]) -> str:
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    told = "; ".join(filter(None, (row.better, row.about)))
    about = f'<span class="mt-users">{escape(_title(told))}</span>'
    return f'<tr><th scope="row">{escape(_title(row.label.strip()))}{about}</th>{cells}</tr>'


def _title(label: str) -> str:
    return label[:1].upper() + label[1:]


def _part(index: int, part: Mapping[str, Any], notice: str) -> str:
    """Return what is to be known of one result: what its report warns of, and where others painted."""
    name, report = escape(titled(part["backend"])), part["report"]
    record_fallback = timeline_svg(report) if report["fallbacks"] else ""
    label = draft_badge() if is_draft(part["backend"]) else notice_line(notice)
    told = label + warnings_list(report) + record_fallback or '<p class="mt-note">Nothing to say.</p>'
    return (
        f'<section class="mt-part" aria-labelledby="mt-part-{index}">'
        f'<h2 class="mt-part-name" id="mt-part-{index}">{name}</h2>{told}</section>'
    )
