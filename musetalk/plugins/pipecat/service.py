"""`MuseTalkVideoService`: the voice of an agent comes in, the same voice with the pictures of an avatar goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings

from musetalk.avatars.bundle import Avatar, open_avatar
from musetalk.errors import MuseTalkError, VoiceError
from musetalk.lipsync import LipSync
from musetalk.plugins.pipecat.held import HeldSpeech, sample_bytes
from musetalk.plugins.pipecat.player import AvatarPlayer
from musetalk.progress import CancelToken
from musetalk.settings import RenderSettings
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveFrame, LiveOptions

_MOST_HELD = 5.0  # seconds of sound that wait for their pictures here; what comes beyond that waits in Pipecat's queue


class MuseTalkVideoService(AIService):
    """Gives an agent's voice a face. Stands between the text-to-speech service and the transport's output.

    Each `OutputImageRawFrame` goes before the sound that it shows, in real time, and says `sync_with_audio`: a
    transport with `video_out_is_live` off shows it when that sound begins. Where nobody speaks, the source goes on
    moving. The sound that goes out is what came in, byte for byte; all other frames keep their place in it. Begins when
    the transport is ready, or with the first sound.

    If the avatar cannot be opened or fails, that is reported as an error of the service, and the voice goes on alone.

    Args:
        avatar: From `open_avatar` or `LipSync.create_avatar`, or the folder of one.
        engine: What paints; to be shared by all services of a program, so that networks are loaded once. None: its own.
        look: What it should look like, from `Avatar.settings_with`; None: the avatar's own settings.
        options: How it speaks; None: as usual. Its rate is the pipeline's.
        sync_with_audio: Whether transports are to show pictures with their sound; off for those with
            `video_out_is_live`, which show pictures as they come.
        **kwargs: Of Pipecat's services.
    """

    def __init__(
        self,
        avatar: Avatar | Path | str,
        *,
        engine: LipSync | None = None,
        look: RenderSettings | None = None,
        options: LiveOptions | None = None,
        sync_with_audio: bool = True,
        **kwargs: Any,  # noqa: ANN401 - Pipecat's own
    ) -> None:
        super().__init__(settings=ServiceSettings(model=None), **kwargs)
        self._avatar, self._look, self._options = avatar, look, options or LiveOptions()
        self._engine = engine or LipSync()
        self._sync_with_audio = sync_with_audio
        self._player: AvatarPlayer | None = None
        self._held: HeldSpeech | None = None  # None: frames go on without pictures
        self._order = asyncio.Lock()  # what goes downstream goes as a whole
        self._room, self._at_rest = asyncio.Event(), asyncio.Event()
        self._at_rest.set()
        self._room.set()

    def can_generate_metrics(self) -> bool:
        """Whether it measures itself: the time from the first sound of a voice to the first picture that speaks it."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Open the avatar, while the pipeline is set up."""
        await super().setup(setup)
        self._player = AvatarPlayer(partial(self._open, setup.audio_out_sample_rate), self._show, self._failed)
        try:
            self._held = HeldSpeech(await self._player.open())
        except Exception as error:  # noqa: BLE001 - whatever it is, the agent still has its voice
            await self._failed(error)

    async def stop(self, frame: EndFrame) -> None:
        """Speak to the end, close the mouth, and free everything."""
        await super().stop(frame)
        await self._flush()
        await self._at_rest.wait()
        await self._close()

    async def cancel(self, frame: CancelFrame) -> None:
        """Free everything at once."""
        await super().cancel(frame)
        await self._close()

    async def cleanup(self) -> None:
        """Free everything, whatever has happened."""
        await super().cleanup()
        await self._close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speak sound, obey interruptions, and let everything else pass in its place."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            await self._interrupt(frame, direction)
        elif direction is FrameDirection.UPSTREAM or isinstance(frame, SystemFrame | EndFrame):
            if isinstance(frame, OutputTransportReadyFrame) and self._player is not None:
                self._player.play()
            await self.push_frame(frame, direction)
        elif isinstance(frame, TTSAudioRawFrame) and len(frame.audio) >= sample_bytes(frame):
            await self._room.wait()
            await self._speak(frame)
        else:
            if isinstance(frame, TTSStartedFrame | TTSStoppedFrame):
                await self._flush()
            await self._hand_on(frame)

    @contextmanager
    def _open(self, rate: int, cancel: CancelToken) -> Iterator[StreamingSession]:
        avatar = self._avatar if isinstance(self._avatar, Avatar) else open_avatar(Path(self._avatar), cancel)
        options = replace(self._options, rate=rate)
        with self._engine.live(avatar, self._look, options, cancel=cancel) as session:
            yield session

    async def _speak(self, frame: TTSAudioRawFrame) -> None:
        """Let the avatar speak sound; it goes on with its pictures."""
        player = self._player
        if self._held is None or player is None:
            await self._hand_on(frame)
            return
        if self._at_rest.is_set():
            await self.start_ttfb_metrics()
        held = self._held.add(frame, speech=True)
        self._at_rest.clear()
        self._note_room()
        player.play()
        try:
            held.voice = await player.push(_samples(frame), frame.sample_rate)
        except MuseTalkError as error:
            held.speech = False  # it keeps its place, without pictures of its own
            if isinstance(error, VoiceError):
                await self.push_error(str(error), exception=error)  # else the player tells of it

    async def _flush(self) -> None:
        """End the voice that is spoken."""
        if self._held is not None and self._player is not None:
            with suppress(MuseTalkError):  # the player tells of it
                await self._player.flush()

    async def _hand_on(self, frame: Frame) -> None:
        """Let a frame follow the sound before it."""
        async with self._order:
            if self._held:
                self._held.add(frame)
            else:
                await self.push_frame(frame)

    async def _interrupt(self, frame: Frame, direction: FrameDirection) -> None:
        """Drop all speech but what must not be interrupted: that goes on, after a pause if other speech was dropped."""
        async with self._order:
            player, held = self._player, self._held
            if player is None or held is None or held.interrupt():
                await self.push_frame(frame, direction)
                return
            kept = held.begin_anew()
            # Asked for before anything else can be, so that sound which comes from now on is pushed after it.
            sounds = [each.frame for each in kept if isinstance(each.frame, TTSAudioRawFrame)]
            numbers = player.interrupt([(_samples(sound), sound.sample_rate) for sound in sounds])
            await self.push_frame(frame, direction)
            with suppress(MuseTalkError):  # the player tells of it
                for each, number in zip(kept, await numbers, strict=True):
                    each.voice = number
            self._note_room()

    async def _show(self, frame: LiveFrame, pixels: bytes) -> None:
        """Send a picture, and the sound that it shows."""
        image = OutputImageRawFrame(pixels, frame.picture.size, "RGB")
        image.sync_with_audio = self._sync_with_audio
        async with self._order:
            if self._held is None:
                return
            if frame.utterance is None:
                before, after = self._held.ended(), []
            else:
                before, after = [], self._held.spoken(frame.utterance)
                await self.stop_ttfb_metrics()
            for each in (*before, image, *after):
                await self.push_frame(each)
            if frame.picture is frame.source and not self._held:
                self._at_rest.set()
            self._note_room()

    async def _failed(self, error: Exception) -> None:
        """Say that there are no pictures any more; what was held goes on without."""
        await self.push_error(f"the avatar: {error}", exception=error, force_treat_as_permanent=True)
        async with self._order:
            held, self._held = self._held, None
            for each in [] if held is None else held.drain():
                await self.push_frame(each)
        self._at_rest.set()
        self._room.set()

    def _note_room(self) -> None:
        if self._held is not None and self._held.seconds >= _MOST_HELD:
            self._room.clear()
        else:
            self._room.set()

    async def _close(self) -> None:
        self._held = None
        self._at_rest.set()
        self._room.set()
        if self._player is not None:
            await self._player.close()


def _samples(frame: TTSAudioRawFrame) -> npt.NDArray[np.int16]:
    """Return the sound of a frame: int16 [n, channels]."""
    whole = len(frame.audio) // sample_bytes(frame) * sample_bytes(frame)
    return np.frombuffer(frame.audio[:whole], np.int16).reshape(-1, max(1, frame.num_channels))
