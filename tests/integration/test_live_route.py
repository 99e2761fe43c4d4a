"""Live speech over the app's WebSocket, through the server that users run."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from musetalk.assets import VOICE
from tests.helpers.media import decode, decode_sound, tone, write_wav
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.served import BY_THE_APP, ROOT, Served, served

pytestmark = [pytest.mark.integration, BY_THE_APP]
START = json.dumps({"type": "start", "avatar": "anna", "max_height": 128})


@pytest.fixture(scope="module")
def server(guarded_app: Served) -> Served:
    return guarded_app


@pytest.fixture(scope="module")
def cookie(server: Served) -> str:
    who = {"username": "ann", "password": "one"}
    answer = httpx.post(f"{server.address.rstrip('/')}/login", data=who, timeout=HANG_SECONDS)
    return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


def asked(url: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(url, headers=headers, timeout=HANG_SECONDS)


def opened(server: Served, **headers: str) -> ClientConnection:
    url = server.address.replace("http", "ws", 1).rstrip("/") + "/live"
    return connect(url, additional_headers=headers, max_size=None, open_timeout=HANG_SECONDS)


def told_of(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        message = socket.recv(HANG_SECONDS)
        if isinstance(message, str) and (told := json.loads(message))["type"] == kind:
            return dict(told)


def test_who_has_not_logged_in_may_not_speak(server: Served) -> None:
    with opened(server) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(HANG_SECONDS)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "log in first")


def test_the_example_is_told_to_log_in(server: Served, tmp_path: Path) -> None:
    url = server.address.replace("http", "ws", 1).rstrip("/") + "/live"
    command = [sys.executable, str(ROOT / "examples" / "live_client.py"), "anna", str(VOICE), str(tmp_path / "out.mp4")]
    done = subprocess.run([*command, "--url", url], timeout=HANG_SECONDS, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "log in first\n", "")


def test_pages_of_other_sites_may_not_speak(server: Served, cookie: str) -> None:
    stranger = opened(server, Cookie=cookie, Origin="https://elsewhere.example")
    with stranger as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(HANG_SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_voice_is_spoken_in_sessions_one_after_the_other(server: Served, cookie: str, tmp_path: Path) -> None:
    headers = {"Cookie": cookie, "Origin": server.address.rstrip("/")}
    with opened(server, **headers) as socket, ExitStack() as later:
        socket.send(START)
        assert told_of(socket, "video")["height"] <= 128
        second = later.enter_context(opened(server, **headers))  # only now: it has ten seconds to say whom it wants
        second.send(START)
        assert told_of(second, "waiting")["before"] == 0
        socket.send((tone(0.5) * 20_000).astype("<i2").tobytes())
        socket.send('{"type": "flush"}')
        speaking, spoken = told_of(socket, "speaking"), told_of(socket, "spoken")
        assert spoken["time"] - speaking["time"] == pytest.approx(0.5, abs=0.021)
        socket.close()
        assert told_of(second, "video")["width"] > 0
        second.send('{"type": "stop"}')
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                second.recv(HANG_SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000


def test_hls_is_played_while_its_session_lasts(server: Served, cookie: str, tmp_path: Path) -> None:
    headers, out = {"Cookie": cookie}, tmp_path / "out.mp4"
    with opened(server, **headers) as socket, ExitStack() as later:
        socket.send(json.dumps({**json.loads(START), "video": "hls"}))
        for _ in range(3):  # it still speaks when a busy machine comes to play it
            socket.send((tone(20.0) * 20_000).astype("<i2").tobytes())
        video = told_of(socket, "video")
        url = urljoin(server.address, video["address"])
        assert video["mime"] == (listed := asked(url, headers)).headers["content-type"]
        assert listed.headers["cache-control"] == "no-store"
        login = ["-headers", f"Cookie: {cookie}\r\n"]
        ffmpeg = [get_ffmpeg_exe(), "-v", "error", *login, "-live_start_index", "0", "-i", url, "-t", "2.4", str(out)]
        subprocess.run(ffmpeg, timeout=HANG_SECONDS, check=True)
        assert len(decode(out)) >= 55
        assert np.abs(decode_sound(out)[-8000:]).max() > 0.1
        elsewhere = {**headers, "Origin": "https://elsewhere.example"}
        cases = [({}, url), (elsewhere, url), (headers, urljoin(url, "99.m4s"))]
        assert [asked(place, sent).status_code for sent, place in cases] == [401, 403, 404]
        second = later.enter_context(opened(server, **headers))
        second.send(START)
        told_of(second, "waiting")
        socket.close()
        told_of(second, "video")  # which takes its place
        assert asked(url, headers).status_code == 404


def test_the_example_keeps_a_video_and_a_server_that_ends_ends_its_sessions(avatars_dir: Path, tmp_path: Path) -> None:
    voice, out = write_wav(tmp_path / "voice.wav", tone(0.6)), tmp_path / "out.mp4"
    with ExitStack() as stack:
        with served(tmp_path / "jobs", "--avatars-dir", str(avatars_dir)) as server:
            url = server.address.replace("http", "ws", 1).rstrip("/") + "/live"
            command = [sys.executable, str(ROOT / "examples" / "live_client.py"), "anna", str(voice), str(out)]
            done = subprocess.run(
                [*command, "--url", url], timeout=HANG_SECONDS, check=True, stdout=subprocess.PIPE, text=True
            )
            socket = stack.enter_context(opened(server))
            socket.send(START)
            told_of(socket, "video")
            children = server.process.children(recursive=True)
            assert children
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(HANG_SECONDS)
    assert not any(child.is_running() for child in children)
    assert "'spoken'" in done.stdout
    frames = decode(out)
    assert len(frames) >= 15
    assert np.abs(frames[-1].astype(int) - frames[0]).max() > 0
