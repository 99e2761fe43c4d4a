"""One's own jobs as cards, and the script that turns clicks on their buttons into events."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from html import escape

from musetalk.jobs.job import Job
from musetalk.units import duration
from musetalk.webui.backend_names import titled
from musetalk.webui.status import STAGE_TITLES, share_done, whole_said
from musetalk.webui.units import ago, clock, sentence

_STATES = {"queued": "Waiting", "running": "Running", "done": "Done", "failed": "Failed", "cancelled": "Stopped"}

# Listens on the component, which outlives its content. "submit" carries {action, job}. Delete wants a second press: not
# within 0.3 s, because that is a double click, and not after 3 s. Which card is waiting for it is kept here and painted
# again after each update, so that progress elsewhere in the list cannot take it back.
JOB_LIST_JS = """
let armed = "", since = 0, timer = 0;
const paint = () => {
  for (const button of element.querySelectorAll('[data-action="delete"]')) {
    button.toggleAttribute("data-armed", button.dataset.job === armed);
  }
  const live = element.querySelector("[data-live]");
  if (live) live.textContent = armed ? "Press again to delete" : "";
};
const arm = (job) => {
  clearTimeout(timer);
  armed = job;
  since = performance.now();
  if (job) timer = setTimeout(() => arm(""), 3000);
  paint();
};
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const { action, job } = button.dataset;
  if (action === "delete" && armed !== job) return arm(job);
  if (action === "delete" && performance.now() - since < 300) return;
  arm("");
  trigger("submit", { action, job });
});
watch("value", paint);
"""


def job_list(jobs: Sequence[tuple[Job, int, str]], now: float | None = None) -> str:
    """Cards in the order given.

    Args:
        jobs: Each with its place in the queue (jobs before it) and the address of its thumbnail, or "".
        now: Seconds since the epoch; the clock's, if None.

    Returns:
        HTML for a `gr.HTML(js_on_load=JOB_LIST_JS)`. Titles, messages and addresses in it are escaped.
    """
    live = '<p class="mt-unseen" role="status" data-live></p>'
    if not jobs:
        return f'{live}<p class="mt-empty">No renders yet. What you generate or compare is kept here.</p>'
    moment = time.time() if now is None else now
    cards = "".join(_card(job, place, picture, moment) for job, place, picture in jobs)
    return f'{live}<ul class="mt-jobs" aria-label="Your renders">{cards}</ul>'


def _card(job: Job, place: int, picture: str, now: float) -> str:
    image = f'<img src="{escape(picture)}" alt="" loading="lazy">' if picture else ""
    return (
        f'<li class="mt-job" data-state="{job.state}"><div class="mt-thumb">{image}</div>'
        f'<div class="mt-job-text"><h2 class="mt-job-title" title="{escape(job.title)}">{escape(job.title)}</h2>'
        f'<p class="mt-job-facts"><span class="mt-state">{_state(job, place)}</span>{_facts(job, now)}</p>'
        f'{_bar(job)}{_error(job)}</div><div class="mt-job-actions">{_buttons(job)}</div></li>'
    )


def _state(job: Job, place: int) -> str:
    if job.state == "queued" and place > 0:
        return f"Waiting, {place} before it"
    if job.state == "running" and job.progress:
        return STAGE_TITLES[job.progress.stage]
    return _STATES[job.state]


def _facts(job: Job, now: float) -> str:
    made = datetime.fromtimestamp(job.created, timezone.utc).isoformat(timespec="seconds")
    facts = [
        f'<time datetime="{made}">{ago(now - job.created)}</time>',
        escape(" beside ".join(map(titled, job.compare)) or titled(job.settings.backend)),
    ]
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
    title = STAGE_TITLES[job.progress.stage if job.progress else "preflight"]
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


def _buttons(job: Job) -> str:
    last = ("stop", "Stop", "") if job.active else ("delete", "Delete", '<span class="mt-ask">Delete?</span>')
    return "".join(
        f'<button type="button" class="mt-button" data-action="{action}" data-job="{escape(job.id)}">'
        f'<span class="mt-say">{word}</span>{asked}<span class="mt-unseen"> {escape(job.title)}</span></button>'
        for action, word, asked in (("open", "Open", ""), last)
    )
