"""What machines ask of the app, and how it ends, through the server that users run."""

from __future__ import annotations

import json
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from musetalk.assets import PORTRAIT, SAMPLE, VOICE
from musetalk.utils.prometheus import CONTENT_TYPE
from tests.helpers.endpoints import connected
from tests.helpers.media import tone, write_wav
from tests.helpers.metrics import Metrics, read_metrics
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import BY_THE_APP, PACED, ROOT, Served, served
from tests.helpers.waiting import until

pytestmark = [pytest.mark.integration, BY_THE_APP]


def asked(server: Served, path: str) -> httpx.Response:
    return httpx.get(urljoin(server.address, path), timeout=HANG_SECONDS)


def scraped(server: Served) -> Metrics:
    answer = asked(server, "metrics")
    assert answer.headers["content-type"] == CONTENT_TYPE
    return read_metrics(answer.text)


def submit(client: Client, video: Path, voice: Path) -> dict[str, str]:
    files = {"video": handle_file(str(video)), "voice": handle_file(str(voice))}
    ticket: dict[str, str] = client.predict(**files, settings={"backend": "preview"}, api_name="/submit")
    return ticket


def state(client: Client, ticket: dict[str, str]) -> dict[str, Any]:
    told: dict[str, Any] = client.predict(**ticket, api_name="/status")[0]
    return told


def test_figures_add_up_through_the_jobs_of_a_program(open_app: Served, tmp_path: Path) -> None:
    assert asked(open_app, "healthz").text == "ok\n"
    assert asked(open_app, "readyz").json() == {"ready": True, "problems": {}}
    before = scraped(open_app)
    plain = tmp_path / "plain.wav"
    write_wav(plain, tone(0.4))
    with connected(open_app.address) as client:
        ticket = submit(client, PORTRAIT, plain)
        until(lambda: state(client, ticket)["state"] == "done")
    after = scraped(open_app)

    def more(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.samples[key] - before.samples.get(key, 0)

    assert more("musetalk_jobs_accepted_total", origin="submitted") == 1
    assert more("musetalk_jobs_ended_total", state="done") == 1
    assert more("musetalk_stage_seconds_count", stage="generate") == 1
    assert more("musetalk_frames_total", backend="preview", made="face") == 10
    assert after.value("musetalk_jobs_disk_bytes") > before.value("musetalk_jobs_disk_bytes")
    assert all(after.samples[key] >= before.samples[key] for key in before.samples if key[0].endswith("_total"))
    accepted, ended, now = (
        after.by(name, label)
        for name, label in (
            ("musetalk_jobs_accepted_total", "origin"),
            ("musetalk_jobs_ended_total", "state"),
            ("musetalk_jobs", "state"),
        )
    )
    assert sum(accepted.values()) == sum(ended.values()) + sum(now.values())


def test_the_docs_tell_of_every_figure_and_of_no_other(open_app: Served) -> None:
    found = scraped(open_app)
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ?([^|]*?) ?\|", (ROOT / "docs" / "service.md").read_text("utf-8"), re.M)
    assert {name: kind for name, kind, _ in rows} == found.kinds
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels in rows}
    for name, labels in found.samples:
        family = re.sub(r"_(bucket|sum|count)$", "", name) if name not in documented else name
        assert {label for label, _ in labels} - {"le"} == documented[family]


@pytest.mark.slow
def test_it_ends_in_order_and_loses_nothing(avatars_dir: Path, tmp_path: Path) -> None:
    folder, options = tmp_path / "jobs", ("--avatars-dir", str(avatars_dir), "--drain-seconds", "1000", "--log", "json")
    secret = tmp_path / "anna smith.mp4"
    secret.write_bytes(SAMPLE.read_bytes())
    long = write_wav(tmp_path / "long.wav", tone(150, rate=8_000), rate=8_000)  # which is paced for five minutes
    with served(folder, *options, module=PACED) as server, ExitStack() as asking:
        client = asking.enter_context(connected(server.address))
        running, waiting = (submit(client, secret, long) for _ in range(2))
        until(lambda: state(client, running)["state"] == "running")
        live = server.address.replace("http", "ws", 1).rstrip("/") + "/live"
        with connect(live, max_size=None, open_timeout=HANG_SECONDS) as socket:
            socket.send(json.dumps({"type": "start", "avatar": "anna", "max_height": 128}))
            told = {"type": ""}

            def heard(kind: str) -> None:
                while told["type"] != kind:
                    message = socket.recv(HANG_SECONDS)
                    told.update(json.loads(message) if isinstance(message, str) else {})

            heard("video")
            server.process.send_signal(signal.SIGTERM)
            heard("ending")
            assert asked(server, "healthz").status_code == 200
            answer = asked(server, "readyz")
            assert (answer.status_code, answer.json()["ready"], list(answer.json()["problems"])) == (
                503,
                False,
                ["jobs"],
            )
            with pytest.raises(AppError) as refused:
                submit(client, PORTRAIT, VOICE)
            assert refused.value.title == "draining"
            assert scraped(server).by("musetalk_jobs", "state") == {"running": 1, "waiting": 1}
            asking.close()
            server.process.send_signal(signal.SIGTERM)
            heard("error")
            with pytest.raises(ConnectionClosed):
                while True:
                    socket.recv(HANG_SECONDS)
        assert server.process.wait(HANG_SECONDS) == 0
    records = [json.loads((folder / job["job"] / "job.json").read_text()) for job in (running, waiting)]
    assert [record["state"] for record in records] == ["queued", "queued"]
    left = [path.name for path in tmp_path.rglob(".musetalk-*")]
    assert all(name.startswith(".musetalk-parts-") for name in left)  # with which the next start goes on
    lines = [json.loads(line) for line in server.log]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    events = [line["message"] for line in lines if line.get("job") == running["job"]]
    assert events[0] == "submitted"
    assert events[-1].startswith("stopped, and queued again")
    assert "anna smith" not in "".join(server.log)
