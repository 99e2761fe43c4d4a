"""What on the page has changed since the shown preview: told by the page itself, as it happens, without the server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from musetalk.webui.form.form_values import titles
from musetalk.webui.form.settings_form import NAMES, PICKED, POINT, TOLD, SettingsForm, named
from musetalk.webui.form.widgets import Value

_UNSEEN = ("encoder.crf", "encoder.preset", "network.batch_size")  # settings that no frame shows
_NAMES = {"backend": "Backend"}  # of widgets without a label
_MEDIA = ("Source", "Voice", "Preview at")

# Of source and point: which point was picked in which source.
PICKED_IN = """(source, point) => `${source?.path ?? ""}|${point}`"""


def picked_in(source: str, point: str) -> str:
    """The same as the page's `PICKED_IN`."""
    return f"{source}|{point}"


@dataclass(frozen=True, slots=True)
class PreviewInputs:
    """The inputs that a preview depends on, in the order in which the page tells of them.

    Attributes:
        source, voice, moment: Of the preview.
        form: Its settings.
    """

    source: gr.File
    voice: gr.File
    moment: gr.Textbox
    form: SettingsForm

    @property
    def widgets(self) -> list[Any]:
        """As inputs of a handler."""
        return [self.source, self.voice, self.moment, *self.form.widgets]

    def telling(self, skipped: int = 0, *, alone: bool = False) -> str:
        """Return a script that puts what these inputs hold in the place of a handler's first value.

        Args:
            skipped: How many values come after the first one and before these.
            alone: Leave out voice and moment: the preview is of the source alone.
        """
        without = "now[1] = now[2] = '';" if alone else ""
        return (
            f"(_, ...values) => {{ {TOLD} const now = values.slice({skipped}).map(told); {without}"
            " return [JSON.stringify(now), ...values]; }"
        )

    def comparing(self) -> str:
        """Return a script that takes what was told, and these inputs; it returns what has changed, as HTML.

        To be asked while the page is built, see `titles`.
        """
        called = titles(self.form) | _NAMES
        names = [*_MEDIA, *("" if name in _UNSEEN else called[name] for name in NAMES)]
        face, point = (len(_MEDIA) + NAMES.index(name) for name in ("face", POINT))
        return f"""(said, ...values) => {{
  {TOLD}
  if (!said) return "";
  const names = {json.dumps(names)}, then = JSON.parse(said), now = values.map(told);
  const counts = (at) => names[at] && (at !== {point} || now[{face}] === "{PICKED}");
  const changed = now.map((_, at) => at).filter((at) => counts(at) && now[at] !== then[at]);
  if (!changed.length) return "";
  const list = changed.slice(0, 4).map((at) => names[at]).join(", ") + (changed.length > 4 ? ", ..." : "");
  return `<p class="mt-stale"><b>Not in this picture yet: ${{list}}.</b> Press Preview frame for a new one.</p>`;
}}"""

    def with_face(self, said: str, values: Sequence[Any], face: str, point: str) -> tuple[str, tuple[Any, ...]]:
        """Return what the page told and the values of these inputs, as if another face had been chosen there.

        Args:
            said: What the page told.
            values: Of `widgets`.
            face: Of the rule by which a face is chosen.
            point: On the face that was picked.
        """
        told, changed = json.loads(said), list(values)
        for name, value in (("face", face), (POINT, point)):
            at = len(_MEDIA) + NAMES.index(name)
            told[at] = changed[at] = value
        return json.dumps(told), tuple(changed)

    def face_in(self, values: Sequence[Any]) -> tuple[str, str]:
        """The rule by which a face is chosen, and the point on the one that was picked, among the values of these."""
        said = named(values[len(_MEDIA) :])
        return str(said["face"] or ""), str(said[POINT] or "")


def values_of(watched: Sequence[Any]) -> tuple[Any, Any, str, dict[str, Value]]:
    """Return source, voice, moment and settings, by name, out of the values of `PreviewInputs.widgets`."""
    source, voice, moment, *settings = watched
    return source, voice, moment, named(settings)
