"""The endpoints with networks behind them, as programs see them: renders, whose results they are, comparisons."""

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
from tests.helpers.endpoints import connected
from tests.helpers.film import FACE, FILM
from tests.helpers.media import decode, tone, write_video, write_wav
from tests.helpers.programs import nothing_started_stays
from tests.helpers.served import BY_THE_APP, Served

pytestmark = [pytest.mark.integration, BY_THE_APP]
TOGETHER = "a_a_Draft_beside_musetalk-v15.mp4"
QUICK = {"detector": {"name": "haar"}, "latentsync": {"steps": 1, "guidance": 1.0}}


@pytest.fixture(autouse=True)
def no_child_left(open_app: Served, request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing that a request starts outlives it."""
    yield from nothing_started_stays(open_app.process, request)


@pytest.fixture(scope="module")
def client(open_app: Served) -> Iterator[Client]:
    with connected(open_app.address) as client:
        yield client


def rendered(client: Client, film: Path, words: Path, backend: str) -> tuple[Path, dict[str, Any]]:
    result, report = client.predict(
        video=handle_file(film), voice=handle_file(words), settings={**QUICK, "backend": backend}, api_name="/render"
    )
    return Path(result["video"] if isinstance(result, dict) else result), report


def test_latentsync_renders_and_the_report_counts(client: Client, film: Path, words: Path) -> None:
    path, report = rendered(client, film, words, "latentsync-1.5")
    assert (report["backend"], report["frames"]) == ("latentsync-1.5", FILM)
    assert (report["face_frames"], report["passthrough_frames"]) == (len(FACE), FILM - len(FACE))
    assert (report["fallback_frames"], report["fallbacks"]) == (0, [])
    assert not any("painted" in warning for warning in report["warnings"])
    changed = np.abs(decode(path).astype(int) - decode(film)).mean(axis=(1, 2, 3))
    assert (changed[FACE.start : FACE.stop] > 0.5).all()
    assert (np.delete(changed, FACE) < 0.5).all()


def test_without_its_weights_the_result_is_musetalks_and_says_so_in_one_line(
    client: Client, film: Path, words: Path
) -> None:
    path, report = rendered(client, film, words, "latentsync-1.6")
    assert report["fallback_frames"] == report["face_frames"] == len(FACE)
    [fallback] = report["fallbacks"]
    assert (fallback["start"], fallback["stop"], fallback["backend"]) == (FACE.start, FACE.stop, "musetalk-v15")
    assert "latentsync_unet.pt" in fallback["reason"]
    [said] = [warning for warning in report["warnings"] if "latentsync" in warning]
    assert said.startswith("this result is musetalk-v15's: latentsync-1.6 painted nothing of it (")
    assert "\n" not in said
    assert len(decode(path)) == FILM


def test_musetalk_1_takes_its_networks_settings(client: Client, inputs: dict[str, Any]) -> None:
    asked = {"backend": "musetalk-v1", "network": {"batch_size": 2}}
    result, report = client.predict(**{**inputs, "settings": {**QUICK, **asked}}, api_name="/render")
    assert len(decode(Path(result["video"] if isinstance(result, dict) else result))) == 6
    assert (report["backend"], report["face_frames"]) == ("musetalk-v1", 6)
    assert (report["settings"]["network"]["batch_size"], report["settings"]["network"]["device"]) == (2, "auto")


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
