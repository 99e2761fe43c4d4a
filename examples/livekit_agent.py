"""A LiveKit agent with a face, in a room that is nowhere: no server, no account.

    python -m examples.livekit_agent SOURCE.mp4 VOICE.wav RESULT.mp4 --backend preview

The agent speaks VOICE, a WAV file of 16 bits, twice, and is interrupted in the second turn. RESULT shows what its
tracks carried. In a real room all is the same but for `Room`: docs/live_agents.md.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import cast

import imageio_ffmpeg
import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession

from musetalk.lipsync import LipSync
from musetalk.plugins.livekit import AvatarSession
from musetalk.settings import RenderSettings

RATE, FPS = 48_000, 25  # of the recording
SILENCE, INTERRUPTED_AFTER = 1.0, 1.5  # seconds


class Publication:
    """A track that everybody has subscribed to."""

    sid = "TR_here"

    def __init__(self, track: rtc.LocalAudioTrack | rtc.LocalVideoTrack) -> None:
        self.track, self.kind = track, track.kind

    async def wait_for_subscription(self) -> None:
        """Return at once."""


class Room(rtc.EventEmitter[str]):
    """A room, and its one participant, whose tracks are recorded."""

    name, identity = "nowhere", "agent"

    def __init__(self) -> None:
        super().__init__()
        self.local_participant = self
        self.remote_participants: dict[str, object] = {}
        self.track_publications: dict[str, Publication] = {}
        self.pictures: list[tuple[float, rtc.VideoFrame]] = []
        self.sound: list[tuple[float, bytes]] = []
        self.recording: list[asyncio.Task[None]] = []

    def isconnected(self) -> bool:
        """Whether it is open: always."""
        return True

    async def publish_track(
        self, track: rtc.LocalAudioTrack | rtc.LocalVideoTrack, _options: rtc.TrackPublishOptions
    ) -> Publication:
        """Record a track."""
        record = self._listen if isinstance(track, rtc.LocalAudioTrack) else self._watch
        self.recording.append(asyncio.create_task(record(track)))
        self.track_publications[track.name] = Publication(track)
        return self.track_publications[track.name]

    async def _listen(self, track: rtc.Track) -> None:
        async with aclosing(rtc.AudioStream.from_track(track=track, sample_rate=RATE, num_channels=1)) as stream:
            async for event in stream:
                self.sound.append((time.monotonic(), bytes(event.frame.data)))

    async def _watch(self, track: rtc.Track) -> None:
        async with aclosing(rtc.VideoStream.from_track(track=track, format=rtc.VideoBufferType.I420)) as stream:
            async for event in stream:
                self.pictures.append((time.monotonic(), event.frame))


def main() -> None:
    """Read the command line and let the agent speak."""
    parser = argparse.ArgumentParser(description="Let an agent of LiveKit speak with a face.")
    parser.add_argument("source", type=Path)
    parser.add_argument("voice", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--backend", default="auto")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        room = asyncio.run(converse(given.source, given.voice, given.backend, Path(folder)))
        write_recording(room, Path(folder), given.result)


async def converse(source: Path, voice: Path, backend: str, folder: Path) -> Room:
    """Let an agent speak twice; return its room."""
    engine, room, agent = LipSync(own_process=True), Room(), AgentSession()
    settings = RenderSettings.parse({"backend": backend})
    avatar = await asyncio.to_thread(engine.create_avatar, source, folder / "avatar", settings)
    face = AvatarSession(avatar, engine=engine)
    await face.start(agent, cast(rtc.Room, room))
    await agent.start(Agent(instructions="A scripted agent needs no language model."))
    if agent.output.audio is not None:
        agent.output.audio.on("playback_finished", lambda event: sys.stdout.write(f"{event}\n"))
    await asyncio.sleep(SILENCE)
    await agent.say("what the voice says", audio=spoken(voice))
    await asyncio.sleep(SILENCE)
    speech = agent.say("the same again", audio=spoken(voice))
    await asyncio.sleep(INTERRUPTED_AFTER)
    await speech.interrupt()
    await asyncio.sleep(SILENCE)
    await agent.aclose()
    await face.aclose()
    for task in room.recording:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return room


async def spoken(voice: Path) -> AsyncIterator[rtc.AudioFrame]:
    """Yield a WAV file in tenths of a second, as quickly as it is taken: as a voice service sends speech."""
    with wave.open(str(voice)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        while pcm := file.readframes(rate // 10):
            yield rtc.AudioFrame(pcm, rate, channels, len(pcm) // (2 * channels))


def write_recording(room: Room, folder: Path, result: Path) -> None:
    """Write what the tracks carried, each picture and sound at its time."""
    (began, first), last = room.pictures[0], room.pictures[-1][0]
    count = round((last - began) * FPS) + 1
    times = np.array([at for at, _ in room.pictures]) - began
    shown = np.searchsorted(times, np.arange(count) / FPS + 0.5 / FPS, side="right") - 1
    with (folder / "pictures.yuv").open("wb") as file:
        for number in shown:
            file.write(room.pictures[number][1].data)
    sound, end = np.zeros(round(count / FPS * RATE), np.int16), 0
    for at, heard in room.sound:
        pcm, place = np.frombuffer(heard, np.int16), round((at - began) * RATE)
        place = end if abs(place - end) < RATE // 20 else max(0, place)  # what follows closely follows on
        part = sound[place : place + len(pcm)]
        part[:] = pcm[: len(part)]
        end = place + len(pcm)
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    pictures = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{first.width}x{first.height}", "-r", str(FPS)]
    inputs = [*pictures, "-i", str(folder / "pictures.yuv"), "-i", str(folder / "sound.wav")]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *inputs, "-pix_fmt", "yuv420p", str(result)]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
