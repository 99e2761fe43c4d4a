"""What happens on the Compare tab."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.backends.spec import AnyBackend
from musetalk.comparison.labels import painter_named
from musetalk.errors import BackendError, SettingsError
from musetalk.jobs.job import Job
from musetalk.pipeline.request import RenderRequest
from musetalk.webui.accounts import account_of, result_of, videos_of
from musetalk.webui.backend_names import titled
from musetalk.webui.form import settings_form
from musetalk.webui.form.backend_picker import backend_entries, lacking_list
from musetalk.webui.form.widgets import Value
from musetalk.webui.html.comparison import comparison_panel
from musetalk.webui.html.figures import file_address
from musetalk.webui.html.pair_view import Side, pair_view
from musetalk.webui.site import Site, owner_of
from musetalk.webui.tabs.compare_stage import HINT, TOGETHER, CompareStage
from musetalk.webui.tabs.estimates import Estimates
from musetalk.webui.tabs.job_watcher import JobWatcher, Update
from musetalk.webui.tabs.preview_handlers import given


class CompareHandlers(JobWatcher):
    """Handlers over one page's widgets; all visitors share them.

    Args:
        site: Whose engine and jobs.
        stage: The right column.
        backends: The choice of backends.
        lacking: What those lack that cannot be chosen.
    """

    def __init__(
        self, site: Site, stage: CompareStage, backends: gr.CheckboxGroup, lacking: gr.HTML, estimates: Estimates
    ) -> None:
        super().__init__(site, stage, HINT)
        self._stage = stage
        self._estimates = estimates
        self._backends = backends
        self._lacking = lacking

    @property
    def watched(self) -> list[Any]:
        """What changes while a comparison is watched."""
        return [*super().watched, self._stage.pair, self._stage.estimate, self._stage.question]

    @property
    def opened(self) -> list[Any]:
        """What changes when another comparison is watched, or none."""
        return [*self.watched, self._backends]

    @property
    def choice(self) -> list[Any]:
        """What changes with the weights that are there."""
        return [self._backends, self._lacking, self._stage.compare_button]

    def refresh(self, chosen: list[str] | None) -> Update:
        """Offer the backends that can paint now; of those that were chosen, what is left if it can be compared.

        Where that is all of them, the choice is left alone: somebody may have changed it meanwhile.
        """
        names, lacking = choices(self._site)
        kept = [name for name in chosen or () if name in names]
        value = kept if len(kept) > 1 else first_of(names, self._site.engine.registry)
        offered = named(names)
        return {
            self._backends: gr.CheckboxGroup(offered) if value == chosen else gr.CheckboxGroup(offered, value=value),
            self._lacking: lacking,
            self._stage.compare_button: gr.Button(interactive=len(names) > 1),
        }

    def compare(
        self,
        request: gr.Request,
        source: str | None,
        voice: str | None,
        secret: str | None,
        backends: list[str],
        picked_in: str | None,
        *values: Value,
    ) -> Update:
        """Queue a comparison, or where it would take long, ask first; see `compare_anyway`.

        Raises:
            MuseTalkError: It cannot work.
        """
        if len(backends) > 1 and (
            question := self._estimates.question(source, voice, settings_form.named(values), self._in_order(backends))
        ):
            return {self._stage.question: question}
        return self.compare_anyway(request, source, voice, secret, backends, picked_in, *values)

    def estimate(self, source: str | None, voice: str | None, backends: list[str], *values: Value) -> str:
        """Return about how long a comparison would take, as HTML; empty: that cannot be said."""
        if len(backends) < 2:
            return ""
        return self._estimates.told(source, voice, settings_form.named(values), self._in_order(backends))

    def compare_anyway(
        self,
        request: gr.Request,
        source: str | None,
        voice: str | None,
        secret: str | None,
        backends: list[str],
        picked_in: str | None,
        *values: Value,
    ) -> Update:
        """Queue a comparison; `values` are the Dub tab's settings, `picked_in` is its source.

        Raises:
            MuseTalkError: It cannot work.
        """
        video, sound = given(source, "source"), given(voice, "voice")
        if len(backends) < 2:
            raise BackendError("a comparison is of two backends or more", "choose them here")
        said = settings_form.named(values)
        if settings_form.picked(said) and source != picked_in:
            raise SettingsError(
                "the face was picked in the Dub tab's source, which is another file",
                "choose another rule under Face there, or give that file here",
            )
        backends = self._in_order(backends)
        settings = settings_form.read(said, self._site.base, backends, self._site.engine.registry)
        asked = RenderRequest(video, sound, settings)
        job = self._site.jobs.submit(owner_of(secret, request), asked, compare=backends, once=True)
        self._site.uploads.sweep()
        return {**self.open(job), self._stage.estimate: "", self._stage.question: ""}

    def _in_order(self, backends: Sequence[str]) -> list[str]:
        """Backends as they are listed; they come as they were clicked."""
        listed = [backend.name for backend in self._site.engine.registry]
        return sorted(backends, key=lambda name: listed.index(name) if name in listed else len(listed))

    def given_back(self, job: Job) -> Update:
        """Choose the backends of a comparison, as far as they can paint now."""
        names, _ = choices(self._site)
        return {
            self._backends: gr.CheckboxGroup(
                choices=named(names), value=[name for name in job.compare if name in names]
            )
        }

    def _outcome(self, job: Job) -> Update:
        stage, facts, store = self._stage, account_of(self._site, job), self._site.jobs.store
        if facts is None:
            return {}
        videos, plots = videos_of(self._site, job, facts), store.file(job, facts["plots"])
        together = result_of(self._site, job, facts)
        files = {TOGETHER: together, **videos} if together else videos
        label, video = next(iter(files.items()), ("", None))
        shown = f"{TOGETHER}: {' | '.join(map(titled, videos))}" if together else f"Only result: {titled(label)}"
        notices = {backend.name: backend.notice for backend in self._site.engine.registry}
        addresses = {name: file_address(path) for name, path in files.items()}
        update: Update = {
            stage.report: comparison_panel(facts, file_address(plots) if plots else "", notices, addresses),
            stage.video: gr.Video(
                str(video) if video else None,
                label=shown,
                visible=video is not None,
            ),
        }
        return {**update, stage.pair: self._pair(job, facts, videos)}

    def _pair(self, job: Job, facts: Mapping[str, Any], videos: Mapping[str, Path]) -> str:
        """Return one frame of two results, or of one and the source.

        Empty: there is nothing to be shown beside another.
        """
        reports = {part["backend"]: part["report"] for part in facts["parts"] if part["backend"] in videos}
        sides = [
            Side(
                name,
                painter_named(report, named=titled),
                file_address(videos[name]),
                videos[name].stat().st_size,
                _others(report),
            )
            for name, report in reports.items()
        ]
        source = self._site.jobs.store.file(job, facts.get("source_in_step", ""))
        if source:
            sides.append(Side("source", "the source", file_address(source), source.stat().st_size))
        if len(sides) < 2:
            return ""
        frames = min(report["frames"] for report in reports.values())
        return pair_view(sides, Fraction(next(iter(reports.values()))["fps"]), frames)

    def _cleared(self) -> Update:
        stage = self._stage
        return {**super()._cleared(), stage.pair: ""}


def choices(site: Site) -> tuple[list[str], str]:
    """Names of the backends that can paint now, and what the others lack, as HTML."""
    entries = backend_entries(site.engine.registry, site.base, site.downloads.allowed)
    ready = [entry.name for entry in entries if not entry.lacks]
    return ready, lacking_list([entry for entry in entries if entry.lacks], ready)


def named(backends: Sequence[str]) -> list[tuple[str, str]]:
    """Backends as choices: the page's names of them, and their own."""
    return [(titled(backend), backend) for backend in backends]


def first_of(names: Sequence[str], registry: Iterable[AnyBackend]) -> list[str]:
    """Return what is chosen at first: a network and one of LatentSync's; where there are not both, the first two."""
    networks = [each for each in registry if each.name in names and "network" in each.ui_groups]
    kinds = [[each.name for each in networks if ("latentsync" in each.ui_groups) == latent] for latent in (False, True)]
    return [kind[0] for kind in kinds] if all(kinds) else [*names[:2]]


def _others(report: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
    """Return which frames of a result others painted."""
    return tuple((each["start"], each["stop"], each["backend"] or "a fallback") for each in report["fallbacks"])
