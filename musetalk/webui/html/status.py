"""Where a render stands: its stages, how far the present one is, and how it ended.

The page replaces this piece about once a second and its script compares it element by element, so every state has the
same elements in the same order and hides what it has no use for. The live regions then change with the state only.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import get_args

from musetalk.jobs.job import Job, JobProgress
from musetalk.pipeline.preflight import GUESSED, LEARNED
from musetalk.progress import STAGE_TITLES, Stage
from musetalk.utils.units import counted, duration, roughly
from musetalk.webui.backend_names import titled
from musetalk.webui.html.units import clock, ratio, sentence

# Listens on the component, which outlives its content. "submit" carries {action}: "edit" or "retry".
STATUS_JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button) trigger("submit", { action: button.dataset.action });
});
"""
HINT = "Choose a source and a voice, then generate."
_IN_FRAMES: tuple[Stage, ...] = ("plan", "parse", "render")


@dataclass(frozen=True, slots=True)
class _Step:
    """One stage as shown: `share` is 0 to 1, or None while its length is unknown."""

    title: str
    state: str
    share: float | None


def status_panel(
    job: Job | None, place: int = 0, hint: str = HINT, *, newest: str = "", file: str = "", problem: str = ""
) -> str:
    """Return the state of one render.

    Args:
        job: Whose; None shows what to do first.
        place: How many jobs have their turn before it; matters where it is queued.
        hint: What to do first.
        newest: The address of its newest frame; empty: there is none.
        file: The address of what it has made; empty: there is nothing.
        problem: Why it could not be tried again, in sentences; empty: nobody tried, or it could.

    Returns:
        HTML. Everything in it that came from people is escaped.
    """
    state = "idle" if job is None else job.state
    progress = job.progress if job is not None and job.state == "running" else None
    steps = "".join(_step(step, progress) for step in _steps(state, progress))
    # Of a comparison, a stage is no more than one backend's.
    own = job is not None and not job.compare and (progress is None or progress.whole is None)
    figures = "".join(f"<span>{escape(figure)}</span>" for figure in stage_figures(progress, countdown=own))
    error = problem or (job.error if job is not None and job.state == "failed" else "")
    note = _note(progress) if progress else ""
    choice = job.choice if job is not None and job.state != "done" else ""  # then its report tells it
    return (
        f'<section class="mt-status" data-state="{state}" data-job="{job.id if job else ""}" '
        f'aria-label="Status of the render">'
        f'<div class="mt-status-head"><p class="mt-state" role="status">{escape(_headline(job, place))}</p>'
        f'<p class="mt-status-title">{escape(hint if job is None else job.title)}</p></div>'
        f'<p class="mt-note"{_hidden(not choice)}>{escape(sentence(choice))}</p>'
        f'<ol class="mt-steps"{_hidden(state != "running")}>{steps}</ol>'
        f'<p class="mt-figures"{_hidden(not figures)}>{figures}</p>'
        f"{_whole(progress)}"
        f'<p class="mt-note"{_hidden(not note)}>{escape(note)}</p>'
        f"{_newest(newest)}"
        f'<p class="mt-error" role="alert"{_hidden(not error)}>{escape(sentence(error))}</p>'
        f'<div class="mt-status-actions"{_hidden(job is None or job.active)}>'
        f"{_download(file, job.title if job else '')}"
        f"{_button('retry', 'Retry', hidden=state not in ('failed', 'cancelled'))}"
        f"{_button('edit', 'Edit and render again')}</div></section>"
    )


def _newest(address: str) -> str:
    source = f' src="{escape(address)}"' if address else ""
    return (
        f'<figure class="mt-newest"{_hidden(not address)}><img alt="The newest frame"{source}>'
        "<figcaption>The newest frame</figcaption></figure>"
    )


def _button(action: str, word: str, *, hidden: bool = False) -> str:
    return f'<button type="button" class="mt-button" data-action="{action}"{_hidden(hidden)}>{word}</button>'


def _download(file: str, title: str) -> str:
    address = f' href="{escape(file)}"' if file else ""
    return (
        f'<a class="mt-button"{address} download{_hidden(not file)}>Download the video'
        f'<span class="mt-unseen"> {escape(title)}</span></a>'
    )


def _note(progress: JobProgress) -> str:
    """Return what was said last, but not how long the trial took it to be where that is known better."""
    if not whole_said(progress):
        return progress.note
    return "; ".join(part for part in progress.note.split("; ") if not part.startswith((GUESSED, LEARNED)))


def share_done(progress: JobProgress | None) -> float | None:
    """Return how much of the present stage is done, 0 to 1; None while its length is unknown."""
    if progress is None or progress.total <= 1:
        return None
    return min(max((progress.done + progress.part) / progress.total, 0.0), 1.0)


def _headline(job: Job | None, place: int) -> str:
    """Return what a screen reader announces; must not change while nothing but the numbers do."""
    if job is None:
        return "Ready"
    if job.state == "queued":
        return f"Waiting: {counted(place, 'render')} before this one" if place > 0 else "Next in the queue"
    if job.state == "running":
        return doing(job.progress)
    if job.state == "done":
        done = "Done" if job.seconds is None else f"Done in {duration(job.seconds)}"
        return f"{done}, but {' and '.join(map(titled, job.failed))} failed" if job.failed else done
    return "Failed" if job.state == "failed" else "Stopped"


def doing(progress: JobProgress | None) -> str:
    """Return what a running job is at."""
    if progress is not None and progress.before:
        return waiting_for_device(progress.before)
    return STAGE_TITLES[progress.stage if progress else "preflight"]


def waiting_for_device(before: int) -> str:
    """Return what is said where so many others have their turn on the device first."""
    return f"Waiting for the device: {before} with other networks {'has' if before == 1 else 'have'} it first"


def stage_figures(progress: JobProgress | None, *, countdown: bool = False) -> list[str]:
    """Return how far the present stage is, in figures; `countdown`: with the time that it still takes."""
    if progress is None or progress.total <= 1:
        return []
    if progress.stage not in _IN_FRAMES:
        return [f"step {progress.done} of {progress.total}"]
    figures = [f"frame {min(progress.done, progress.total):,} of {progress.total:,}"]
    if progress.steps > 1:
        figures.append(f"step {progress.step} of {progress.steps}")
    if progress.frames_per_second > 0:
        figures.append(f"{ratio(progress.frames_per_second)} frames/s")
    if countdown and progress.seconds_left is not None:
        figures.append(f"{clock(progress.seconds_left)} left")
    return figures


def whole_said(progress: JobProgress | None) -> str:
    """Return how far the whole job is, "34 % of all, about 2 min left"; empty: nobody knows."""
    if progress is None or progress.whole is None or progress.whole_seconds_left is None:
        return ""
    return f"{int(progress.whole * 100)}% of all, {roughly(progress.whole_seconds_left)} left"


def _whole(progress: JobProgress | None) -> str:
    """Return the bar of all that there is to do."""
    said, share = whole_said(progress), progress.whole if progress and progress.whole is not None else 0.0
    bar = ""
    if said:
        bar = ' role="progressbar" aria-label="All of it" aria-valuemin="0" aria-valuemax="100"'
        bar += f' aria-valuenow="{int(share * 100)}" aria-valuetext="{escape(said)}"'
    return (
        f'<div class="mt-whole"{_hidden(not said)}><div class="mt-bar"{bar}>'
        f'<div class="mt-bar-fill" style="width:{share:.1%}"></div></div><span>{escape(said)}</span></div>'
    )


def _steps(state: str, progress: JobProgress | None) -> list[_Step]:
    stages = get_args(Stage)
    here = stages.index(progress.stage) if progress else 0 if state == "running" else -1
    return [
        _Step(
            STAGE_TITLES[stage],
            "done" if index < here else "now" if index == here else "later",
            1.0 if index < here else share_done(progress) if index == here else 0.0,
        )
        for index, stage in enumerate(stages)
    ]


def _step(step: _Step, progress: JobProgress | None) -> str:
    now = step.state == "now"
    bar = ""
    if now:
        bar = f' role="progressbar" aria-label="{step.title}" aria-valuemin="0" aria-valuemax="100"'
        if step.share is not None:
            text = ", ".join(stage_figures(progress)[:1])
            bar += f' aria-valuenow="{int(step.share * 100)}" aria-valuetext="{escape(text)}"'
    fill = " data-unknown" if step.share is None else f' style="width:{step.share:.1%}"'
    current = ' aria-current="step"' if now else ""
    return (
        f'<li class="mt-step" data-step="{step.state}"{current}>'
        f'<div class="mt-bar"{bar}><div class="mt-bar-fill"{fill}></div>'
        f'</div><span class="mt-step-title">{step.title}</span></li>'
    )


def _hidden(hidden: bool) -> str:
    return " hidden" if hidden else ""
