"""One's own jobs as cards, and the script that turns clicks on their buttons into events."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape

from musetalk.jobs.job import Job
from musetalk.utils.units import counted, duration, size
from musetalk.webui.backend_names import titled
from musetalk.webui.html.press_twice import PRESS_TWICE_JS
from musetalk.webui.html.status import doing, share_done, whole_said
from musetalk.webui.html.units import ago, clock, in_time, sentence

_STATES = {"queued": "Waiting", "running": "Running", "done": "Done", "failed": "Failed", "cancelled": "Stopped"}

# Listens on the component, which outlives its content. "submit" carries {action, job, named}, {title} to rename.
# Which name is being written is kept here and painted again after each update, so that progress elsewhere in the list
# cannot take it back.
JOB_LIST_JS = (
    PRESS_TWICE_JS
    + """let naming = "", name = "";
const paint = () => {
  for (const button of element.querySelectorAll('[data-action^="delete"]'))
    button.toggleAttribute("data-armed", armed !== "" && button.dataset.job === armed);
  for (const form of element.querySelectorAll("form[data-job]")) {
    form.hidden = form.dataset.job !== naming;
    if (form.hidden || form.contains(document.activeElement)) continue;
    form.elements.title.value = name;
    form.elements.title.focus();
  }
  const live = element.querySelector("[data-live]");
  if (live) live.textContent = armed ? "Press again to delete" : "";
};
const send = (action, job, more = {}) => {
  const card = element.querySelector(`[data-action="rename"][data-job="${job}"]`);
  trigger("submit", { action, job, named: card?.dataset.title ?? "", ...more });
};
const rename = (job, title) => {
  naming = job;
  name = title;
  paint();
};
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const { action, job } = button.dataset;
  if (action === "rename") return rename(naming === job ? "" : job, button.dataset.title);
  if (action.startsWith("delete") && !meant(job)) return;
  arm("");
  send(action, job);
});
element.addEventListener("input", (event) => (name = event.target.value));
element.addEventListener("keydown", (event) => {
  const form = event.target.closest("form[data-job]");
  if (event.key !== "Escape" || !form) return;
  rename("", "");
  element.querySelector(`[data-action="rename"][data-job="${form.dataset.job}"]`)?.focus();
});
element.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-job]");
  if (!form) return;
  event.preventDefault();
  const { job } = form.dataset;
  const title = form.elements.title.value;
  rename("", "");
  element.querySelector(`[data-action="rename"][data-job="${job}"]`)?.focus();
  send("rename", job, { title });
});
watch("value", paint);
"""
)


@dataclass(frozen=True, slots=True)
class JobEntry:
    """A job as its card shows it.

    Attributes:
        job: The job.
        place: Jobs before it in the queue.
        picture: The address of its thumbnail; empty: it has none.
        file: The address of what it has made; empty: nothing.
        differing: What of its settings is not as usual, in words: names and values.
        inputs_kept: Whether its inputs are still there, to be rendered again.
        problem: Why what was asked of it last could not be done; empty: it could.
    """

    job: Job
    place: int = 0
    picture: str = ""
    file: str = ""
    differing: Sequence[tuple[str, str]] = ()
    inputs_kept: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long jobs are kept: seconds after they ended, and the bytes that all together may take."""

    seconds: float = 86400.0
    max_bytes: int = 10 * 2**30


def job_list(
    jobs: Sequence[JobEntry], keeping: Keeping = Keeping(), now: float | None = None, gone: Sequence[str] = ()
) -> str:
    """Cards in the order given, below a sentence on how long they are kept.

    Args:
        jobs: What to show.
        keeping: How long they are kept.
        now: Seconds since the epoch; the clock's, if None.
        gone: What is to be said of jobs that have no card any more.

    Returns:
        HTML for a `gr.HTML(js_on_load=JOB_LIST_JS)`. Titles, messages and addresses in it are escaped.
    """
    live = '<p class="mt-unseen" role="status" data-live></p>'
    ended = sum(not entry.job.active for entry in jobs)
    every = (
        f'<button type="button" class="mt-button" data-action="delete-all" data-job="all"{"" if ended else " hidden"}>'
        f'<span class="mt-say">Delete all that have ended ({ended})</span>'
        '<span class="mt-ask">Delete all?</span></button>'
    )
    head = f'<div class="mt-jobs-head"><p class="mt-kept">{_kept(keeping)}</p>{every}</div>'
    head += "".join(map(_problem, gone))
    if not jobs:
        return f'{live}{head}<p class="mt-empty">No renders yet. What you generate or compare is kept here.</p>'
    moment = time.time() if now is None else now
    cards = "".join(_card(entry, keeping, moment) for entry in jobs)
    return f'{live}{head}<ul class="mt-jobs" aria-label="Your renders">{cards}</ul>'


def _kept(keeping: Keeping) -> str:
    hours = keeping.seconds / 3600
    long = counted(round(hours / 24), "day") if hours >= 48 and hours % 24 == 0 else f"{hours:g} h"
    return (
        f"Each render is kept with its inputs for {long} after it has ended, then deleted. All renders here together "
        f"may take {size(keeping.max_bytes)} of disk; beyond that the oldest go first."
    )


def _card(entry: JobEntry, keeping: Keeping, now: float) -> str:
    job = entry.job
    image = f'<img src="{escape(entry.picture)}" alt="" loading="lazy">' if entry.picture else ""
    title = escape(job.title)
    naming = (
        f'<form class="mt-rename" data-job="{escape(job.id)}" hidden><input name="title" maxlength="120" '
        f'aria-label="Name of this render" value="{title}"><button type="submit" class="mt-button">Save</button></form>'
    )
    return (
        f'<li class="mt-job" data-state="{job.state}"><div class="mt-thumb">{image}</div>'
        f'<div class="mt-job-text"><h2 class="mt-job-title" title="{title}">{title}</h2>{naming}'
        f'<p class="mt-job-facts"><span class="mt-state">{_state(job, entry.place)}</span>'
        f"{_facts(job, now)}{_goes(job, keeping, now)}</p>{_differing(entry)}"
        f"{_bar(job)}{_error(job)}{_problem(entry.problem)}</div>"
        f'<div class="mt-job-actions">{_buttons(entry)}</div></li>'
    )


def _goes(job: Job, keeping: Keeping, now: float) -> str:
    if job.active:
        return ""
    return f"<span>deleted in {in_time(keeping.seconds - (now - (job.ended or job.created)))}</span>"


def _differing(entry: JobEntry) -> str:
    items = "".join(f"<li>{escape(name)} <b>{escape(value)}</b></li>" for name, value in entry.differing)
    return f'<ul class="mt-job-settings" aria-label="Settings that are not as usual">{items}</ul>' if items else ""


def _state(job: Job, place: int) -> str:
    if job.state == "queued" and place > 0:
        return f"Waiting, {place} before it"
    if job.state == "running" and job.progress:
        return doing(job.progress)
    return _STATES[job.state]


def _facts(job: Job, now: float) -> str:
    made = datetime.fromtimestamp(job.created, timezone.utc).isoformat(timespec="seconds")
    facts = [
        f'<time datetime="{made}">{ago(now - job.created)}</time>',
        escape(" beside ".join(map(titled, job.compare)) or titled(job.settings.backend)),
        "chosen automatically" if job.choice else "",
    ]
    if job.length_seconds is not None:
        facts.append(f"{clock(job.length_seconds)} long")
    if job.seconds is not None and job.state == "done":
        facts.append(f"took {duration(job.seconds)}")
    if job.state == "running" and job.progress:
        if job.compare:
            facts.append(escape(job.progress.note.partition(":")[0]))  # whose turn it is, of how many
        if whole := whole_said(job.progress):
            facts.append(whole)
        elif job.progress.seconds_left is not None and not job.compare:
            facts.append(f"{clock(job.progress.seconds_left)} left")
    return "".join(f"<span>{fact}</span>" for fact in facts if fact)


def _bar(job: Job) -> str:
    if job.state != "running":
        return ""
    share = share_done(job.progress)
    title = doing(job.progress)
    value = "" if share is None else f' aria-valuenow="{int(share * 100)}"'
    fill = " data-unknown" if share is None else f' style="width:{share:.1%}"'
    return (
        f'<div class="mt-bar" role="progressbar" aria-label="{title}" aria-valuemin="0" aria-valuemax="100"{value}>'
        f'<div class="mt-bar-fill"{fill}></div></div>'
    )


def _error(job: Job) -> str:
    said = sentence(job.error) if job.state == "failed" else ""
    if job.failed:
        said = f"{len(job.failed)} of {len(job.compare)} backends failed: {', '.join(map(titled, job.failed))}"
    return f'<p class="mt-error">{escape(said)}</p>' if said else ""


def _problem(said: str) -> str:
    return f'<p class="mt-problem" role="alert">{escape(said)}</p>' if said else ""


def _buttons(entry: JobEntry) -> str:
    job = entry.job
    buttons = [_button(job, "open", "Open")]
    if entry.file:
        buttons.append(
            f'<a class="mt-button" href="{escape(entry.file)}" download>Download'
            f'<span class="mt-unseen"> {escape(job.title)}</span></a>'
        )
    if job.state in ("failed", "cancelled") and entry.inputs_kept:
        buttons.append(_button(job, "retry", "Retry"))
    if entry.inputs_kept:
        buttons.append(_button(job, "edit", "Edit and render again"))
    buttons.append(_button(job, "rename", "Rename", f' data-title="{escape(job.title)}"'))
    buttons.append(
        _button(job, "stop", "Stop")
        if job.active
        else _button(job, "delete", "Delete", after='<span class="mt-ask">Delete?</span>')
    )
    return "".join(buttons)


def _button(job: Job, action: str, word: str, more: str = "", after: str = "") -> str:
    return (
        f'<button type="button" class="mt-button" data-action="{action}" data-job="{escape(job.id)}"{more}>'
        f'<span class="mt-say">{word}</span>{after}<span class="mt-unseen"> {escape(job.title)}</span></button>'
    )
