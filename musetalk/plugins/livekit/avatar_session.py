"""`AvatarSession`: gives an agent of LiveKit a face."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from fractions import Fraction
from typing import Any, Literal

from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.voice.avatar import AvatarOptions, AvatarRunner
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession
from livekit.agents.voice.events import ErrorEvent

from musetalk.avatars.bundle import Avatar
from musetalk.lipsync import LipSync
from musetalk.plugins.live_thread import live_in_thread
from musetalk.plugins.livekit.generator import FaceGenerator
from musetalk.plugins.livekit.voice_output import VoiceOutput
from musetalk.settings import RenderSettings
from musetalk.streaming.types import LiveOptions

RATE = 48_000  # samples a second, as video calls carry them
_QUEUE_MS = 200  # most that LiveKit's queues hold: more than the generator's sound ahead

_log = logging.getLogger(__name__)


class AvatarSession(BaseAvatarSession[Literal["failed"]]):
    """An avatar that shows its face in the room of an agent, and speaks the agent's voice.

    It works in the agent's process and publishes its picture and sound as the agent's own tracks. So the agent's
    session is to publish no sound: `RoomOptions(audio_output=False)`.

    Events:
        failed(error): The avatar can show nothing more. The agent's session is told, too, by its event `error`. What
            the agent says from then on counts as interrupted at once.

    Args:
        avatar: From `LipSync.create_avatar` or `open_avatar`.
        engine: What renders; share one between sessions, so that networks are loaded once. None: one of its own.
        settings: What it should look like, from `Avatar.settings_with`; None: its own.
        options: Rate of the sound, look-ahead, limits; None: as usual, with sound at 48 kHz.
    """

    _room: rtc.Room | None

    def __init__(
        self,
        avatar: Avatar,
        *,
        engine: LipSync | None = None,
        settings: RenderSettings | None = None,
        options: LiveOptions | None = None,
    ) -> None:
        super().__init__()
        self._avatar, self._engine, self._settings = avatar, engine or LipSync(), settings
        self._options = options or LiveOptions(rate=RATE)
        self._opened = AsyncExitStack()
        self._generator: FaceGenerator | None = None

    @property
    def avatar_identity(self) -> str:
        """The participant who shows it: the agent."""
        if self._room is None:
            raise RuntimeError("start comes first")
        return str(self._room.local_participant.identity)

    @property
    def provider(self) -> str:
        """What makes the picture."""
        return "musetalk"

    @property
    def generator(self) -> FaceGenerator | None:
        """What speaks, once it was started."""
        return self._generator

    async def start(self, agent_session: AgentSession[Any], room: rtc.Room) -> None:
        """Load the avatar, and let the agent's voice go to it; call it before the agent's session is started.

        Raises:
            MuseTalkError: It cannot speak live; the subclass and the text say why and what to do.
        """
        await super().start(agent_session, room)
        try:
            await self._show(agent_session, room)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Show nothing more, and give back all that it held. May be called twice."""
        if self._generator is not None:
            self._generator.close()
        await self._opened.aclose()
        if self._room is not None:  # whom the base would remove from the room is the agent itself
            self._room.off("connection_state_changed", self._on_connection_state_changed)
            self._room = None
        await super().aclose()

    async def _show(self, agent_session: AgentSession[Any], room: rtc.Room) -> None:
        facts = self._avatar.manifest.source
        session = await self._opened.enter_async_context(
            live_in_thread(lambda cancel: self._engine.live(self._avatar, self._settings, self._options, cancel=cancel))
        )
        self._generator = generator = FaceGenerator(session)
        generator.on("closed", self._on_closed)
        output = VoiceOutput(generator)
        options = AvatarOptions(facts.width, facts.height, float(Fraction(facts.fps)), self._options.rate, 1)
        runner = AvatarRunner(room, audio_recv=output, video_gen=generator, options=options, _queue_size_ms=_QUEUE_MS)
        self._opened.push_async_callback(runner.aclose)
        generator.av_sync = runner.av_sync
        await runner.start()
        watching = asyncio.create_task(_watch(runner, generator))
        self._opened.callback(watching.cancel)
        agent_session.output.replace_audio_tail(output)

    def _on_closed(self, error: BaseException | None) -> None:
        if error is None:
            return
        _log.error("the avatar %s shows nothing more: %s", self._avatar.name, error)
        self.emit("failed", error)
        if self._agent_session is not None:
            self._agent_session.emit("error", ErrorEvent(error=error, source=self))


async def _watch(runner: AvatarRunner, generator: FaceGenerator) -> None:
    """Close the generator when the runner ends by itself: nobody would play what it makes."""
    try:
        await runner.wait_for_complete()
    except Exception as error:  # noqa: BLE001 - told by the generator
        generator.close(error)
    else:
        generator.close()
