"""The app's endpoints, as programs see them: over HTTP, through the server that users run."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from musetalk.assets import SAMPLE, VOICE
from musetalk.utils.arrays import UInt8Array
from tests.helpers.endpoints import connected
from tests.helpers.media import decode, tone, write_video, write_wav
from tests.helpers.programs import HANG_SECONDS, nothing_started_stays
from tests.helpers.served import BY_THE_APP, Served

pytestmark = [pytest.mark.integration, BY_THE_APP]
ROOT = Path(__file__).parents[2]
DONE = ("done", "failed", "cancelled")


@pytest.fixture(scope="module")
def address(open_app: Served) -> str:
    return open_app.address


@pytest.fixture(scope="module")
def jobs_dir(open_app: Served) -> Path:
    return open_app.jobs_dir


@pytest.fixture(autouse=True)
def no_child_left(open_app: Served, request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing that a request starts outlives it."""
    yield from nothing_started_stays(open_app.process, request)


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    with connected(address) as client:
        yield client


def ask(client: Client, endpoint: str, video: Path, voice: Path, settings: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - as Gradio gives it
    return client.predict(
        video=handle_file(str(video)), voice=handle_file(str(voice)), settings=settings, api_name=endpoint
    )


def follow(client: Client, ticket: dict[str, str]) -> Any:  # noqa: ANN401
    while True:
        answer = client.predict(job=ticket["job"], key=ticket["key"], api_name="/status")
        if answer[0]["state"] in DONE:
            return answer
        threading.Event().wait(0.1)  # asking takes the time that the render needs


@contextmanager
def refused(kind: str) -> Iterator[None]:
    """Expect that the app refuses what is asked of it in the `with` block, and calls it an error of this kind."""
    with pytest.raises(AppError) as caught:
        yield
    assert caught.value.title == kind


@pytest.fixture(scope="module")
def still(small_portrait: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small portrait."""
    path = tmp_path_factory.mktemp("still") / "a.png"
    Image.fromarray(small_portrait).save(path)
    return path


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short voice: ten frames of it."""
    return write_wav(tmp_path_factory.mktemp("speech") / "speech.wav", tone(0.4))


def test_no_event_of_the_page_carries_besides_another_a_handler_that_has_to_wait_its_turn(address: str) -> None:
    """Gradio's page repeats the whole event for such a handler, and two of them wake each other without end."""
    page = httpx.get(f"{address}config", timeout=HANG_SECONDS).json()
    carried: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for handler in page["dependencies"]:
        for widget, event in handler["targets"]:
            if widget is not None:  # else it follows another handler, and is repeated alone
                carried.setdefault((widget, event), []).append(handler)
    waiting = [each for each in carried.values() if any(_waits(handler) for handler in each)]
    assert [[handler["api_name"] for handler in each] for each in waiting if len(each) > 1] == []
    in_turn = [handler for handler in page["dependencies"] if handler["trigger_after"] is not None and _waits(handler)]
    assert len(in_turn) > 5  # which this would else say nothing of


def _waits(handler: dict[str, Any]) -> bool:
    return bool(handler["backend_fn"]) and handler["trigger_mode"] == "always_last"


def test_the_readmes_example_works(
    address: str,
    small_portrait: UInt8Array,
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With less in the places of the sample's files."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (example,) = [block for block in blocks if "gradio_client" in block]
    assert "http://127.0.0.1:7860" in example
    assets = tmp_path / "musetalk" / "assets"
    assets.mkdir(parents=True)
    write_video(assets / SAMPLE.name, np.repeat(small_portrait[None], 6, axis=0))
    (assets / VOICE.name).write_bytes(speech.read_bytes())
    assert all(file.relative_to(ROOT).as_posix() in example for file in (SAMPLE, VOICE))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(example.replace("http://127.0.0.1:7860", address), names)  # noqa: S102 - it is our own example
    assert len(decode(Path(names["result"]))) == names["report"]["frames"] == 10
    assert str(names["report"]["face_frames"]) in capsys.readouterr().out


def test_render_gives_the_video_and_the_report(client: Client, still: Path, speech: Path) -> None:
    result, report = ask(client, "/render", still, speech, {"bbox_shift": 5, "face": "leftmost"})
    assert len(decode(Path(result))) == report["frames"] == 10
    assert report["settings"]["bbox_shift"] == 5
    assert report["output"] == "a_speech.mp4"
    assert report["settings"]["face"] == "leftmost"


def test_a_job_is_submitted_followed_and_fetched(client: Client, still: Path, speech: Path) -> None:
    ticket = ask(client, "/submit", still, speech)
    state, result, report = follow(client, ticket)
    assert state["state"] == "done"
    assert len(decode(Path(result))) == report["frames"]


def test_a_job_is_stopped(client: Client, sample: Path) -> None:
    ticket = ask(client, "/submit", sample, VOICE)
    client.predict(job=ticket["job"], key=ticket["key"], api_name="/stop")
    state, result, report = follow(client, ticket)
    assert state["state"] == "cancelled"
    assert result is None
    assert report is None


def test_jobs_of_others_are_refused(client: Client, still: Path, speech: Path) -> None:
    ticket = ask(client, "/submit", still, speech)
    for job, key in ((ticket["job"], "guess"), ("0" * 32, ticket["key"]), ("../" + ticket["job"], ticket["key"])):
        for endpoint in ("/status", "/stop"):
            with refused("no_job"):
                client.predict(job=job, key=key, api_name=endpoint)
    assert follow(client, ticket)[0]["state"] == "done"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bbox_shift": 999}, "bbox_shift"),
        ({"backend": "nope"}, "choose one of: preview"),
        ({"limits": {"max_seconds": 1e9}}, "cannot be set from outside"),
        ({"models_dir": "/"}, "cannot be set from outside"),
        ({"coords_dir": "/"}, "cannot be set from outside"),
        ({"debug_dir": "/"}, "debug_dir cannot be set from outside"),
        ({"enhance": {"model": "/etc/passwd"}}, "enhance.model is no enhancer's name"),
        ({"enhance": {"model": "../../other.pth"}}, "enhance.model is no enhancer's name"),
        ({"enhance": {"model": "other.pth"}}, "there is no enhancer gfpgan/other.pth among the models"),
        ({"network": {"device": "cpu"}}, "network.device cannot be set from outside"),
        ({"network": {"dtype": "fp32", "compile": True}}, "network.compile cannot be set from outside"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(
    client: Client, still: Path, speech: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(AppError, match=said):
        ask(client, "/render", still, speech, settings)


def test_the_rest_of_the_network_is_the_callers(client: Client, still: Path, speech: Path) -> None:
    asked = {"dtype": "fp32", "decoder": "tiny", "batch_size": 2, "seed": 7}
    _, report = ask(client, "/render", still, speech, {"network": asked})
    assert report["settings"]["network"] == {"device": "auto", "compile": False, **asked}


def test_caps_are_answered_before_any_work(
    client: Client, jobs_dir: Path, sample: Path, still: Path, speech: Path, tmp_path: Path
) -> None:
    before = {path.name for path in jobs_dir.iterdir()}
    long = write_wav(tmp_path / "long.wav", np.zeros(61 * 8000, np.float32), rate=8000)
    with refused("limit"):
        ask(client, "/render", still, long)
    large = tmp_path / "large.png"
    Image.new("L", (2000, 1000)).save(large)
    with refused("limit"):
        ask(client, "/render", large, speech)
    heavy = tmp_path / "heavy.mp4"
    heavy.write_bytes(sample.read_bytes() + bytes(3 * 2**20))
    with pytest.raises(ValueError, match=r"exceeds|size"):
        ask(client, "/render", heavy, speech)
    assert {path.name for path in jobs_dir.iterdir()} == before


def test_nothing_outside_the_jobs_is_served(
    address: str, jobs_dir: Path, client: Client, still: Path, speech: Path
) -> None:
    ticket = ask(client, "/submit", still, speech)
    follow(client, ticket)
    secret = jobs_dir.parent / "secret.txt"
    secret.write_text("secret")
    job = jobs_dir / ticket["job"]

    def status(path: str) -> int:
        return httpx.get(f"{address}gradio_api/file={path}", timeout=HANG_SECONDS).status_code

    assert status(str(job / "thumbnail.jpg")) == 200
    foreign = [
        str(secret),
        f"{job}/../../secret.txt",
        f"{job}/%2e%2e/%2e%2e/secret.txt",
        f"{jobs_dir}/..%2fsecret.txt",
        str(ROOT / "app.py"),
        "app.py",
        str(ROOT / "musetalk" / "lipsync.py"),
        "/etc/passwd",
        str(jobs_dir),
        str(job),
    ]
    assert {path: status(path) for path in foreign} == dict.fromkeys(foreign, 403)


def test_a_path_on_the_server_is_no_upload(address: str, jobs_dir: Path) -> None:
    secret = jobs_dir.parent / "secret.txt"
    secret.write_text("secret")
    file = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    asked = {"data": [file, file, None]}
    posted = httpx.post(f"{address}gradio_api/call/submit", json=asked, timeout=HANG_SECONDS)
    event = posted.json()["event_id"]
    answer = httpx.get(f"{address}gradio_api/call/submit/{event}", timeout=HANG_SECONDS).text
    assert "event: error" in answer
    assert "secret" not in json.dumps(answer.replace(str(secret), ""))


def test_with_logins_nothing_is_given_away_and_users_see_only_their_own(
    guarded_app: Served, still: Path, speech: Path
) -> None:
    address = guarded_app.address
    for path in ("config", "gradio_api/info", f"gradio_api/file={still}"):
        assert httpx.get(address + path, timeout=HANG_SECONDS).status_code == 401
    with (
        connected(address, auth=("ann", "one")) as ann,
        connected(address, auth=("bob", "two")) as bob,
    ):
        ticket = ask(ann, "/submit", still, speech)
        with refused("no_job"):
            bob.predict(job=ticket["job"], key=ticket["key"], api_name="/status")
        assert follow(ann, ticket)[0]["state"] == "done"
        thumbnail = f"gradio_api/file={guarded_app.jobs_dir / ticket['job'] / 'thumbnail.jpg'}"
        assert httpx.get(address + thumbnail, timeout=HANG_SECONDS).status_code == 401
