"""What a backend's card says of its weights: whether they are there, what they take, and how their download stands.

Cards have the same elements in every state, so that the page's comparison finds each again: the button that starts a
download keeps the focus as the one that cancels it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from musetalk.utils.units import counted
from musetalk.webui.downloads import DownloadState
from musetalk.webui.html.units import sentence
from musetalk.weights import readable_size


@dataclass(frozen=True, slots=True)
class CardWeights:
    """The weights of one backend.

    Attributes:
        missing: How many files are missing.
        left: Bytes that a download would still bring, as far as is known.
        begun: Whether an earlier download has left something of it here.
        damaged: How many files are not what they should be; a download mends none of them.
        offered: Whether visitors may start the download.
    """

    missing: int = 0
    left: int = 0
    begun: bool = False
    damaged: int = 0
    offered: bool = False


def state_said(weights: CardWeights, problem: str, instead: str) -> tuple[str, str]:
    """Return whether a backend can run, in a few words, and their tone for the style sheet.

    Args:
        weights: Its.
        problem: The first thing that it lacks; empty: nothing.
        instead: Who would paint in its place while it lacks something; empty: nobody.
    """
    if not problem:
        return "Ready", "ok"
    if weights.damaged:
        said = f"{counted(weights.damaged, 'file')} damaged"
    elif weights.missing:
        said = f"Needs a {readable_size(weights.left)} download" if weights.left else "Needs a download"
    else:
        said = sentence(problem.partition(": ")[0])
    return (f"{said}; {instead} paints until then", "") if instead else (said, "")


def weights_part(name: str, weights: CardWeights, download: DownloadState, error: str = "") -> str:
    """Return the button and the progress of a backend's download as HTML, and what is to be said of either.

    Args:
        name: Of the backend, which is its set's.
        weights: Its.
        download: The present or the last one, of whatever set.
        error: Why this one could not be downloaded when that was asked for last; empty: it could.
    """
    mine = download if download.name == name else DownloadState()
    note = sentence(error) if weights.missing else ""
    return (
        f'<div class="mt-card-weights">{_button(name, weights, download, mine)}{_to_models(weights)}'
        f"{_progress(name, mine)}"
        f'<p class="mt-error" role="alert"{_hidden(not note)}>{escape(note)}</p></div>'
    )


def announced(download: DownloadState) -> str:
    """Return what a screen reader says; must not change while nothing but the numbers do."""
    return {
        "idle": "",
        "running": f"Downloading {download.name}",
        "stopping": f"Stopping the download of {download.name}",
        "done": f"{download.name} is here",
        "stopped": f"The download of {download.name} was stopped",
        "failed": f"The download of {download.name} failed",
    }[download.phase]


def figures(download: DownloadState) -> list[str]:
    """Return how far a download is that is under way: how much of it, and which of its files it is at."""
    file = download.file
    if download.phase == "stopping":
        return ["Stopping"]
    if file is None:
        return ["Asking for sizes and space"]
    doing = "checking" if file.checking else "loading"
    return [
        f"{share_of(download):.0%}",
        f"{readable_size(download.done)} of {readable_size(download.total)}",
        f"file {file.number} of {file.count}: {doing} {file.path}",
    ]


def share_of(download: DownloadState) -> float:
    """Return how much of a download is here, 0 to 1."""
    return min(download.done / download.total, 1.0) if download.total else 0.0


def _button(name: str, weights: CardWeights, download: DownloadState, mine: DownloadState) -> str:
    action, word = ("cancel", "Cancel") if mine.active else ("download", "Continue" if weights.begun else "Download")
    startable = weights.offered and weights.missing > 0 and not weights.damaged
    disabled = (download.active and not mine.active) or download.phase == "stopping"
    state = (" disabled" if disabled else "") + _hidden(not (startable or mine.active))
    return (
        f'<button type="button" class="mt-button" data-action="{action}" data-set="{escape(name)}"{state}>'
        f'{word}<span class="mt-unseen"> {escape(name)}</span></button>'
    )


def _to_models(weights: CardWeights) -> str:
    return (
        f'<button type="button" class="mt-link" data-tab="Models"{_hidden(not weights.damaged)}>'
        "What to do is on the Models tab</button>"
    )


def _progress(name: str, mine: DownloadState) -> str:
    said = figures(mine)[:2] if mine.active else []
    value = f' aria-valuenow="{int(share_of(mine) * 100)}" aria-valuetext="{escape(", ".join(said))}"'
    return (
        f'<div class="mt-card-progress"{_hidden(not mine.active)}>'
        f'<div class="mt-bar" role="progressbar" aria-label="Download of {escape(name)}" aria-valuemin="0" '
        f'aria-valuemax="100"{value}><div class="mt-bar-fill" style="width:{share_of(mine):.1%}"></div></div>'
        f"<span>{escape(', '.join(said))}</span></div>"
    )


def _hidden(hidden: bool) -> str:
    return " hidden" if hidden else ""
