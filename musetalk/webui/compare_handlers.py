"""What happens on the Compare tab."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from musetalk.comparing.labels import painter_named
from musetalk.errors import JobError, SettingsError
from musetalk.jobs.job import Job
from musetalk.webui import form
from musetalk.webui.accounts import account_of, videos_of
from musetalk.webui.backend_picker import backend_entries
from musetalk.webui.compare_frames import frame_of
from musetalk.webui.compare_panel import comparison_panel, lacking_list
from musetalk.webui.compare_stage import HINT, TOGETHER, CompareStage
from musetalk.webui.dub_handlers import SHOWN_SIDE, given
from musetalk.webui.figures import file_address
from musetalk.webui.form import LATENTSYNC, MUSETALK, Value
from musetalk.webui.site import Site, owner_of, with_toasts
from musetalk.webui.watching import Update, Watching


class CompareHandlers(Watching):
    """Handlers over one page's widgets; all visitors share them.

    Args:
        site: Whose engine and jobs.
        stage: The right column.
        backends: The choice of backends.
        lacking: What those lack that cannot be chosen.
    """

    def __init__(self, site: Site, stage: CompareStage, backends: gr.CheckboxGroup, lacking: gr.HTML) -> None:
        super().__init__(site, stage, HINT)
        self._stage = stage
        self._backends = backends
        self._lacking = lacking

    @property
    def watched(self) -> list[Any]:
        """What changes while a comparison is watched."""
        stage = self._stage
        return [*super().watched, stage.moment, stage.frame, stage.due, *self.seen]

    @property
    def seen(self) -> list[Any]:
        """What changes with the frame and the results that are looked at."""
        return [self._stage.left, self._stage.right, self._stage.caption, self._stage.pair]

    @property
    def choice(self) -> list[Any]:
        """What changes with the weights that are there."""
        return [self._backends, self._lacking]

    def refresh(self, chosen: list[str] | None) -> Update:
        """Offer the backends that can paint now; of those that were chosen, what is left if it can be compared."""
        names, lacking = choices(self._site)
        kept = [name for name in chosen or () if name in names]
        value = kept if len(kept) > 1 else first_of(names)
        return {self._backends: gr.CheckboxGroup(choices=names, value=value), self._lacking: lacking}

    @with_toasts
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
        """Queue a comparison; `values` are the Dub tab's settings, `picked_in` is its source."""
        video, sound = given(source, "source"), given(voice, "voice")
        if len(backends) < 2:
            raise JobError("a comparison is of two backends or more", "choose them under Backends")
        if form.picked(values) and source != picked_in:
            raise SettingsError(
                "the face was picked in the Dub tab's source, which is another file",
                "choose another rule under Face there, or give that file here",
            )
        listed = [backend.name for backend in self._site.engine.registry]
        backends.sort(key=lambda name: listed.index(name) if name in listed else len(listed))  # they come as clicked
        settings = form.read(values, self._site.base, backends)
        job = self._site.jobs.submit(owner_of(secret, request), video, sound, settings, compare=backends)
        self._site.uploads.sweep()
        return self.open(job)

    @with_toasts
    def show_pair(
        self, request: gr.Request, job_id: str, secret: str | None, frame: float, left: str, right: str
    ) -> Update:
        """Show one frame of two results; where both are one, another one on the right."""
        videos, reports = self._results(request, job_id, secret, left, right)
        right = _beside(left, right, videos)
        return self._seen(videos, reports, int(frame), left, right)

    @with_toasts
    def show_right(
        self, request: gr.Request, job_id: str, secret: str | None, frame: float, left: str, right: str
    ) -> Update:
        """The same, but where both are one, another one on the left."""
        videos, reports = self._results(request, job_id, secret, left, right)
        left = _beside(right, left, videos)
        return self._seen(videos, reports, int(frame), left, right)

    def _results(
        self, request: gr.Request, job_id: str, secret: str | None, *asked: str
    ) -> tuple[dict[str, Path], dict[str, Any]]:
        """Videos and reports of a comparison, by backend.

        Raises:
            JobError: What is asked for is not among them.
        """
        job = self._site.jobs.get(job_id, owner_of(secret, request))
        facts = account_of(self._site, job)
        videos = videos_of(self._site, job, facts) if facts else {}
        if facts is None or len(videos) < 2 or not set(asked) <= set(videos):
            raise JobError("there is no such result in this comparison", "choose another backend")
        return videos, {part["backend"]: part["report"] for part in facts["parts"]}

    def _seen(
        self, videos: Mapping[str, Path], reports: Mapping[str, Any], frame: int, left: str, right: str
    ) -> Update:
        stage, sides = self._stage, (left, right)
        pictures = tuple(frame_of(videos[name], frame, SHOWN_SIDE) for name in sides)
        self._site.uploads.sweep()
        text = f"Frame {frame}: {' | '.join(painter_named(reports[name], frame) for name in sides)}"
        caption = f'<p class="mt-caption">{escape(text)}</p>'
        # The pictures themselves, not an update of the component: Gradio encodes those outside its event loop.
        return {stage.left: left, stage.right: right, stage.caption: caption, stage.pair: pictures}

    def _outcome(self, job: Job) -> Update:
        stage, facts, store = self._stage, account_of(self._site, job), self._site.jobs.store
        if facts is None:
            return {}
        videos, plots = videos_of(self._site, job, facts), store.file(job, facts["plots"])
        together = store.file(job, facts["side_by_side"])
        files = {TOGETHER: together, **videos} if together else videos
        label, video = next(iter(files.items()), ("", None))
        notices = {backend.name: backend.notice for backend in self._site.engine.registry}
        addresses = {name: file_address(path) for name, path in files.items()}
        update: Update = {
            stage.report: comparison_panel(facts, file_address(plots) if plots else "", notices, addresses),
            stage.video: gr.Video(
                str(video) if video else None,
                label=label if together else f"Only result: {label}",
                visible=video is not None,
            ),
        }
        return {**update, **self._moment(facts, list(videos))} if len(videos) > 1 else update

    def _moment(self, facts: Mapping[str, Any], names: Sequence[str]) -> Update:
        """Offer the frames and the results that there are; which are shown comes after, as it takes its time."""
        stage = self._stage
        reports = {part["backend"]: part["report"] for part in facts["parts"]}
        offered = [(painter_named(reports[name]), name) for name in names]
        last = min(reports[name]["frames"] for name in names) - 1
        return {
            stage.moment: gr.Column(visible=True),
            stage.frame: gr.Slider(maximum=max(last, 1), value=last // 2),
            stage.left: gr.Dropdown(choices=offered, value=names[0]),
            stage.right: gr.Dropdown(choices=offered, value=names[1]),
            stage.due: secrets.token_hex(4),
        }

    def _cleared(self) -> Update:
        stage = self._stage
        return {**super()._cleared(), stage.moment: gr.Column(visible=False), stage.caption: "", stage.pair: None}


def choices(site: Site) -> tuple[list[str], str]:
    """Names of the backends that can paint now, and what the others lack, as HTML."""
    entries = backend_entries(site.engine.registry, site.base, site.downloads.allowed)
    return [entry.name for entry in entries if not entry.lacks], lacking_list([each for each in entries if each.lacks])


def first_of(names: Sequence[str]) -> list[str]:
    """What is chosen at first: one of MuseTalk's and one of LatentSync's; where there are not both, the first two."""
    families = [next((name for name in names if name.startswith(family)), "") for family in (MUSETALK, LATENTSYNC)]
    return families if all(families) else [*names[:2]]


def _beside(name: str, other: str, names: Iterable[str]) -> str:
    """What is shown beside a result: `other`, unless that is the same."""
    return other if other != name else next(each for each in names if each != name)
