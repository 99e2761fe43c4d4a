"""What a comparison found: one column per backend, what went wrong with each, and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from musetalk.comparing.table import Row, rows
from musetalk.webui.backend_picker import BackendEntry
from musetalk.webui.report import notice_line, swapped, warnings_list
from musetalk.webui.timeline import timeline_svg
from musetalk.webui.units import sentence


def comparison_panel(comparison: Mapping[str, Any], plots: str, notices: Mapping[str, str] | None = None) -> str:
    """The account of one comparison.

    Args:
        comparison: `Comparison.to_dict()`, or the same from JSON.
        plots: The address of the picture of plots; empty: there is none.
        notices: By backend, what its results have to be labelled with.

    Returns:
        HTML. Names and messages in it are escaped.
    """
    backends = [part["backend"] for part in comparison["parts"]]
    said = notices or {}
    parts = "".join(_part(index, part, said.get(part["backend"], "")) for index, part in enumerate(comparison["parts"]))
    picture = ""
    if plots:
        alt, address = "Plots over time of what the table sums up, a line for each backend", escape(plots)
        link = f'<a href="{address}" target="_blank"><img src="{address}" alt="{alt}" loading="lazy"></a>'
        picture = f'<figure class="mt-plots">{link}</figure>'
    table = _table(backends, rows(dict(comparison)))
    return f'<section class="mt-report" aria-label="Comparison">{table}{picture}{parts}</section>'


def lacking_list(entries: Sequence[BackendEntry]) -> str:
    """The backends that cannot be compared here, each with what it lacks; all texts are escaped."""
    items = "".join(
        f"<li><b>{escape(entry.name)}</b> {escape('; '.join(map(sentence, entry.lacks)))}</li>" for entry in entries
    )
    if not items:
        return ""
    names = escape(", ".join(entry.name for entry in entries))
    return f'<details class="mt-unready"><summary>Not ready here: {names}</summary><ul>{items}</ul></details>'


def _table(backends: Sequence[str], measures: Sequence[Row]) -> str:
    """Figures with a column for each backend. None is called the better one: most of them cannot say.

    Wide tables scroll in their own box, also by keyboard.
    """
    columns = [*backends, *(["source"] if any(row.source for row in measures) else [])]
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(_row(row, [*row.texts, row.source][: len(columns)]) for row in measures)
    return (
        '<div class="mt-wide" role="region" aria-label="Figures of each backend" tabindex="0">'
        f'<table class="mt-compared"><thead><tr><th scope="col">Measured</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(row: Row, texts: Sequence[str]) -> str:
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
    about = f'<span class="mt-users">{escape(row.about)}</span>' if row.about else ""
    return f'<tr><th scope="row">{escape(_title(row.label.strip()))}{about}</th>{cells}</tr>'


def _title(label: str) -> str:
    return label[:1].upper() + label[1:]


def _part(index: int, part: Mapping[str, Any], notice: str) -> str:
    """What is to be known of one backend: why it made nothing, or what its report warns of."""
    name, report = escape(part["backend"]), part["report"]
    told = f'<p class="mt-error">{escape(sentence(part["error"]))}</p>' if part["error"] else ""
    if report is not None:
        fell_back = timeline_svg(report) if report["fallbacks"] else ""
        told += swapped(report) + notice_line(notice) + warnings_list(report) + fell_back
    told = told or '<p class="mt-note">Nothing to say.</p>'
    return (
        f'<section class="mt-part" aria-labelledby="mt-part-{index}">'
        f'<h2 class="mt-part-name" id="mt-part-{index}">{name}</h2>{told}</section>'
    )
