"""A live session over a plan, which hears as the plan's generator asks."""

from __future__ import annotations

from functools import partial

from musetalk.pipeline.prepare import RenderPlan
from musetalk.progress import RenderRun
from musetalk.settings import SpeechSettings
from musetalk.streaming.hearing import hear_voice
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.types import LiveOptions


def open_session(
    plan: RenderPlan, speech: SpeechSettings, options: LiveOptions | None, run: RenderRun
) -> StreamingSession:
    """Open a live session; whoever opens it closes it.

    Args:
        plan: See `StreamingSession`.
        speech: How networks hear the voice.
        options: How it speaks; None: as usual.
        run: See `StreamingSession`.

    Raises:
        BackendError: The backend cannot paint live.
    """
    options = options or LiveOptions()
    hear = partial(hear_voice, plan.components.encoder, speech, plan.source.fps, options)
    return StreamingSession(plan, hear, options, run)
