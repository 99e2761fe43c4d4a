"""A box that takes one file: chosen or dropped, uploaded with per cent and a way to cancel, then shown and named."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

import gradio as gr

from musetalk.media.containers.formats import IMAGE_SUFFIXES
from musetalk.webui.html.figures import file_address
from musetalk.webui.html.units import sentence

SCRIPT = Path(__file__).with_name("media_box.js")
# What file dialogs offer; whatever is chosen or dropped otherwise is looked at all the same. Systems know only some of
# these by their kind. A voice's say no kind of video: phones would offer their camera.
_VIDEOS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".wmv", ".asf"),
    *(".flv", ".ogv", ".mxf", ".3gp", ".3g2", ".dv", ".mjpeg", ".mjpg", ".y4m", ".nut", ".wtv"),
)
_SOUNDS = (
    *(".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wma", ".aif", ".aiff", ".caf", ".amr"),
    *(".ac3", ".eac3", ".mka", ".weba", ".wv", ".ape", ".tta", ".au", ".dts"),
)


@dataclass(frozen=True, slots=True)
class MediaKind:
    """What a box is for.

    Attributes:
        name: Of the input.
        title: Above the box.
        invitation: What may be dropped.
        accept: What file dialogs offer.
        speaks: Whether it may be recorded on the spot.
    """

    name: Literal["source", "voice"]
    title: str
    invitation: str
    accept: tuple[str, ...]
    speaks: bool = False


SOURCE = MediaKind(
    "source",
    "Source",
    "Drop a video or a picture here",
    ("video/*", "image/*", *_VIDEOS, *sorted(IMAGE_SUFFIXES)),
)
VOICE = MediaKind(
    "voice",
    "Voice",
    "Drop a recording here, or a video whose sound is the voice",
    ("audio/*", *_SOUNDS, *_VIDEOS),
    speaks=True,
)


@dataclass(frozen=True, slots=True)
class HeldMedia:
    """A file that a box holds, as it is shown.

    Attributes:
        name: Of the file.
        facts: What is known of it: size, length.
        warnings: What is odd about it, a sentence each.
        shown: What shows it; None: nothing in this box does.
        shown_as: What `shown` is.
        copied: What to know where `shown` is a copy; empty: it is the file itself.
        key: What tells the file from others: a copy takes a while, and comes too late where another file is there.
    """

    name: str
    facts: Sequence[str]
    warnings: Sequence[str] = ()
    shown: Path | None = None
    shown_as: Literal["video", "picture"] = "video"
    copied: str = ""
    key: str = ""


def media_box(kind: MediaKind, max_bytes: int) -> gr.HTML:
    """The component. It sends "upload" with {path}, "clear", and "submit" where a browser cannot show what it holds.

    What arrives in a handler is the browser's word, the path included.
    """
    return gr.HTML(
        box_html(kind, None),
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_classes="mt-media-block",
        max_bytes=max_bytes,
    )


def box_html(kind: MediaKind, held: HeldMedia | None, *, refused: bool = False) -> str:
    """Return a box that holds a file, or none; names and sentences are escaped.

    No two are the same, so that the page notices each answer.

    Args:
        kind: Of the box.
        held: What it holds.
        refused: Whether it holds none because an upload was refused: the page waits for that upload no longer.
    """
    state, key = ("empty", "") if held is None else ("held", held.key)
    word = "Choose a file" if held is None else "Choose another"
    choose = (
        f'<label class="mt-button"><input type="file" class="mt-unseen" accept="{escape(",".join(kind.accept))}" '
        f'aria-label="{escape(f"{word}: {kind.title}")}">{word}</label>'
    )
    speak = _button("speak", "Speak now") if kind.speaks else ""
    remove = _button("clear", "Remove", f" the {kind.name}")
    inside = f'<p class="mt-media-invitation">{kind.invitation}</p>' if held is None else _held(held)
    return (
        f'<section class="mt-media" data-state="{state}" data-file="{key}" data-turn="{secrets.token_hex(4)}" '
        f'aria-label="{kind.title}"{" data-copied" if held is not None and held.copied else ""}'
        f"{' data-refused' if refused else ''}>"
        f'<h2 class="mt-media-title">{kind.title}</h2>'
        f'<div class="mt-media-body">{inside}'
        f'<div class="mt-media-actions">{choose}{speak if held is None else remove}</div></div>'
        f'<div class="mt-media-sending" hidden><p class="mt-media-name"></p>{_bar(kind)}'
        f'<div class="mt-media-actions"><p class="mt-media-figures"></p>'
        f"{_button('cancel', 'Cancel', ' the upload')}</div></div>"
        f'<p class="mt-unseen" role="status" data-live></p><p class="mt-problem" role="alert" hidden></p></section>'
    )


def _held(held: HeldMedia) -> str:
    facts = "".join(f"<span>{escape(fact)}</span>" for fact in held.facts)
    copied = f'<p class="mt-media-note">{escape(held.copied)}</p>' if held.copied else ""
    warnings = "".join(f"<li>{escape(sentence(warning))}.</li>" for warning in held.warnings)
    listed = f'<ul class="mt-warnings" aria-label="What to know of {escape(held.name)}">{warnings}</ul>'
    return (
        f"{_media_html(held)}{copied}"
        f'<div class="mt-media-about"><p class="mt-media-name" title="{escape(held.name)}">{escape(held.name)}</p>'
        f'<p class="mt-media-facts">{facts}</p></div>{listed if warnings else ""}'
    )


def _media_html(held: HeldMedia) -> str:
    if held.shown is None:
        return ""
    address, copy = escape(file_address(held.shown)), " data-copy" if held.copied else ""
    label = escape(held.name)
    if held.shown_as == "picture":
        return f'<img class="mt-media-shown" src="{address}" alt="{label}"{copy}>'
    return (
        f'<video class="mt-media-shown" src="{address}" aria-label="{label}" controls playsinline preload="metadata"'
        f"{copy}></video>"
    )


def _bar(kind: MediaKind) -> str:
    return (
        f'<div class="mt-bar" role="progressbar" aria-label="Upload: {kind.title}" aria-valuemin="0" '
        'aria-valuemax="100" aria-valuenow="0"><div class="mt-bar-fill" style="width:0%"></div></div>'
    )


def _button(action: str, word: str, what: str = "") -> str:
    """Return a button; `what` is said to those who do not see what it belongs to."""
    said = f'<span class="mt-unseen">{what}</span>' if what else ""
    return f'<button type="button" class="mt-button" data-action="{action}">{word}{said}</button>'
