"""The Live tab's HTML: who may speak, and the stage; live.js and what stands before it bring it to life."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from musetalk.live.messages import MOST_SAID
from musetalk.webui.html.press_twice import PRESS_TWICE_JS

# The script of the stage, as the body of one function: what plays, what is heard, and the tab.
_SCRIPTS = ("live_video.js", "live_player.js", "live_hls.js", "live_voice.js", "live.js")
LIVE_JS = "\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in _SCRIPTS)
# Asks for the list as soon as the tab is there. What was chosen stays so where the list is brought up to date, and what
# this page has made is chosen once it is there. "delete" carries {name}.
CHOICE_JS = (
    PRESS_TWICE_JS
    + """
let chosen = "";
const select = () => element.querySelector("select");
const paint = () => {
  if ([...(select()?.options ?? [])].some((each) => each.value === chosen && !each.disabled)) select().value = chosen;
  element.querySelector("button")?.toggleAttribute("data-armed", armed !== "" && armed === select().value);
  const live = element.querySelector("[data-live]");
  if (live) live.textContent = armed ? `Press again to delete ${armed}` : "";
};
element.addEventListener("change", (event) => {
  chosen = event.target.value;
  arm("");
});
element.addEventListener("click", (event) => {
  const name = event.target.closest("button") && select().value;
  if (name && meant(name)) trigger("delete", { name });
});
document.addEventListener("mt-made", ({ detail }) => {
  chosen = detail;
  arm("");
});
watch("value", paint);
trigger("submit", {});
"""
)
SWITCHED_OFF = '<p class="mt-empty">Live speech is switched off on this server.</p>'
_NONE = '<p class="mt-empty">There is no avatar on this server yet. {}</p>'
_MAKE_ONE = "Make one below, of a video or a portrait."
_BY_OTHERS = (
    "Whoever runs it makes one of a video or a portrait: <code>musetalk avatar create SOURCE --name anna</code>"
)
_FIGURES = (
    (
        "latency",
        "Voice to picture",
        "From the first sound of a voice, or the text, that is sent until its first picture is shown",
    ),
    ("first", "Of that on the server", "From the first sound that arrives until its first picture goes out"),
    ("drift", "Sound against picture", "How much later the sound is than the picture; below 0: earlier"),
    ("behind", "Behind the newest", "How much of the video has arrived and is not yet shown"),
)


@dataclass(frozen=True, slots=True)
class AvatarChoice:
    """An avatar as it is chosen.

    Attributes:
        name: Its name.
        facts: What is known of it, in a few words.
        problem: Why it cannot speak; empty: it can.
    """

    name: str
    facts: str
    problem: str = ""


def choice_html(avatars: Sequence[AvatarChoice], *, own: bool = False, problem: str = "") -> str:
    """Return the choice of an avatar; all texts are escaped.

    Args:
        avatars: Those there are.
        own: Whether who looks may make and delete them: elsewhere the page shows nothing that does.
        problem: Why one could not be deleted; empty: nobody tried, or it could.
    """
    told = f'<p class="mt-problem" role="alert"{"" if problem else " hidden"}>{escape(problem)}</p>'
    begin = f'<div class="mt-live-avatars"{" data-own" if own else ""}>'
    if not avatars:
        return f"{begin}{_NONE.format(_MAKE_ONE if own else _BY_OTHERS)}{told}</div>"
    options = "".join(
        f'<option value="{escape(each.name)}"{" disabled" if each.problem else ""}>{escape(each.name)} '
        f"({escape('cannot be used' if each.problem else each.facts)})</option>"
        for each in avatars
    )
    problems = "".join(f"<li>{escape(f'{each.name}: {each.problem}')}</li>" for each in avatars if each.problem)
    listed = f'<ul class="mt-warnings" aria-label="Avatars that cannot be used">{problems}</ul>' if problems else ""
    delete = (
        '<button type="button" class="mt-button"><span class="mt-say">Delete</span><span class="mt-ask">Delete?</span>'
        '<span class="mt-unseen"> this avatar</span></button><p class="mt-unseen" role="status" data-live></p>'
    )
    return (
        f'{begin}<div class="mt-live-choice"><label>Avatar<select>{options}</select></label>'
        f"{delete if own else ''}</div>{told}{listed}</div>"
    )


def stage_html() -> str:
    """Return what a session is led and seen with."""
    figures = "".join(
        f'<div class="mt-chip" title="{escape(what)}"><dt>{escape(title)}</dt><dd data-live="{name}">&#8211;</dd></div>'
        for name, title, what in _FIGURES
    )
    return (
        '<section class="mt-live" aria-label="Live" data-state="idle">'
        '<div class="mt-live-actions" role="group" aria-label="Session">'
        f"{_button('start', 'Start')}{_button('interrupt', 'Interrupt', keys='Escape')}{_button('stop', 'Stop')}</div>"
        '<div class="mt-live-actions" role="group" aria-label="Voice">'
        f"{_button('microphone', 'Microphone', pressed=True)}"
        '<label class="mt-button"><input type="file" class="mt-unseen" accept="audio/*,video/*" data-live="file">'
        f"Speak a file</label>{_button('mute', 'Mute', pressed=True)}</div>"
        f"{_text_html()}"
        '<p class="mt-state" role="status" data-live="state">Press Start, and speak by microphone, file or text.</p>'
        '<p class="mt-problem" role="alert" data-live="problem" hidden></p>'
        '<video data-live="video" playsinline aria-label="The avatar"></video>'
        f'<dl class="mt-chips">{figures}</dl>'
        '<p class="mt-note">Esc interrupts. What a microphone hears is sent while somebody speaks; with loudspeakers, '
        "mute the avatar or wear headphones.</p></section>"
    )


def _text_html() -> str:
    """Return where a text is typed that is to be said."""
    return (
        '<form class="mt-live-text" aria-label="Text"><label>Or type what is to be said'
        f'<textarea rows="2" maxlength="{MOST_SAID}" enterkeyhint="send" aria-describedby="live-text-note" '
        f'data-live="text"></textarea></label>{_button("say", "Say", submits=True)}'
        '<p class="mt-note" id="live-text-note">It is read in American English. Enter says it, Shift+Enter breaks the '
        'line.</p><p class="mt-problem" role="alert" data-live="refused" hidden></p></form>'
    )


def _button(action: str, word: str, *, pressed: bool = False, keys: str = "", submits: bool = False) -> str:
    state = ' aria-pressed="false"' if pressed else ""
    shortcut = f' aria-keyshortcuts="{keys}"' if keys else ""
    kind = "submit" if submits else "button"
    return f'<button type="{kind}" class="mt-button" data-do="{action}"{state}{shortcut}>{word}</button>'
