"""What of a Ray cluster can be said without one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from musetalk.batch.cluster.connection import connected
from musetalk.batch.cluster.pool import RayPool, Waiting, paths_of
from musetalk.batch.cluster.seats import Share, share_of, waits
from musetalk.batch.executor import Notice, PartsTask
from musetalk.batch.places import check_place
from musetalk.errors import BackendError, PackageError, SettingsError
from musetalk.settings import RenderSettings
from tests.helpers.batches import text_engine


@pytest.mark.parametrize(
    ("resources", "gpus", "share"),
    [
        ({"CPU": 16}, False, Share(4, 4, 0)),
        ({"CPU": 3, "memory": 1e9}, False, Share(1, 3, 0)),
        ({"CPU": 0}, False, Share(0, 0, 0)),
        ({}, False, Share(0, 0, 0)),
        ({"CPU": 16, "GPU": 2}, True, Share(2, 4, 1)),
        ({"CPU": 2, "GPU": 4}, True, Share(4, 0, 1)),
        ({"CPU": 64}, True, Share(0, 0, 0)),  # where others have GPUs
    ],
)
def test_a_machine_has_a_worker_a_gpu_or_else_for_some_cpus(
    resources: dict[str, float], gpus: bool, share: Share
) -> None:
    assert share_of(resources, 4, gpus=gpus) == share


@pytest.mark.parametrize(
    "on", ["local:3", "ray:auto", "ray://head:10001", "ray:auto?cpus=2", "ray://10.0.0.1:1?cpus=8&wait=30"]
)
def test_places_are_known(on: str) -> None:
    check_place(on)


@pytest.mark.parametrize(
    "on",
    [
        "local:",
        "ray",
        "ray:",
        "ray://",
        "ray:auto?cpus=0",
        "ray:auto?wait=",
        "ray:auto?wait=5&cpus=1&wait=6",
        "ray://head:1?gpus=2",
        "head:6379",
    ],
)
def test_what_is_no_place_is_refused(on: str) -> None:
    with pytest.raises(SettingsError, match="ray://HOST:PORT"):
        check_place(on)


def test_a_machine_has_to_have_inputs_and_the_folder_of_the_output() -> None:
    task = PartsTask("k", Path("/in/a.mp4"), Path("/in/b.wav"), Path("/out/c.mp4"), RenderSettings(), range(2))
    assert list(paths_of(task)) == ["/in/a.mp4", "/in/b.wav", "/out"]


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PackageError, match=r"Ray.* cannot be imported") as refused:
        RayPool(text_engine)
    assert 'pip install ".[cluster]"' in str(refused.value)


@pytest.mark.parametrize("given", [None, "120"])
def test_a_head_that_is_gone_is_asked_once_unless_told_otherwise(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = "RAY_gcs_server_port_wait_time_s"
    monkeypatch.delenv(tries, raising=False)
    if given:
        monkeypatch.setenv(tries, given)
    asked = []

    def init(*_: object, **__: object) -> None:
        asked.append(os.environ.get(tries))
        raise ConnectionError("nobody answers")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(BackendError, match=r"cannot be reached \(nobody answers\)"), connected("auto"):
        pass
    assert asked == [given or "1"]
    assert os.environ.get(tries) == given


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster of a head that gives nothing."""
    head = {"NodeID": "1", "Alive": True, "Resources": {"memory": 1e9}, "NodeManagerHostname": "head"}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=lambda: [head]))


@pytest.mark.usefixtures("bare")
def test_a_cluster_without_anything_for_workers_is_refused_at_once_or_waited_for() -> None:
    with pytest.raises(BackendError, match="no machine of the cluster has a CPU or a GPU") as refused:
        RayPool(text_engine)
    assert "?wait=MINUTES" in str(refused.value)
    with RayPool(text_engine, waiting=Waiting(at_first=True)) as pool:
        [told] = pool.events(0)
        assert isinstance(told, Notice)
        assert told.said.endswith("they are waited for")
        assert pool.workers == 1


def test_what_is_waited_for_is_named() -> None:
    assert waits(1, 6, ["b"], Share(2, 4, 1)) == (
        "1 of 6 workers waits for 1 GPU and 4 CPUs of b, which others of the cluster hold"
    )
    assert "2 workers wait for 1 CPU each of a, b, c and 1 other machine," in waits(2, 2, "dabc", Share(1, 1, 0))
