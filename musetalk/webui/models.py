"""Which files of weights there are and which are missing, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal
from urllib.parse import urlsplit

from musetalk.webui.units import size

_STATES = {"ready": "Ready", "missing": "Missing", "damaged": "Damaged"}
_COLUMNS = ("File", "Backend", "State", "Size", "Licence", "Source")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One file of weights.

    Attributes:
        file: Where it belongs, relative to the folder of models.
        backend: Who needs it, for people.
        state: "ready": there and checked; "missing"; "damaged": there, but not what it should be.
        size: In bytes; 0 while unknown.
        licence: Its licence's short name.
        source: Where it comes from: an https address becomes a link, anything else is shown as it is.
    """

    file: str
    backend: str
    state: Literal["ready", "missing", "damaged"]
    size: int
    licence: str
    source: str


def models_table(rows: Sequence[ModelRow]) -> str:
    """A table of all files, or a sentence where none is needed; all texts are escaped.

    The roles repeat what the elements say because narrow screens show rows as cards, and browsers drop the meaning of a
    table that is laid out differently.
    """
    if not rows:
        return '<p class="mt-empty">The preview backend needs no weights.</p>'
    heads = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in _COLUMNS)
    return (
        '<table class="mt-models" role="table" aria-label="Files of weights"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead><tbody role="rowgroup">{"".join(map(_row, rows))}</tbody></table>'
    )


def _row(row: ModelRow) -> str:
    state = f'<span class="mt-state">{_STATES[row.state]}</span>'
    cells = (escape(row.backend), state, size(row.size) if row.size else "", escape(row.licence), _source(row.source))
    named = zip(_COLUMNS[1:], cells, strict=True)
    rest = "".join(f'<td role="cell" data-label="{name}">{cell}</td>' for name, cell in named)
    file = f'<th role="rowheader" scope="row"><code>{escape(row.file)}</code></th>'
    return f'<tr role="row" data-state="{row.state}">{file}{rest}</tr>'


def _source(source: str) -> str:
    address = urlsplit(source)
    if address.scheme != "https" or not address.hostname:
        return escape(source)
    shown = (address.hostname + address.path).rstrip("/")
    return f'<a href="{escape(source)}" target="_blank" rel="noopener noreferrer">{escape(shown)}</a>'
