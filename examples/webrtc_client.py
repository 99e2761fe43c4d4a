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


async def converse(avatar: str, voice: str, out: str, url: str) -> None:
    """Speak one voice, and stop when it was shown."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    recorder, ended = MediaRecorder(out), asyncio.Event()
    channel = connection.createDataChannel("messages")
    connection.addTrack(MediaPlayer(voice).audio)
    connection.addTransceiver("video", "recvonly")
    connection.on("track", recorder.addTrack)

    def hear(message: str) -> None:
        told = json.loads(message)
        print(told)  # noqa: T201 - what a client shows
        if told["type"] == "spoken":
            channel.send(json.dumps({"type": "stop"}))

    channel.on("message", hear)
    channel.on("close", ended.set)
    await connection.setLocalDescription(await connection.createOffer())
    offer = {"type": "offer", "sdp": connection.localDescription.sdp, "avatar": avatar}
    async with httpx.AsyncClient(timeout=60) as client:
        answer = (await client.post(url, json=offer)).json()
    if answer["type"] == "error":
        raise SystemExit(f"{answer['problem']}: {answer['remedy']}")
    await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    await recorder.start()
    await ended.wait()
    await recorder.stop()
    await connection.close()


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar")
    parser.add_argument("voice")
    parser.add_argument("out")
    parser.add_argument("--url", default="http://127.0.0.1:7860/offer")
    given = parser.parse_args()
    asyncio.run(converse(given.avatar, given.voice, given.out, given.url))


if __name__ == "__main__":
    main()
