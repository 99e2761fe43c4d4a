"""A script that was read aloud: its sound, and what is seen and said at which time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias

from musetalk.presenter.script import Passage, Pause, Script
from musetalk.presenter.talk import Talk
from musetalk.tts.notes import without_notes
from musetalk.webui.html.units import clock

_Kind: TypeAlias = Literal["title", "bullet", "text", "pause", "slide"]
_MOST_LETTERS = 160  # of one line of the list
_NAMES: dict[_Kind, str] = {
    "title": "title",
    "bullet": "bullet",
    "text": "spoken only",
    "pause": "pause",
    "slide": "slide",
}

# Listens on the component, which outlives its content. The sound begins by itself where it was asked for. What was
# said elsewhere since makes what is shown out of date.
TALK_JS = """
let aloud = false;
const sound = () => element.querySelector("audio");
const go = (seconds) => {
  const audio = sound();
  audio.currentTime = seconds;
  audio.play().catch(() => {});
};
const follow = () => {
  const audio = sound(), now = audio.currentTime + 0.01;
  const talk = element.querySelector(".mt-talk");
  talk.style.setProperty("--at", `${Math.min(100, (audio.currentTime / Number(talk.dataset.seconds)) * 100)}%`);
  let current = null;
  for (const each of talk.querySelectorAll("[data-at]")) {
    if (Number(each.dataset.at) <= now) current = each;
    each.removeAttribute("aria-current");
  }
  if (!current || audio.currentTime === 0) return;
  current.setAttribute("aria-current", "true");
  const list = current.closest("ol"), top = current.offsetTop - list.offsetTop;
  const below = top + current.offsetHeight > list.scrollTop + list.clientHeight;
  if (top < list.scrollTop || below) list.scrollTop = top - 40;
};
element.addEventListener("click", (event) => {
  const strip = event.target.closest(".mt-talk-strip"), line = event.target.closest("[data-at]");
  if (line) go(Number(line.dataset.at));
  else if (strip) {
    const { left, width } = strip.getBoundingClientRect();
    go(Math.max(0, (event.clientX - left) / width) * Number(strip.parentElement.dataset.seconds));
  }
});
for (const change of ["timeupdate", "seeked"]) element.addEventListener(change, follow, true);
document.addEventListener("click", (event) => {
  if (event.target.closest("#talk-read")) aloud = true;
  if (event.target.closest("#talk-make")) aloud = false;
});
for (const change of ["input", "change"]) document.addEventListener(change, (event) => {
  if (event.target.closest?.(".talk-said")) element.querySelector(".mt-talk")?.setAttribute("data-stale", "");
}, true);
watch("value", () => {
  if (aloud && sound()) {
    aloud = false;
    sound().play().catch(() => {});
  }
});
"""

# Gradio's player, which it makes anew as it likes, has an empty track of captions. It takes their file itself, too; but
# one (6.31) that comes into view with captions drops its video.
CAPTIONS_JS = """
const show = () => {
  const link = element.querySelector('a[download$=".vtt"]'), track = document.querySelector("#talk-result track");
  if (!link || !track || track.src === link.href) return;
  track.src = link.href;
  track.track.mode = "showing";
};
new MutationObserver(show).observe(element.closest(".stage"), { childList: true, subtree: true });
"""


@dataclass(frozen=True, slots=True)
class _Part:
    """What is seen or heard from a time to another one, in seconds."""

    kind: _Kind
    start: float
    stop: float
    text: str
    level: int = 0
    mark: str = ""


def talk_timeline(script: Script, talk: Talk, address: str, notes: tuple[str, ...] = ()) -> str:
    """Return the sound of a talk, a line of its parts, and a list of them with their times.

    Args:
        script: What it says.
        talk: When.
        address: Of the sound.
        notes: What is to be said of it.

    Returns:
        HTML. Everything in it that came from people is escaped.
    """
    parts = sorted(_parts(script, talk), key=lambda part: part.start)
    bars = "".join(_bar(part, talk.seconds) for part in parts)
    items = "".join(map(_item, parts))
    said = "".join(f'<p class="mt-talk-note">{escape(note[:1].upper() + note[1:])}.</p>' for note in notes)
    return (
        f'<section class="mt-talk" aria-label="The script, read aloud" data-seconds="{talk.seconds:.3f}">'
        f'<audio controls preload="auto" src="{escape(address)}" aria-label="The voice"></audio>'
        '<p class="mt-talk-stale">The script or the voice has changed since this was read.</p>'
        f'<div class="mt-talk-strip" aria-hidden="true">{bars}</div>'
        f'<div class="mt-axis" aria-hidden="true"><span style="left:0" data-edge="start">0:00</span>'
        f'<span style="left:100%" data-edge="end">{clock(talk.seconds)}</span></div>{_legend(parts)}{said}'
        f'<ol class="mt-talk-items" aria-label="What comes when">{items}</ol></section>'
    )


def _parts(script: Script, talk: Talk) -> Iterator[_Part]:
    """Yield what a talk holds, of each kind in order."""
    spoken = iter(talk.passages)
    heard, pauses = 0.0, 0.0  # when the last passage ended, and the pauses since
    for item in script.items:
        if isinstance(item, Pause):
            pauses += item.seconds
        elif isinstance(item, Passage):
            each = next(spoken)
            if pauses:
                yield _Part("pause", heard, each.start, f"pause of {pauses:g} s")
            shown = item.shown or without_notes(item.text)
            yield _Part(item.kind, each.start, each.stop, shown, item.level if item.kind == "bullet" else 0, item.mark)
            heard, pauses = each.stop, 0.0
    if pauses:
        yield _Part("pause", heard, talk.seconds, f"pause of {pauses:g} s")
    ends = [slide.start for slide in talk.slides[1:]] + [talk.seconds]
    for slide, stop in zip(talk.slides, ends, strict=False):
        if slide.path is not None:
            yield _Part("slide", slide.start, stop, slide.path.name)


def _bar(part: _Part, seconds: float) -> str:
    left, width = part.start / seconds, (part.stop - part.start) / seconds
    title = escape(f"{_moment(part.start)} {_short(part.text)}")
    return f'<i data-kind="{part.kind}" style="left:{left:.3%};width:{width:.3%}" title="{title}"></i>'


def _item(part: _Part) -> str:
    mark = f'<span class="mt-talk-mark">{escape(part.mark or chr(0x2022))}</span>' if part.kind == "bullet" else ""
    kind = f'<span class="mt-unseen">{_NAMES[part.kind]}: </span>'
    return (
        f'<li data-kind="{part.kind}" style="--level:{part.level}"><button type="button" data-at="{part.start:.3f}">'
        f"<time>{_moment(part.start)}</time><span>{kind}{mark}{escape(_short(part.text))}</span></button></li>"
    )


def _legend(parts: list[_Part]) -> str:
    kinds = [kind for kind in _NAMES if any(part.kind == kind for part in parts)]
    items = "".join(f'<li><i class="mt-swatch" data-kind="{kind}"></i>{_NAMES[kind]}</li>' for kind in kinds)
    return f'<ul class="mt-legend">{items}</ul>'


def _moment(seconds: float) -> str:
    """Return a time to its tenth, "1:05.3"."""
    tenths = round(seconds * 10)
    return f"{clock(tenths // 10)}.{tenths % 10}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1].rstrip()}\u2026"


def reading_status(share: float | None, waits: int = 0, *, recorded: bool = False) -> str:
    """Return how far a script is read aloud, or timed in a recording.

    Args:
        share: How much of it is, 0 to 1; None: it has yet to begin.
        waits: How many others have their turn before it.
        recorded: Whether somebody read it.
    """
    said = "Finding the words of the recording" if recorded else "Reading the script aloud"
    if share is None and waits:
        said = f"Waiting for {waits} other{'s' if waits > 1 else ''}"
    figures = "" if share is None else f"{share:.0%}"
    value = "" if share is None else f' aria-valuenow="{share * 100:.0f}"'
    fill = " data-unknown" if share is None else f' style="width:{share:.1%}"'
    return (
        '<section class="mt-previewing" data-state="running" aria-label="Status of the reading">'
        f'<p class="mt-state" role="status">{said}</p><p class="mt-figures">{figures}</p>'
        '<div class="mt-bar" role="progressbar" aria-label="Reading" aria-valuemin="0" aria-valuemax="100"'
        f'{value}><div class="mt-bar-fill"{fill}></div></div></section>'
    )


def talk_files(files: dict[str, str], stem: str) -> str:
    """Return links to what a talk is made of.

    Args:
        files: By what they are called, their addresses; the ending of each is its name's.
        stem: What a download is called, without its ending.
    """
    links = "".join(
        f'<a class="mt-button" href="{escape(address)}" download="{escape(stem)}.{address.rpartition(".")[2]}">'
        f"{escape(name)}</a>"
        for name, address in files.items()
    )
    return f'<p class="mt-talk-files">{links}</p>'
