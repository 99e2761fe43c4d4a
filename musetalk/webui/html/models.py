"""Which files of weights there are and which are missing, set by set, and how the download of one stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from musetalk.utils.units import counted
from musetalk.webui.backend_names import titled
from musetalk.webui.downloads import DownloadState
from musetalk.webui.html.card_weights import announced, figures, share_of
from musetalk.webui.html.units import sentence
from musetalk.weights import readable_size

_STATES = {"ready": "Ready", "missing": "Missing", "damaged": "Damaged", "running": "Downloading"}
_COLUMNS = ("File", "State", "Size", "Licence", "Source")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One file of weights.

    Attributes:
        file: Where it belongs, relative to the folder of models.
        state: "ready": there and checked; "missing"; "damaged": there, but not what it should be.
        size: In bytes; 0 while unknown.
        licence: Its licence's short name.
        source: Where it comes from: an https address becomes a link, anything else is shown as it is.
        used_by: The sets that share it, for people; empty: it is its set's alone.
    """

    file: str
    state: Literal["ready", "missing", "damaged"]
    size: int
    licence: str
    source: str
    used_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelSet:
    """What is downloaded together.

    Attributes:
        name: As people choose it.
        summary: One line on what it is for.
        rows: The files that are its alone.
        licences: Of all its files.
        size: Of all its files, in bytes, as far as is known.
        shared: Of those of its files that other sets read as well.
        left: Bytes that a download would still bring.
        missing: Bytes of the files that are missing: more than `left` where a download was interrupted.
        exact: Whether all sizes of missing files are known.
        absent: How many files are missing.
        usable: Whether it works as it is; missing files then only improve it.
        problems: What is wrong with damaged files, each with the remedy.
        instead: The backend that paints in its place until it works; empty: none does.
    """

    name: str
    summary: str
    rows: tuple[ModelRow, ...]
    licences: tuple[str, ...]
    size: int
    shared: int
    left: int
    missing: int
    exact: bool
    absent: int
    usable: bool
    problems: tuple[str, ...] = ()
    instead: str = ""


def models_panel(
    sets: Sequence[ModelSet],
    shared: Sequence[ModelRow],
    download: DownloadState,
    refusal: str = "",
    errors: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return all sets with their files, then the files that several share; all texts are escaped.

    Args:
        sets: In the order in which they are shown.
        shared: Files of more than one set.
        download: The present or the last one; it is shown with its set.
        refusal: Why nothing can be downloaded here; empty: it can.
        errors: Why sets could not be downloaded when that was asked for last, by name.

    Returns:
        HTML for a `gr.HTML(js_on_load=DOWNLOADS_JS)`. Sets have the same elements in every state, so that the page's
        comparison finds each again, and what is announced changes with the state only.
    """
    if not sets:
        return models_table([])
    sections = "".join(
        _section(index, each, download, bool(refusal), errors.get(each.name, "")) for index, each in enumerate(sets)
    )
    common = ""
    if shared:
        heading = '<div class="mt-set-head"><h2 class="mt-set-name" id="mt-set-shared">Shared files</h2></div>'
        text = '<p class="mt-set-text">Downloaded once, with the first set that needs them.</p>'
        common = (
            f'<section class="mt-set" aria-labelledby="mt-set-shared">{heading}{text}'
            f"{models_table(shared, 'Files of several sets')}</section>"
        )
    told = f'<p class="mt-set-refusal">{escape(sentence(refusal))}</p>' if refusal else ""
    live = f'<p class="mt-unseen" role="status">{escape(announced(download))}</p>'
    return f'{live}{told}<div class="mt-sets">{sections}{common}</div>'


def models_table(rows: Sequence[ModelRow], label: str = "Files of weights") -> str:
    """Return a table of files, or a sentence where none is needed; all texts are escaped.

    The roles repeat what the elements say because narrow screens show rows as cards, and browsers drop the meaning of a
    table that is laid out differently.
    """
    if not rows:
        return '<p class="mt-empty">The draft backend needs no weights.</p>'
    heads = "".join(f'<th role="columnheader" scope="col">{name}</th>' for name in _COLUMNS)
    return (
        f'<table class="mt-models" role="table" aria-label="{escape(label)}"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead><tbody role="rowgroup">{"".join(map(_row, rows))}</tbody></table>'
    )


def _section(index: int, each: ModelSet, download: DownloadState, refused: bool, error: str) -> str:
    mine = download if download.name == each.name else DownloadState()
    state = "running" if mine.active else "damaged" if each.problems else "ready" if each.usable else "missing"
    problems = [*each.problems, *([error] if error and each.absent else [])]
    said = "".join(f"<span>{escape(sentence(problem))}</span>" for problem in problems)
    return (
        f'<section class="mt-set" data-state="{state}" aria-labelledby="mt-set-{index}">'
        f'<div class="mt-set-head"><h2 class="mt-set-name" id="mt-set-{index}">{escape(each.name)}</h2>'
        f'<span class="mt-state">{_STATES[state]}</span>{_button(each, download, refused)}</div>'
        f'<p class="mt-set-text">{escape(_about(each))}</p>'
        f"{_progress(each, mine)}"
        f'<p class="mt-set-note"{_hidden(not _note(each, mine))}>{escape(_note(each, mine))}</p>'
        f'<p class="mt-error" role="alert"{_hidden(not said)}>{said}</p>'
        f"{models_table(each.rows, f'Files of {each.name} alone') if each.rows else ''}</section>"
    )


def _button(each: ModelSet, download: DownloadState, refused: bool) -> str:
    """Return one button in all states, so that it keeps the focus where it starts something and where it ends it."""
    mine = download.active and download.name == each.name
    action, word, style = ("cancel", "Cancel", "") if mine else ("download", _offer(each), " mt-button-main")
    hidden = refused or each.absent == 0 or (bool(each.problems) and not mine)
    disabled = (download.active and not mine) or download.phase == "stopping"
    return (
        f'<button type="button" class="mt-button{style}" data-action="{action}" data-set="{escape(each.name)}"'
        f'{" disabled" if disabled else ""}{_hidden(hidden)}>{word}<span class="mt-unseen"> {escape(each.name)}</span>'
        "</button>"
    )


def _offer(each: ModelSet) -> str:
    if not each.missing:
        return "Download"  # of files whose sizes are not known
    about = "" if each.exact else "at least "
    if each.left < each.missing:
        return f"Continue ({about}{readable_size(each.left)} left)"
    return f"Download ({about}{readable_size(each.left)})"


def _about(each: ModelSet) -> str:
    shared = f", {readable_size(each.shared)} of it shared" if each.shared else ""
    licences = f"Licence{'s' if len(each.licences) > 1 else ''}: {', '.join(each.licences)}"
    size = f" {readable_size(each.size)}{shared}." if each.size else ""
    return f"{sentence(each.summary)}.{size} {licences}."


def _note(each: ModelSet, download: DownloadState) -> str:
    if download.active:
        return ""
    if download.phase == "stopped" and each.absent:
        return "The download was stopped. What has arrived is kept, and the next download goes on from there."
    if each.usable and each.absent:
        return f"It works without {counted(each.absent, 'missing file')}, and better with all."
    if not each.usable and each.instead:
        return f"Until it works, {titled(each.instead)} paints where {each.name} is chosen, and says so."
    return ""


def _progress(each: ModelSet, download: DownloadState) -> str:
    share, said = share_of(download), figures(download)
    value = f' aria-valuenow="{int(share * 100)}" aria-valuetext="{escape(", ".join(said))}"'
    shown = "".join(f"<span>{escape(figure)}</span>" for figure in said)
    return (
        f'<div class="mt-set-progress"{_hidden(not download.active)}>'
        f'<div class="mt-bar" role="progressbar" aria-label="Download of {escape(each.name)}" aria-valuemin="0" '
        f'aria-valuemax="100"{value}><div class="mt-bar-fill" style="width:{share:.1%}"></div></div>'
        f'<p class="mt-set-figures">{shown}</p></div>'
    )


def _row(row: ModelRow) -> str:
    state = f'<span class="mt-state">{_STATES[row.state]}</span>'
    cells = (state, readable_size(row.size) if row.size else "", escape(row.licence), _source(row.source))
    named = zip(_COLUMNS[1:], cells, strict=True)
    rest = "".join(f'<td role="cell" data-label="{name}">{cell}</td>' for name, cell in named)
    users = f'<span class="mt-users">for {escape(", ".join(row.used_by))}</span>' if row.used_by else ""
    file = f'<th role="rowheader" scope="row"><code>{escape(row.file)}</code>{users}</th>'
    return f'<tr role="row" data-state="{row.state}">{file}{rest}</tr>'


def _source(source: str) -> str:
    address = urlsplit(source)
    if address.scheme != "https" or not address.hostname:
        return escape(source)
    shown = escape((address.hostname + address.path).rstrip("/")).replace("/", "/<wbr>")  # where lines may end
    return f'<a href="{escape(source)}" target="_blank" rel="noopener noreferrer">{shown}</a>'


def _hidden(hidden: bool) -> str:
    return " hidden" if hidden else ""
