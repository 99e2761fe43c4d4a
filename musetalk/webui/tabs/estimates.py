"""Estimates of how long a job would take, shown beforehand; above an hour, a confirmation is asked for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.errors import MuseTalkError
from musetalk.pipeline.forecast import Forecast, RenderKind, Work, seconds_made
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import InputSettings, RenderSettings
from musetalk.utils.lru_cache import LRUCache
from musetalk.utils.units import counted, duration, roughly
from musetalk.webui.backend_names import titled
from musetalk.webui.form import settings_form
from musetalk.webui.form.widgets import Value
from musetalk.webui.html.units import sentence
from musetalk.webui.site import Site

_ASKED_ABOVE_SECONDS = 3600.0
_FILES = 32  # that are not looked at anew with every change of a setting
# Of the form, what changes how long a render takes.
_MATTERS = (
    *("backend", settings_form.ENHANCE, settings_form.ENHANCER, "network.decoder", "network.dtype", "detector.name"),
    *("latentsync.preset", "latentsync.steps", "latentsync.guidance", "latentsync.overlap"),
    *("tail", "fps", "voice_track"),
)
# The component outlives its content. "submit": it is to be started, however long it takes.
_QUESTION_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "start") trigger("submit");
  else element.querySelector(".mt-ask-first").remove();
});
"""


class Estimates:
    """Says how long jobs would take. All visitors share it.

    Args:
        site: Whose engine looks at inputs, and whose jobs know what renders cost.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._work: LRUCache[tuple[object, ...], Work] = LRUCache(_FILES)

    def told(
        self, source: str | None, voice: str | None, said: Mapping[str, Value], compare: Sequence[str] = ()
    ) -> str:
        """Return the estimate as HTML; empty: an input is missing, or something is wrong, which is told elsewhere.

        Args:
            source: What is to be rendered.
            voice: What it is to say.
            said: What the form's widgets hold, by name.
            compare: Backends to compare; empty: it is one render.
        """
        known = self._known(source, voice, said, compare)
        if known is None:
            return ""
        work, settings, forecast = known
        panel = self._panel(work, forecast, compare or (settings.backend,))
        if compare:
            return panel
        others = [each.name for each in self._site.engine.registry if each.name != settings.backend]
        return panel + self._others(
            work, [RenderKind.of(settings.with_backend(name), self._site.engine.registry) for name in others]
        )

    def question(
        self, source: str | None, voice: str | None, said: Mapping[str, Value], compare: Sequence[str] = ()
    ) -> str:
        """Return what is asked before a job is started that takes over an hour, as HTML; empty: nothing is.

        See `told`.
        """
        known = self._known(source, voice, said, compare)
        if known is None or known[2].seconds <= _ASKED_ABOVE_SECONDS:
            return ""
        return _question(known[2].seconds)

    def question_of(self, request: RenderRequest) -> str:
        """Return the same of a render whose settings come from no form.

        Raises:
            MuseTalkError: It cannot work.
        """
        _, _, forecast = self._forecast(request)
        return _question(forecast.seconds) if forecast is not None and forecast.seconds > _ASKED_ABOVE_SECONDS else ""

    def _known(
        self, source: str | None, voice: str | None, said: Mapping[str, Value], compare: Sequence[str]
    ) -> tuple[Work, RenderSettings, Forecast] | None:
        """Return the work, settings that name what paints, and the forecast; None: as for `told`."""
        if not source or not voice:
            return None
        try:
            request = RenderRequest(Path(source), Path(voice), _settings(said, self._site, compare))
            work, settings, forecast = self._forecast(request, compare)
        except MuseTalkError:
            return None
        return None if forecast is None else (work, settings, forecast)

    def _forecast(
        self, request: RenderRequest, compare: Sequence[str] = ()
    ) -> tuple[Work, RenderSettings, Forecast | None]:
        """Return the work, settings that name what paints, and the forecast; None: that cannot be said.

        Raises:
            MuseTalkError: It cannot work.
        """
        settings = request.settings.with_backend(self._site.engine.choose(request.settings).backend)
        work = self._of(request.video, request.voice, settings.inputs)
        kinds = [
            RenderKind.of(settings.with_backend(name), self._site.engine.registry)
            for name in compare or (settings.backend,)
        ]
        return work, settings, self._site.jobs.forecast(work, kinds)

    def _panel(self, work: Work, forecast: Forecast, backends: Sequence[str]) -> str:
        seconds, waiting = forecast.seconds, self._site.jobs.ahead
        tone = "long" if seconds > _ASKED_ABOVE_SECONDS else ""
        by = " and ".join(escape(titled(name)) for name in backends)
        known = "by what renders have cost here" if forecast.learned else "a first guess by the speed of this machine"
        queue = f", after {counted(waiting, 'render')} in the queue" if waiting else ""
        long = duration(work.seconds)
        return (
            f'<p class="mt-estimate" data-tone="{tone}"><b>{sentence(roughly(seconds))}</b> for {long} '
            f"({counted(work.frames, 'frame')}) with {by} on {escape(self._site.job_device)}{queue}: {known}.</p>"
        )

    def _others(self, work: Work, kinds: Sequence[RenderKind]) -> str:
        """Return how long the same would take with each other backend, whether it is ready here or not."""
        forecasts = [(kind.backend, self._site.jobs.forecast(work, [kind])) for kind in kinds]
        told = [(titled(name), each) for name, each in forecasts if each is not None]
        guess = "" if all(each.learned for _, each in told) else ", by a first guess"
        listed = ", ".join(f"{escape(name)} {roughly(each.seconds)}" for name, each in told)
        return f'<p class="mt-estimate-others">With others{guess}: {listed}.</p>' if listed else ""

    def _of(self, video: Path, voice: Path, wanted: InputSettings) -> Work:
        key = (video, voice, wanted.source, wanted.voice_track, wanted.tail)
        known = self._work.get(key)
        if known is None:
            source = self._site.engine.check_source(video, wanted.source)
            spoken = self._site.engine.check_voice(voice, wanted.source.limits, wanted.voice_track)
            known = Work.of(source, seconds_made(source, spoken, wanted.tail))
            self._work.keep(key, known)
        return known


def _question(seconds: float) -> str:
    """Return what is asked before something is started that takes so long, as HTML.

    No two are the same, so that the page notices that it is asked again.
    """
    turn = secrets.token_hex(4)
    return (
        f'<div class="mt-ask-first" role="alert" data-turn="{turn}"><p>This would take {roughly(seconds)} on this '
        "device. Fewer steps, a shorter voice or another backend take less; it can be stopped at any time.</p>"
        '<p><button type="button" class="mt-button" data-do="start">Start all the same</button> '
        '<button type="button" class="mt-button" data-do="leave">Not now</button></p></div>'
    )


def question_box(name: str) -> gr.HTML:
    """Build where is asked whether a long job is to start, where this is called; its submission says yes.

    Apart from the estimate: an answer about that, which was under way when the question came, does not overwrite it.
    """
    return gr.HTML("", js_on_load=_QUESTION_JS, elem_id=name)


def forget_question(matters: Sequence[Any], question: gr.HTML) -> None:
    """Let events that change how long a job takes put away a question that was asked before them."""
    gr.on(matters, None, None, question, js="() => ''", api_visibility="private")


def what_matters(settings: settings_form.SettingsForm) -> list[Any]:
    """Return the events after which another estimate is due."""
    return [settings[name].change for name in _MATTERS]


def _settings(said: Mapping[str, Value], site: Site, backends: Sequence[str] = ()) -> RenderSettings:
    """Return the settings of a form as far as an estimate goes by them: whose face it is does not matter."""
    return settings_form.read({**said, "face": settings_form.FACE}, site.base, backends, site.engine.registry)
