"""The app whose jobs are rendered by workers, through the server that users run."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import httpx
import psutil
import pytest
from gradio_client import handle_file
from PIL import Image

from musetalk.errors import BackendError, PackageError
from musetalk.utils.arrays import UInt8Array
from musetalk.webui.options import ServerOptions
from musetalk.webui.server import running
from tests.helpers.command import musetalk
from tests.helpers.endpoints import connected
from tests.helpers.media import tone, write_wav
from tests.helpers.metrics import read_metrics
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import Served, served
from tests.helpers.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def figures(server: Served, name: str) -> dict[str, float]:
    answer = httpx.get(urljoin(server.address, "metrics"), timeout=HANG_SECONDS)
    return read_metrics(answer.text).by(name, "state")


def workers_of(server: Served) -> list[psutil.Process]:
    return [child for child in server.process.children() if "musetalk.batch.worker" in child.cmdline()]


def test_jobs_survive_their_workers_and_stop_one_by_one(small_portrait: UInt8Array, tmp_path: Path) -> None:
    face, voice = tmp_path / "face.png", tmp_path / "a.wav"
    Image.fromarray(small_portrait).resize((96, 128)).save(face)
    write_wav(voice, tone(0.4))
    files = {"video": handle_file(str(face)), "voice": handle_file(str(voice))}

    def state(ticket: dict[str, str]) -> str:
        told: dict[str, Any] = client.predict(**ticket, api_name="/status")[0]
        return str(told["state"])

    def ready() -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(urljoin(server.address, "readyz"), timeout=HANG_SECONDS).json()
        return told

    with served(tmp_path / "jobs", "--workers", "local:2", "--log", "json") as server, ExitStack() as asking:
        until(lambda: figures(server, "musetalk_workers") == {"idle": 2, "busy": 0})
        assert ready() == {"ready": True, "problems": {}}
        workers = workers_of(server)
        for worker in workers:
            worker.suspend()
        client = asking.enter_context(connected(server.address))
        settings = {"backend": "preview", "encoder": {"preset": "ultrafast"}}
        first, second, third = (client.predict(**files, settings=settings, api_name="/submit") for _ in range(3))
        until(lambda: figures(server, "musetalk_workers") == {"idle": 0, "busy": 2})
        assert figures(server, "musetalk_jobs") == {"running": 2, "waiting": 1}
        client.predict(**first, api_name="/stop")
        for worker in workers:
            worker.kill()
        until(lambda: not any(state(each) in ("queued", "running") for each in (first, second, third)))
        assert [state(each) for each in (first, second, third)] == ["cancelled", "done", "done"]
        until(lambda: figures(server, "musetalk_workers") == {"idle": 2, "busy": 0})
        asking.close()
        for worker in workers_of(server):
            worker.terminate()  # which they leave to the server
        assert ready()["ready"]
    assert all(line.startswith('{"time": ') for line in server.log)
    assert sum("worker" in line and "another one takes its place" in line for line in server.log) == 2
    assert sum("renders are made by 2 workers on this machine" in line for line in server.log) == 1


def test_a_place_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    code, _, said = musetalk("app", "--workers", "gpu-3", "--jobs-dir", tmp_path / "jobs")
    assert code == 2
    assert '"gpu-3" is no place to render on: give local:N' in said
    assert not (tmp_path / "jobs").exists()


def nobody_answers(*_: object, **__: object) -> None:
    raise ConnectionError("nobody answers")


@pytest.mark.parametrize(
    ("ray", "refused", "said"),
    [
        (None, PackageError, "Ray.* cannot be imported"),
        (SimpleNamespace(init=nobody_answers), BackendError, r"cluster auto cannot be reached \(nobody answers\)"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_refused_before_anything_is_served(
    ray: object, refused: type[BackendError], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", ray)
    options = ServerOptions(workers="ray:auto", jobs_dir=tmp_path / "jobs")
    with pytest.raises(refused, match=said), running(options):
        pass
    assert not (tmp_path / "jobs").exists()
