"""A live session over a plan, which hears as the plan's generator asks, and shares that with others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from musetalk.audio.silero import load_silero
from musetalk.errors import SettingsError
from musetalk.pipeline.prepare import RenderPlan
from musetalk.progress import RenderRun
from musetalk.settings import SilenceSettings, SpeechSettings
from musetalk.streaming.hearing import hear_voice
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.shared_generators import SharedGenerators
from musetalk.streaming.types import LiveOptions


@contextmanager
def open_session(
    plan: RenderPlan,
    speech: SpeechSettings,
    silence: SilenceSettings,
    options: LiveOptions | None,
    run: RenderRun,
    generators: SharedGenerators,
) -> Iterator[StreamingSession]:
    """Open a live session, which ends with the `with` block.

    Args:
        plan: See `StreamingSession`.
        speech: How networks hear the voice.
        silence: What the mouth does in pauses.
        options: How it speaks; None: as usual.
        run: See `StreamingSession`.
        generators: What shares the plan's generator with other sessions.

    Raises:
        BackendError: The backend cannot paint live, or what is to tell speech from noise is missing.
        SettingsError: Phonemes are given, which live voices do not have.
    """
    if speech.phonemes is not None:
        raise SettingsError(
            "a voice that is spoken live has no phonemes yet", "leave the setting out", names=("speech.phonemes",)
        )
    options = options or LiveOptions()
    if options.vad == "silero":
        load_silero()  # who lacks it is told before anything is said
    hear = partial(hear_voice, plan.components.encoder, speech, silence, plan.source.fps, options)
    with generators.joined(plan.session.generator) as generator:
        shared = replace(plan, session=replace(plan.session, generator=generator))
        with StreamingSession(shared, hear, options, run) as session:
            yield session
