"""A live session over a plan, which hears as the plan's generator asks."""

from __future__ import annotations

from functools import partial

from musetalk.audio.silero import load_silero
from musetalk.pipeline.prepare import RenderPlan
from musetalk.progress import RenderRun
from musetalk.settings import SilenceSettings, SpeechSettings
from musetalk.streaming.hearing import hear_voice
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveOptions


def open_session(
    plan: RenderPlan, speech: SpeechSettings, silence: SilenceSettings, options: LiveOptions | None, run: RenderRun
) -> StreamingSession:
    """Open a live session; whoever opens it closes it.

    Args:
        plan: See `StreamingSession`.
        speech: How networks hear the voice.
        silence: What the mouth does in pauses.
        options: How it speaks; None: as usual.
        run: See `StreamingSession`.

    Raises:
        BackendError: The backend cannot paint live, or what is to tell speech from noise is missing.
    """
    options = options or LiveOptions()
    if options.vad == "silero":
        load_silero()  # who lacks it is told before anything is said
    hear = partial(hear_voice, plan.components.encoder, speech, silence, plan.source.fps, options)
    return StreamingSession(plan, hear, options, run)
