"""Let an avatar of a running app speak a sound file over WebRTC, and keep what is seen and heard.

    pip install ".[webrtc]"
    python -m examples.webrtc_client AVATAR VOICE OUT.mp4 --url http://127.0.0.1:7860/offer

VOICE is anything with sound, which is sent as slowly as it would be spoken. A page does the same: docs/live.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json

import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRecorder
from av import FFmpegError


async def converse(avatar: str, voice: MediaPlayer, out: str, url: str) -> bool:
    """Speak one voice, and stop when it was shown; return whether it was."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    recorder, ended, shown = MediaRecorder(out), asyncio.Event(), asyncio.Event()
    channel = connection.createDataChannel("messages")
    connection.addTrack(voice.audio)
    connection.addTransceiver("video", "recvonly")
    connection.on("track", recorder.addTrack)

    def hear(message: str) -> None:
        told = json.loads(message)
        print(told)  # noqa: T201 - what a client shows
        if told["type"] == "spoken":
            shown.set()
            channel.send(json.dumps({"type": "stop"}))

    channel.on("message", hear)
    channel.on("close", ended.set)
    await connection.setLocalDescription(await connection.createOffer())
    offer = {"type": "offer", "sdp": connection.localDescription.sdp, "avatar": avatar}
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await ask(client, url, offer)
    await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    await recorder.start()
    await ended.wait()
    await recorder.stop()
    await connection.close()
    return shown.is_set()


async def ask(client: httpx.AsyncClient, url: str, offer: dict[str, str]) -> dict[str, str]:
    """Return the server's answer to an offer."""
    try:
        response = await client.post(url, json=offer)
        answer: dict[str, str] = response.json()
    except httpx.HTTPError as error:
        raise SystemExit(f"{url} cannot be asked: {error}") from error
    except ValueError as error:
        raise SystemExit(f"{url} is no address of live speech: it answers {response.status_code}") from error
    if answer.get("type") != "answer":
        raise SystemExit(f"{answer.get('problem', response.status_code)}: {answer.get('remedy', answer)}")
    return answer


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar")
    parser.add_argument("voice")
    parser.add_argument("out")
    parser.add_argument("--url", default="http://127.0.0.1:7860/offer")
    given = parser.parse_args()
    try:
        voice = MediaPlayer(given.voice)
    except (OSError, FFmpegError) as error:
        raise SystemExit(f"{given.voice} cannot be played: {error}") from error
    if voice.audio is None:
        raise SystemExit(f"{given.voice} has no sound")
    raise SystemExit(0 if asyncio.run(converse(given.avatar, voice, given.out, given.url)) else 1)


if __name__ == "__main__":
    main()
