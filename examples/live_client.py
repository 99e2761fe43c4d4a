"""Let an avatar of a running server speak a WAV file live, and keep what comes back.

    python -m examples.live_client AVATAR VOICE.wav OUT.mp4 --url ws://127.0.0.1:7860/live

VOICE is a WAV file of 16 bits, which is sent as slowly as it would be spoken; of several channels, the first. OUT is
what a browser would play. The protocol is told in docs/live.md. Where a server asks who one is, say it by --header: the
cookie of the app's login, or "Authorization: Bearer TOKEN".
"""

from __future__ import annotations

import argparse
import json
import threading
import time
import wave
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect

CHUNK_SECONDS = 0.08


def read_voice(path: Path) -> tuple[np.ndarray, int]:
    """Return a voice, int16 [n], and its samples a second."""
    try:
        with wave.open(str(path)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise SystemExit(f"{path} is no WAV file that can be read: {error}") from error
    if width != 2 or not data:
        raise SystemExit(f"{path} has {8 * width} bits a sample and {len(data)} bytes: give one of 16, with a voice")
    return np.frombuffer(data, "<i2").reshape(-1, channels)[:, 0], rate


def send_voice(socket: ClientConnection, pcm: np.ndarray, rate: int) -> None:
    """Send a voice, int16 [n], in chunks, each once its last sample would have been spoken."""
    began, size = time.monotonic(), round(CHUNK_SECONDS * rate)
    with suppress(ConnectionClosed):  # told where messages are received
        for start in range(0, len(pcm), size):
            chunk = pcm[start : start + size]
            time.sleep(max(0.0, began + (start + len(chunk)) / rate - time.monotonic()))
            socket.send(chunk.astype("<i2").tobytes())
        socket.send(json.dumps({"type": "flush"}))


def converse(socket: ClientConnection, avatar: str, pcm: np.ndarray, rate: int, out: Path) -> bool:
    """Speak one voice, int16 [n], and stop when it was shown; return whether it was."""
    shown, video = False, None
    with ExitStack() as stack:
        try:
            socket.send(json.dumps({"type": "start", "avatar": avatar, "rate": rate}))
            for message in socket:
                if isinstance(message, bytes):
                    if video is not None:
                        video.write(message)
                    continue
                told = json.loads(message)
                print(told)  # noqa: T201 - what a client shows
                if told["type"] == "video":  # which comes before the first bytes
                    video = stack.enter_context(out.open("wb"))
                    threading.Thread(target=send_voice, args=(socket, pcm, rate), daemon=True).start()
                elif told["type"] == "spoken":
                    shown = True
                    socket.send(json.dumps({"type": "stop"}))
        except ConnectionClosed as closed:
            print(closed.rcvd.reason if closed.rcvd else "the server is gone")  # noqa: T201
    return shown


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar")
    parser.add_argument("voice", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--url", default="ws://127.0.0.1:7860/live")
    parser.add_argument("--header", action="append", default=[], metavar='"NAME: VALUE"', help="sent with the request")
    given = parser.parse_args()
    pcm, rate = read_voice(given.voice)
    headers = [(name, value.strip()) for name, _, value in (each.partition(":") for each in given.header)]
    try:
        with connect(given.url, additional_headers=headers, max_size=None) as socket:
            shown = converse(socket, given.avatar, pcm, rate, given.out)
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise SystemExit(f"{given.url} cannot be spoken with: {error}") from error
    raise SystemExit(0 if shown else 1)


if __name__ == "__main__":
    main()
