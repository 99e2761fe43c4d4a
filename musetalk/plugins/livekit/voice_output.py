"""`VoiceOutput`: where an agent's voice goes that an avatar of this process speaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from livekit import rtc
from livekit.agents.utils.aio import Chan
from livekit.agents.voice.avatar import AudioReceiver, AudioSegmentEnd
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from musetalk.plugins.livekit.generator import FaceGenerator


class VoiceOutput(AudioOutput, AudioReceiver):
    """An agent's `AudioOutput`, and the `AudioReceiver` of the `AvatarRunner` that plays it.

    Each segment that is captured is reported as finished once, whatever happens: when its sound was played, when it is
    interrupted, or when the avatar is gone. Reports follow what the generator showed. What the runner counts is left
    aside: it knows of one segment at a time, and of none that was interrupted before it was read.

    Args:
        generator: Speaks what is captured.
    """

    def __init__(self, generator: FaceGenerator) -> None:
        super().__init__(label="MuseTalk", capabilities=AudioOutputCapabilities(pause=False))
        self._generator = generator
        self._waiting = Chan[rtc.AudioFrame | AudioSegmentEnd]()
        self._unreported = 0
        self._capturing = self._over = False
        generator.on("playback_started", self._on_started)
        generator.on("playback_finished", self._report)
        generator.on("closed", self._on_closed)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Take more of what the agent says, as quickly as it comes."""
        await super().capture_frame(frame)
        if not self._capturing:
            self._capturing = True
            self._unreported += 1
        if not self._over:
            self._waiting.send_nowait(frame)

    def flush(self) -> None:
        """What was captured is whole."""
        super().flush()
        if self._capturing and not self._over:
            self._waiting.send_nowait(AudioSegmentEnd())
        self._capturing = False
        if self._over:
            self._report_rest()

    def clear_buffer(self) -> None:
        """Drop all that was captured and not yet heard; it is reported as interrupted."""
        while not self._waiting.empty():
            self._waiting.recv_nowait()
        self._generator.clear_buffer()
        self._report_rest()

    def notify_playback_started(self) -> None:
        """Take a runner's word for nothing: the generator tells."""

    def notify_playback_finished(self, playback_position: float, interrupted: bool) -> None:
        """Take a runner's word for nothing: the generator tells."""

    def __aiter__(self) -> AsyncIterator[rtc.AudioFrame | AudioSegmentEnd]:
        """Yield what is captured."""
        captured: AsyncIterator[rtc.AudioFrame | AudioSegmentEnd] = self._waiting
        return captured

    async def aclose(self) -> None:
        """Take nothing more; what is captured from now on is reported as interrupted."""
        self._on_closed(None)

    def _on_started(self) -> None:
        self.on_playback_started(created_at=time.time())

    def _on_closed(self, _error: BaseException | None) -> None:
        self._over = True
        self._waiting.close()
        self._report_rest()

    def _report_rest(self) -> None:
        """Report what the generator does not know of."""
        while self._unreported:
            self._report(0.0, interrupted=True)

    def _report(self, position: float, interrupted: bool) -> None:
        """Tell the agent, once whoever interrupts it is done with that."""
        if self._unreported:
            self._unreported -= 1
            asyncio.get_running_loop().call_soon(self._tell, position, interrupted)

    def _tell(self, position: float, interrupted: bool) -> None:
        self.on_playback_finished(playback_position=position, interrupted=interrupted)
