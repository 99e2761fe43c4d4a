"""Which backend `auto` takes: the best that lacks nothing and is quick enough; and what is said of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from musetalk.backends.automatic import BackendChoice, Pace, choose_backend
from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import AnyBackend, GpuCost
from musetalk.errors import BackendError
from musetalk.settings import RenderSettings
from tests.helpers.toys import SOURCE, install

COST = GpuCost(start_seconds=1.0, seconds_per_frame=0.1)


def network(name: str, quality: int | None, *lacks: str) -> AnyBackend:
    return replace(PREVIEW, name=name, quality=quality, gpu=COST, missing=lambda _settings: lacks)


GOOD, BETTER, BEST = network("good", 10), network("better", 20), network("best", 30)


def chosen(*backends: AnyBackend, paces: dict[str, float] | None = None, **said: object) -> BackendChoice:
    def pace(backend: str) -> Pace:
        return Pace((paces or {})[backend], learned=False)

    return choose_backend(BackendRegistry(backends), RenderSettings.parse(said), pace)


def test_the_best_that_is_quick_enough_is_taken_however_they_are_listed() -> None:
    paces = {"good": 1.0, "better": 2.0, "best": 30.0}
    assert chosen(PREVIEW, GOOD, BEST, BETTER, paces=paces).backend == "best"
    assert chosen(PREVIEW, GOOD, BEST, BETTER, paces=paces, max_slowdown=29.0).backend == "better"
    assert chosen(PREVIEW, GOOD, BEST, BETTER, paces=paces, max_slowdown=1.5).backend == "good"
    assert chosen(PREVIEW, GOOD, BEST, BETTER, paces=paces, max_slowdown=0.5).backend == "preview"


def test_it_is_said_what_was_passed_over_and_why() -> None:
    lacking = network("finest", 40, "its weights are missing")
    choice = chosen(PREVIEW, GOOD, BEST, lacking, paces={"good": 2.0, "best": 40.0})
    assert choice.reason() == (
        "chosen automatically: good, since best would take about 40 min for a minute of video, by a first guess; "
        "max_slowdown allows about 30 min; finest is not ready here; "
        "it takes about 2 min for a minute of video, by a first guess"
    )
    assert chosen(PREVIEW, lacking).reason(str.upper) == "chosen automatically: PREVIEW, since FINEST is not ready here"
    assert chosen(PREVIEW).reason() == "chosen automatically: preview, the best there is"


def test_no_pace_is_asked_of_what_lacks_something_or_needs_no_network() -> None:
    def nobody(_backend: str) -> Pace:
        raise AssertionError

    registry = BackendRegistry([PREVIEW, network("best", 30, "its weights are missing")])
    assert choose_backend(registry, RenderSettings(), nobody).backend == "preview"


def test_what_states_no_quality_is_taken_only_by_its_name() -> None:
    silent = network("silent", None)
    assert chosen(silent, PREVIEW).backend == "preview"
    named = chosen(silent, PREVIEW, backend="silent")
    assert (named.backend, named.automatic, named.reason()) == ("silent", False, "")
    with pytest.raises(BackendError, match="could be chosen automatically: name one of: silent"):
        chosen(silent)


def test_a_named_backend_stays_whatever_it_lacks_and_takes() -> None:
    lacking = network("finest", 40, "its weights are missing")
    assert chosen(PREVIEW, lacking, backend="finest", max_slowdown=0.1) == BackendChoice("finest")


def test_no_backend_can_be_called_auto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, SOURCE.replace("red-mouth", "auto"), "auto")
    [broken] = BackendRegistry().broken
    assert (broken.name, broken.why) == ("auto", "ValueError: that name says that one is to be chosen")


def test_those_built_in_are_ranked_with_the_preview_last() -> None:
    ranks = {backend.name: backend.quality for backend in BackendRegistry()}
    assert sorted(ranks, key=lambda name: -(ranks[name] or 0)) == [
        "latentsync-1.6",
        "latentsync-1.5",
        "musetalk-v15",
        "musetalk-v1",
        "preview",
    ]
