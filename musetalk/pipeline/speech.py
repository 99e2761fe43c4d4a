"""From a voice to what drives the faces: its envelope always, and Whisper features where the generator hears them."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from pathlib import Path

from musetalk.audio.envelope import EnvelopeTrack, measure_envelope
from musetalk.audio.feature_store import FeatureFile
from musetalk.audio.features import measure_features
from musetalk.audio.silence import silence_samples, silent_samples
from musetalk.audio.track import SpeechTrack
from musetalk.audio.types import SAMPLES_PER_STEP, STEPS_PER_SECOND, AudioFeatureSpec
from musetalk.audio.windows import FeatureTrack
from musetalk.media.sound.voice import SPEECH_RATE, Voice, read_excerpt, read_speech
from musetalk.pipeline.components import Components
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import SilenceSettings, SpeechSettings

_EXCERPT_BEFORE, _EXCERPT_SECONDS = 20, 30  # one window of Whisper's, most of it before the frame


def extract_features(
    voice: Voice,
    components: Components,
    settings: SpeechSettings,
    fps: Fraction,
    frame_count: int,
    *,
    folder: Path,
    run: RenderRun,
    silence: SilenceSettings | None = None,
) -> tuple[SpeechTrack, EnvelopeTrack]:
    """Measure a whole voice.

    Args:
        voice: The voice.
        components: Says what is listened to.
        settings: How networks hear.
        fps: Output frames a second.
        frame_count: Output frames that the voice covers.
        folder: The job's temporary directory.
        run: Progress, cancellation.
        silence: What the mouth does in pauses: where it comes to rest, networks hear nothing. None: they hear all.

    Returns:
        What the generator hears, and the envelope.
    """
    run.emit("speech", 0, 1)
    with closing(read_speech(voice, run.cancel)) as blocks:
        envelope = measure_envelope(blocks, fps=fps, frame_count=frame_count)
    encoder = components.encoder
    if encoder is None:
        run.emit("speech", 1, 1)
        return envelope, envelope
    silent = () if silence is None else silent_samples(envelope, silence, fps, frame_count)
    with closing(read_speech(voice, run.cancel)) as blocks:
        features = measure_features(
            silence_samples(blocks, silent),
            encoder,
            folder / "features.npy",
            seams=settings.seams,
            cache=components.features,
            on_step=lambda done, total: run.emit("speech", done, total),
            cancel=run.cancel,
        )
    run.emit("speech", features.steps, features.steps)
    return _track(features, encoder.audio_spec, settings, fps, frame_count), envelope


def extract_features_around(
    frame: int,
    voice: Voice,
    components: Components,
    settings: SpeechSettings,
    fps: Fraction,
    frame_count: int,
    *,
    folder: Path,
    cancel: CancelToken,
    silence: SilenceSettings | None = None,
    envelope: EnvelopeTrack | None = None,
) -> SpeechTrack | None:
    """Measure what the generator hears around one output frame; None: it listens to the envelope.

    Half a minute is heard, with the frame two thirds in: of a longer voice, loudness is judged by that alone.
    `envelope`, that of the voice around the frame, tells where mouths come to rest, if `silence` says that they do.
    """
    encoder = components.encoder
    if encoder is None:
        return None
    middle = int(STEPS_PER_SECOND * frame / fps)
    total = voice.samples * STEPS_PER_SECOND // voice.rate
    last = max(0, total - _EXCERPT_SECONDS * STEPS_PER_SECOND)
    first = min(max(0, middle - _EXCERPT_BEFORE * STEPS_PER_SECOND), last)
    start, seconds = first * SAMPLES_PER_STEP / SPEECH_RATE, float(_EXCERPT_SECONDS)
    silent = () if envelope is None or silence is None else silent_samples(envelope, silence, fps, frame_count)
    with closing(read_excerpt(voice, start, seconds, folder, cancel)) as blocks:
        hushed = silence_samples(blocks, silent, first * SAMPLES_PER_STEP)
        features = measure_features(
            hushed, encoder, folder / "excerpt.npy", seams=settings.seams, cache=components.features, cancel=cancel
        )
    return _track(features, encoder.audio_spec, settings, fps, frame_count, first)


def _track(
    features: FeatureFile,
    audio_spec: AudioFeatureSpec,
    settings: SpeechSettings,
    fps: Fraction,
    frame_count: int,
    first: int = 0,
) -> FeatureTrack:
    return FeatureTrack(
        features,
        fps=fps,
        frame_count=frame_count,
        audio_spec=audio_spec,
        left=settings.audio_padding_length_left,
        right=settings.audio_padding_length_right,
        first_step=first,
    )
