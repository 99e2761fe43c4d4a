"""What the page calls backends. A preview is a picture of one frame there, so the backend of that name is a draft's."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from musetalk.backends.preview.spec import PREVIEW
from musetalk.settings import AUTO

DRAFT = "Draft"
_LOUDNESS = "The mouth follows the loudness of the voice, which is no lip-sync"
_PHONEMES = "The mouth takes the shapes of the phonemes, which is no lip-sync by a network"
_TITLES = {PREVIEW.name: DRAFT, AUTO: "Automatic"}
_SUMMARIES = {PREVIEW.name: "Moves the mouth by loudness, which is no lip-sync: to try things out, on any machine"}


def titled(backend: str) -> str:
    """Return the page's name of a backend, or of whatever else painted."""
    return _TITLES.get(backend, backend)


def is_draft(backend: str) -> bool:
    """Return whether its results are no lip-sync, which has to be said wherever they are shown."""
    return backend == PREVIEW.name


def summary_of(backend: str, summary: str) -> str:
    """Return one line on a backend for people who choose, as the page says it; `summary`: as the backend says it."""
    return _SUMMARIES.get(backend, summary)


def result_label(backend: str) -> str:
    """Return what stands over the player of a result."""
    return f"Result: {DRAFT}, no lip-sync" if is_draft(backend) else "Result"


@dataclass(frozen=True, slots=True)
class Way:
    """Where on the page something can be changed.

    Attributes:
        tab: The tab's name.
        lead: A selector of what is there.
        word: What the link there says.
    """

    tab: str
    lead: str
    word: str


TO_BACKENDS = Way("Dub", ".given .mt-picker", "Choose a backend that lip-syncs")


def draft_badge(better: Way = TO_BACKENDS, *, phonemes: bool = False) -> str:
    """Return what a draft's result is, and the way to the real thing, as HTML with a link of `links.LINKS_JS`.

    Args:
        better: That way.
        phonemes: Whether the phonemes of the voice were known.
    """
    said = _PHONEMES if phonemes else _LOUDNESS
    link = f'<button type="button" class="mt-link" data-tab="{better.tab}" data-lead="{better.lead}">'
    return (
        f'<p class="mt-notice"><b class="mt-badge">{DRAFT}</b> {escape(said)}. {link}{escape(better.word)}</button></p>'
    )
