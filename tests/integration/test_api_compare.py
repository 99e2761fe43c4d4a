"""The endpoint that compares, as programs see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from musetalk.utils.arrays import UInt8Array
from tests.media import decode, tone, write_video, write_wav
from tests.programs import nothing_started_stays
from tests.served import Served, served

pytestmark = pytest.mark.integration
TOGETHER = "a_a_Draft_beside_musetalk-v15.mp4"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, bare_models: Path) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("api") / "jobs", "--models-dir", str(bare_models)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_child_left(server: Served, request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing that a request starts outlives it."""
    yield from nothing_started_stays(server.process, request)


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[Client]:
    client = Client(server.address, verbose=False)
    yield client
    client.close()


@pytest.fixture
def inputs(tmp_path: Path, small_portrait: UInt8Array) -> dict[str, Any]:
    video = write_video(tmp_path / "a.mp4", np.repeat(small_portrait[None], 6, axis=0))
    voice = write_wav(tmp_path / "a.wav", tone(0.24))
    return {
        "video": handle_file(str(video)),
        "voice": handle_file(str(voice)),
        "settings": {"detector": {"name": "haar"}},
    }


def test_the_videos_come_side_by_side_with_the_comparison(client: Client, inputs: dict[str, Any]) -> None:
    result, account = client.predict(**inputs, backends=["preview", "musetalk-v15"], api_name="/compare")
    assert Path(result).name == TOGETHER
    assert len(decode(Path(result))) == 6
    assert [part["backend"] for part in account["parts"]] == ["preview", "musetalk-v15"]
    assert [part["report"]["output"] for part in account["parts"]] == ["preview.mp4", "musetalk-v15.mp4"]


def test_a_comparison_is_watched_and_its_files_are_fetched(client: Client, inputs: dict[str, Any]) -> None:
    ticket = client.predict(**inputs, backends=["preview", "musetalk-v15"], api_name="/submit")
    while (answer := client.predict(**ticket, api_name="/status"))[0]["state"] not in ("done", "failed"):
        assert answer[1] is None
        threading.Event().wait(0.1)  # asking takes the time that the render needs
    state, result, account = answer
    assert (state["state"], state["failed"]) == ("done", [])
    assert Path(result).name == TOGETHER
    assert account["title"] == "a + a: Draft beside musetalk-v15"
    files = [Path(path).name for path in client.predict(**ticket, api_name="/files")]
    assert files == [TOGETHER, "preview.mp4", "musetalk-v15.mp4", "plots.png"]


@pytest.mark.parametrize(
    ("backends", "said"),
    [(["preview"], "two or more"), (["preview", "nobody"], 'no backend "nobody"'), (None, "a list of names")],
)
def test_what_cannot_be_compared_is_refused_in_words(
    client: Client, inputs: dict[str, Any], backends: list[str] | None, said: str
) -> None:
    with pytest.raises(AppError, match=said):
        client.predict(**inputs, backends=backends, api_name="/compare")
