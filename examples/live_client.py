"""Let an avatar of a running app speak a WAV file live, and keep what comes back.

    python -m examples.live_client AVATAR VOICE.wav OUT.mp4 --url ws://127.0.0.1:7860/live

VOICE is a WAV file of 16 bits, which is sent as slowly as it would be spoken. OUT is what a browser would play. The
protocol is told in docs/live.md; with a login, add the header of its cookie.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
import wave
from pathlib import Path

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

CHUNK_SECONDS = 0.08


def send_voice(socket: ClientConnection, pcm: np.ndarray, rate: int) -> None:
    """Send a voice, int16 [n], in chunks, each once its last sample would have been spoken."""
    began, size = time.monotonic(), round(CHUNK_SECONDS * rate)
    for start in range(0, len(pcm), size):
        chunk = pcm[start : start + size]
        time.sleep(max(0.0, began + (start + len(chunk)) / rate - time.monotonic()))
        socket.send(chunk.astype("<i2").tobytes())
    socket.send(json.dumps({"type": "flush"}))


def main() -> None:
    """Speak one voice, and stop when it was shown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar")
    parser.add_argument("voice", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--url", default="ws://127.0.0.1:7860/live")
    given = parser.parse_args()
    with wave.open(str(given.voice)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, channels)[:, 0]
    with connect(given.url, max_size=None) as socket, given.out.open("wb") as video:
        socket.send(json.dumps({"type": "start", "avatar": given.avatar, "rate": rate}))
        sender = threading.Thread(target=send_voice, args=(socket, pcm, rate), daemon=True)
        try:
            for message in socket:
                if isinstance(message, bytes):
                    video.write(message)
                    continue
                told = json.loads(message)
                print(told)  # noqa: T201 - what a client shows
                if told["type"] == "video":
                    sender.start()
                elif told["type"] == "spoken":
                    socket.send(json.dumps({"type": "stop"}))
        except ConnectionClosed as closed:
            print(closed.rcvd.reason if closed.rcvd else "the server is gone")  # noqa: T201


if __name__ == "__main__":
    main()
