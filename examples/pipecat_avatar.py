"""A scripted agent in Pipecat whose avatar speaks a WAV file; what a caller would see and hear becomes an MP4.

    python -m examples.pipecat_avatar SOURCE VOICE.wav OUT.mp4

SOURCE is a video or a portrait, VOICE a WAV file of 16 bits. No account and no network: in place of speech recognition,
a language model and text-to-speech there is a script, in place of a transport a file. The agent speaks VOICE, begins to
repeat it, and is interrupted.

In an agent, `MuseTalkVideoService` stands in the same place: after the text-to-speech service, before
`transport.output()`. Needs the extra: pip install ".[pipecat]", Python 3.11 or later.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
import wave
from fractions import Fraction
from pathlib import Path

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from musetalk.avatars.bundle import Avatar
from musetalk.lipsync import LipSync
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.plugins.pipecat import MuseTalkVideoService
from musetalk.settings import RenderSettings


def main() -> None:
    """Read the command line, prepare the avatar, and let it speak."""
    parser = argparse.ArgumentParser(description="Let an avatar speak a WAV file in a Pipecat pipeline.")
    parser.add_argument("source", type=Path)
    parser.add_argument("voice", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--backend", default="preview", help="what paints the mouth (default: preview, no network)")
    args = parser.parse_args()
    engine = LipSync()
    with tempfile.TemporaryDirectory() as folder:
        settings = RenderSettings.parse({"backend": args.backend})
        avatar = engine.create_avatar(args.source, Path(folder) / "avatar", settings)
        asyncio.run(call(engine, avatar, args.voice, args.out, Path(folder)))


async def call(engine: LipSync, avatar: Avatar, voice: Path, out: Path, folder: Path) -> None:
    """Hold a call with the avatar."""
    with wave.open(str(voice)) as file:
        rate, channels, sound = file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())
    recorder = Recorder(avatar, out, rate, channels, folder)
    pipeline = Pipeline([MuseTalkVideoService(avatar, engine=engine), recorder])
    worker = PipelineWorker(pipeline, params=PipelineParams(audio_out_sample_rate=rate))
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), script(worker, recorder, sound, rate, channels))


async def script(worker: PipelineWorker, recorder: Recorder, sound: bytes, rate: int, channels: int) -> None:
    """Say and do what an agent would."""
    await recorder.ready.wait()
    for interrupted in (False, True):
        await asyncio.sleep(1)  # somebody else speaks
        recorder.silent.clear()
        await worker.queue_frame(TTSStartedFrame())
        piece = rate // 10 * 2 * channels
        for start in range(0, len(sound), piece):
            await worker.queue_frame(TTSAudioRawFrame(sound[start : start + piece], rate, channels))
        await worker.queue_frame(TTSStoppedFrame())
        if interrupted:
            await asyncio.sleep(2)
            await worker.queue_frame(InterruptionFrame())
            await asyncio.sleep(1)
        else:
            await recorder.silent.wait()
    await worker.queue_frame(EndFrame())


class Recorder(FrameProcessor):
    """Stands where a transport would, and writes pictures and sound to a file."""

    def __init__(self, avatar: Avatar, out: Path, rate: int, channels: int, folder: Path) -> None:
        super().__init__()
        facts = avatar.manifest.source
        self._size, self._fps = f"{facts.width}x{facts.height}", Fraction(facts.fps)
        self._out, self._pictures, self._voice = out, folder / "pictures.mp4", folder / "voice.wav"
        self._rate, self._channels = rate, channels
        self._sound, self._count = bytearray(), 0
        self._encoder: asyncio.subprocess.Process | None = None
        self.ready, self.silent = asyncio.Event(), asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep pictures and sound, and let all frames pass."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self._begin()
        elif isinstance(frame, OutputImageRawFrame):
            await self._show(frame.image)
        elif isinstance(frame, TTSAudioRawFrame):
            self._sound += frame.audio
        elif isinstance(frame, TTSStoppedFrame):
            self.silent.set()
        elif isinstance(frame, EndFrame):
            await self._finish()
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)
            self.ready.set()

    async def _begin(self) -> None:
        raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", self._size, "-r", str(self._fps), "-i", "-")
        encoded = ("-pix_fmt", "yuv420p", "-y", str(self._pictures))
        self._encoder = await asyncio.create_subprocess_exec(
            ffmpeg_executable(), "-v", "error", *raw, *encoded, stdin=subprocess.PIPE
        )

    async def _show(self, image: bytes) -> None:
        if self._encoder is not None and self._encoder.stdin is not None:
            self._encoder.stdin.write(image)
            await self._encoder.stdin.drain()
        silence = round(self._count / self._fps * self._rate) * 2 * self._channels - len(self._sound)
        self._sound += bytes(max(0, silence))  # where nobody speaks, pictures come alone
        self._count += 1

    async def _finish(self) -> None:
        if self._encoder is not None and self._encoder.stdin is not None:
            self._encoder.stdin.close()
            await self._encoder.wait()
        with wave.open(str(self._voice), "wb") as file:
            file.setnchannels(self._channels)
            file.setsampwidth(2)
            file.setframerate(self._rate)
            file.writeframes(self._sound)
        both = ("-i", str(self._pictures), "-i", str(self._voice), "-c:v", "copy", "-y", str(self._out))
        ended = await asyncio.create_subprocess_exec(ffmpeg_executable(), "-v", "error", *both)
        await ended.wait()


if __name__ == "__main__":
    main()
