"""What is said beside a preview: how far it is, whose picture is shown, and since when that is no longer so."""

from __future__ import annotations

from html import escape

from musetalk.errors import MuseTalkError
from musetalk.progress import Stage
from musetalk.webui.backend_names import is_draft, titled
from musetalk.webui.drawing.shown_frame import ShownFrame
from musetalk.webui.html.plain_words import VISITOR, Reader
from musetalk.webui.html.problems import in_sentences
from musetalk.webui.html.status import waiting_for_device
from musetalk.webui.html.units import clock, sentence
from musetalk.webui.previews import Preview

LOST = MuseTalkError("the preview ended while this page was away", "press Preview frame for a new one")
# Of what is shown: nothing, where it tells of a preview that failed or was stopped; else it stays.
PUT_AWAY = """(shown) => (/data-state="(failed|stopped)"/.test(shown) ? "" : undefined)"""
_STAGES: dict[Stage, str] = {
    "preflight": "Loading what it needs",
    "plan": "Finding faces",
    "parse": "Reading faces",
    "speech": "Listening",
    "render": "Painting",
    "finish": "Painting",
}


def preview_status(
    preview: Preview | None, before: int = 0, error: MuseTalkError | None = None, reader: Reader = VISITOR
) -> str:
    """Return how far a preview is.

    The page replaces this several times a second; every state has the same elements, and hides what it has no use for,
    so that screen readers hear of a new state and not of every figure.

    Args:
        preview: The newest of its page; None: there is none.
        before: How many others have their turn before it.
        error: Why there is none.
        reader: Who reads it.

    Returns:
        HTML. What came from people in it is escaped.
    """
    error = error or (None if preview is None else preview.error)
    state = "failed" if error else "idle" if preview is None else preview.state
    said, figures = "", ""
    if preview is not None and preview.active:
        said = f"Preview by {titled(preview.wish.settings.backend)}: {_doing(preview, before)}"
        figures = _figures(preview)
    elif state == "stopped":
        said = "Preview stopped"
    hidden = "" if said or error else " hidden"
    return (
        f'<section class="mt-previewing" data-state="{state}" aria-label="Status of the preview"{hidden}>'
        f'<p class="mt-state" role="status">{escape(said)}</p>'
        f'<p class="mt-figures">{escape(figures)}</p>{_bar(preview)}'
        f'<p class="mt-error" role="alert">{escape(in_sentences(error, reader) if error else "")}</p></section>'
    )


def _doing(preview: Preview, before: int) -> str:
    if preview.state == "waiting" or preview.stage is None:
        return f"waiting for {before} other{'s' if before > 1 else ''}" if before else "waiting for its turn"
    if preview.before:
        return waiting_for_device(preview.before).lower()
    return _STAGES[preview.stage].lower()


def _figures(preview: Preview) -> str:
    """Return how long it has taken, and how much of its stage is done where that is known; no guess at what is left."""
    share = "" if preview.share is None else f"{int(preview.share * 100)} %, "
    return f"{share}{clock(int(preview.seconds))} so far"


def _bar(preview: Preview | None) -> str:
    share = preview.share if preview is not None and preview.active else None
    value = "" if share is None else f' aria-valuenow="{int(share * 100)}"'
    fill = " data-unknown" if share is None else f' style="width:{share:.1%}"'
    return (
        '<div class="mt-bar" role="progressbar" aria-label="Preview" aria-valuemin="0" aria-valuemax="100"'
        f'{value}><div class="mt-bar-fill"{fill}></div></div>'
    )


def stamp(shown: ShownFrame, choice: str = "") -> str:
    """Return whose picture is shown, as HTML.

    Args:
        shown: The picture.
        choice: Why its backend was chosen, a sentence, which needs no room here; empty: it was named.
    """
    name, by = titled(shown.backend), " and ".join(map(titled, shown.painters))
    if shown.speaking is None:
        text = f"For <b>{escape(name)}</b>: faces only, there is no voice in it yet"
    elif not by:
        text = f"<b>{escape(name)}</b> paints nothing in this frame"
    elif by == name:
        text = f"Painted by <b>{escape(by)}</b>{', which is no lip-sync' if is_draft(shown.backend) else ''}"
    else:
        text = f"Painted by <b>{escape(by)}</b>, not by {escape(name)} as asked"
    why = f' title="{escape(sentence(choice))}."' if choice else ""
    return f'<p class="mt-stamp"{why}>{text}</p>'
