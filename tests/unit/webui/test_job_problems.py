"""What went wrong with what visitors asked of their jobs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from musetalk.errors import BackendError, JobError
from musetalk.settings import RenderSettings
from musetalk.webui.html.plain_words import Reader
from musetalk.webui.job_problems import JobProblems
from tests.helpers.hub import UNET, on_hub

ANN, BOB = "ann", "bob"


class Jobs(dict[str, Any]):
    """A store of jobs by id."""

    def get(self, job_id: str, owner: str) -> Any:  # type: ignore[override]  # noqa: ANN401 - a stand-in
        return super().get(job_id) if owner == ANN else None

    def put(self, job_id: str, state: str) -> None:
        self[job_id] = SimpleNamespace(id=job_id, state=state)


@pytest.fixture
def jobs() -> Jobs:
    held = Jobs()
    held.put("a", "failed")
    held.put("b", "running")
    return held


@pytest.fixture
def problems(jobs: Jobs, tmp_path: Path) -> JobProblems:
    downloads = SimpleNamespace(sets=(SimpleNamespace(files=(on_hub(UNET, 4),)),))
    base = RenderSettings(models_dir=tmp_path)
    site = SimpleNamespace(jobs=SimpleNamespace(store=jobs), downloads=downloads, base=base, reader=Reader())
    return JobProblems(cast(Any, site))


def test_a_problem_stays_with_its_job_until_that_is_asked_of_again(problems: JobProblems, jobs: Jobs) -> None:
    problems.tell(ANN, "a", "", JobError("the voice of this render is no longer kept", "give it again"))
    problems.tell(ANN, "b", "", JobError("this render has not ended", "stop it first"))
    said = {
        "a": "The voice of this render is no longer kept. Give it again.",
        "b": "This render has not ended. Stop it first.",
    }
    assert problems.of(ANN, jobs.values()) == (said, ())
    assert problems.of(BOB, jobs.values()) == ({}, ())
    problems.begin(ANN, "a")
    assert problems.of(ANN, jobs.values()) == ({"b": said["b"]}, ())
    jobs.put("b", "done")  # which mends it
    assert problems.of(ANN, jobs.values()) == ({}, ())


def test_what_lacked_weights_is_mended_by_them(problems: JobProblems, jobs: Jobs, tmp_path: Path) -> None:
    problems.tell(ANN, "a", "", BackendError("a file is missing", "python -m musetalk weights download mouth"))
    said, _ = problems.of(ANN, jobs.values())
    assert said == {"a": "A file is missing. Whoever runs this server can download mouth."}
    (tmp_path / "net").mkdir()
    (tmp_path / "net/unet.pth").write_bytes(b"here")
    assert problems.of(ANN, jobs.values()) == ({}, ())


def test_of_a_job_that_is_gone_its_title_is_told_until_something_else_is_asked(
    problems: JobProblems, jobs: Jobs
) -> None:
    problems.tell(ANN, "c", "Take 1", JobError("there is no such render of yours"))
    told = "“Take 1” is no longer here. It was deleted elsewhere, or its time was over."
    assert problems.of(ANN, jobs.values()) == ({}, (told,))
    problems.begin(ANN, "a")
    assert problems.of(ANN, jobs.values()) == ({}, ())
