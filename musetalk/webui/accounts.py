"""Reports and comparisons as visitors may see them: without paths of the server and without commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from musetalk.jobs.job import Job
from musetalk.webui.html.figures import file_address
from musetalk.webui.html.plain_words import Reader, plain
from musetalk.webui.site import Site

_PLACES = ("models_dir", "coords_dir")  # settings that name folders


def account_of(site: Site, job: Job) -> dict[str, Any] | None:
    """Return the report of a render, or the account of a comparison with the job's title; None: there is none."""
    path = site.jobs.store.report(job)
    if path is None:
        return None
    facts = _presentable(json.loads(path.read_text(encoding="utf-8")), _folders(site), site.reader)
    for report in [part["report"] for part in facts["parts"] if part["report"]] if job.compare else [facts]:
        report["output"] = Path(report["output"]).name
        report["settings"] = {name: "" if name in _PLACES else said for name, said in report["settings"].items()}
    if job.compare:  # the store has its own names for what was uploaded
        del facts["source"], facts["voice"]
        facts["title"] = job.title
    return dict(facts)


def result_of(site: Site, job: Job, account: dict[str, Any] | None) -> Path | None:
    """Return the video that a job is asked for, if it is there: of a comparison, the one that shows all results."""
    if job.compare and account is not None:
        return site.jobs.store.file(job, account["side_by_side"])
    return site.jobs.store.file(job, job.result)


def result_address(site: Site, job: Job) -> str:
    """Return the address of the video that a job is asked for; empty: it is not done, or that is gone."""
    if job.state != "done":
        return ""
    made = result_of(site, job, account_of(site, job) if job.compare else None)
    return file_address(made) if made is not None else ""


def videos_of(site: Site, job: Job, account: dict[str, Any]) -> dict[str, Path]:
    """Return the results of a comparison that are there, by backend."""
    found = {part["backend"]: site.jobs.store.file(job, part["video"]) for part in account["parts"] if part["report"]}
    return {name: path for name, path in found.items() if path is not None}


def shown_job(site: Site, job: Job) -> Job:
    """The same job, with an error in words for whoever reads it, and no folder of the server in it."""
    return job.model_copy(update={"error": _presentable(job.error, _folders(site), site.reader)}) if job.error else job


def _folders(site: Site) -> tuple[str, ...]:
    """Absolute paths, as texts may hold them; a relative one tells nothing."""
    models = site.base.models_dir
    paths = (models, models.resolve(), site.jobs.store.root)
    return tuple(dict.fromkeys(str(path) for path in paths if path.is_absolute()))


def _presentable(value: Any, folders: tuple[str, ...], reader: Reader) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The same without these folders in any of its texts, and its sentences in words for `reader`."""
    if isinstance(value, dict):
        return {name: _presentable(each, folders, reader) for name, each in value.items()}
    if isinstance(value, list):
        return [_presentable(each, folders, reader) for each in value]
    if isinstance(value, str):
        for folder in folders:
            value = value.replace(f"{folder}/", "").replace(folder, Path(folder).name)
        return plain(value, reader) if " " in value else value
    return value
