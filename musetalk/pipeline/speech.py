"""Speech: the voice's envelope always, and Whisper features or visemes if the generator takes them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.audio.envelope import EnvelopeTrack, measure_envelope
from musetalk.audio.feature_store import FeatureCache
from musetalk.audio.features import measure_features
from musetalk.audio.phonemes import read_phonemes
from musetalk.audio.silence import silence_samples, silent_samples
from musetalk.audio.track import SpeechTrack
from musetalk.audio.types import SAMPLES_PER_STEP, STEPS_PER_SECOND, SpeechEncoder
from musetalk.audio.visemes import VisemeTrack, unknown_symbols
from musetalk.audio.windows import FeatureTrack, step_numbers, steps_beyond
from musetalk.media.sound.voice import SPEECH_RATE, Voice, read_excerpt, read_speech
from musetalk.pipeline.components import Components
from musetalk.progress import CancelToken, RenderRun
from musetalk.settings import SilenceSettings, SpeechSettings
from musetalk.utils.arrays import Float32Array
from musetalk.utils.units import listed

_HEARD_BEFORE, _HEARD_AFTER = 100, 20  # seconds of a long voice that are measured around a frame
WHOLE_SECONDS = _HEARD_BEFORE + _HEARD_AFTER  # longest voice that is measured as a whole around a frame, too
_EXCERPT_BEFORE, _EXCERPT_SECONDS = 20, 30  # one window of Whisper's, most of it before the frame


def extract_features(
    voice: Voice | None,
    components: Components,
    settings: SpeechSettings,
    fps: Fraction,
    frame_count: int,
    *,
    folder: Path,
    run: RenderRun,
    silence: SilenceSettings | None = None,
    around: int | None = None,
    wanted: range | None = None,
) -> tuple[SpeechTrack, EnvelopeTrack]:
    """Measure a voice: all of it, or what matters around one output frame.

    Around a frame half a minute is encoded, with the frame two thirds in, and of a voice of more than two minutes the
    envelope is that of `measure_around`.

    Args:
        voice: The voice; None: there is none, and both tracks are empty.
        components: Says what the generator takes.
        settings: How features are made.
        fps: Output frames a second.
        frame_count: Output frames that the voice covers.
        folder: The job's temporary directory.
        run: Progress, cancellation.
        silence: What the mouth does in pauses: where it comes to rest, networks hear nothing. None: they hear all.
        around: The output frame; None: all frames matter.
        wanted: With it, the output frames that will be asked for.

    Returns:
        What the generator takes, and the envelope.

    Raises:
        SettingsError: Phonemes are given that cannot be this voice's.
    """
    if voice is None:
        nothing = EnvelopeTrack(np.zeros((0, 2), np.float32), np.zeros(0, np.bool_))
        return nothing, nothing
    run.emit("speech", 0, 1)
    envelope = measure_around(voice, fps, frame_count, around, folder, run.cancel)
    encoder = components.encoder
    visemes = _visemes(voice, envelope, components, settings.phonemes, fps, frame_count, run)
    if encoder is None:
        run.emit("speech", 1, 1)
        return visemes or envelope, envelope
    silent = () if silence is None else silent_samples(envelope, silence, fps, frame_count)
    heard = _Heard(voice, silent, fps, frame_count, around, wanted)
    return _encode(heard, encoder, components.features, settings, folder, run), envelope


@dataclass(frozen=True, slots=True)
class _Heard:
    """What of a voice is encoded: the arguments of `extract_features`, and the samples that networks do not hear."""

    voice: Voice
    silent: tuple[range, ...]
    fps: Fraction
    frame_count: int
    around: int | None
    wanted: range | None


def _encode(
    heard: _Heard,
    encoder: SpeechEncoder,
    cache: FeatureCache | None,
    settings: SpeechSettings,
    folder: Path,
    run: RenderRun,
) -> FeatureTrack:
    """Return a voice as an encoder hears it."""
    voice, fps, around = heard.voice, heard.fps, heard.around
    first = 0 if around is None else _excerpt_start(voice, fps, around)
    left, right = settings.audio_padding_length_left, settings.audio_padding_length_right
    steps = None
    if heard.wanted is not None:
        numbers = step_numbers(heard.wanted.start, heard.wanted.stop, fps, left, right) - first
        steps = range(int(numbers.min()), int(numbers.max()) + 1)
    with closing(_samples(voice, None if around is None else first, folder, run.cancel)) as blocks:
        features = measure_features(
            silence_samples(blocks, heard.silent, first * SAMPLES_PER_STEP),
            encoder,
            folder / "features.npy",
            seams=settings.seams,
            lookahead_steps=steps_beyond(settings.lookahead, right),
            wanted=steps,
            cache=cache,
            on_step=lambda done, total: run.emit("speech", done, total),
            cancel=run.cancel,
        )
    run.emit("speech", features.steps, features.steps)
    spec, count = encoder.audio_spec, heard.frame_count
    return FeatureTrack(features, fps=fps, frame_count=count, audio_spec=spec, left=left, right=right, first_step=first)


def check_phonemes(path: Path | None, seconds: float) -> None:
    """Make sure, in a moment, that a file of phonemes can be that of a voice of so many seconds; None: there is none.

    Raises:
        SettingsError: It cannot.
    """
    if path is not None:
        read_phonemes(path, seconds)


def _visemes(
    voice: Voice,
    envelope: EnvelopeTrack,
    components: Components,
    path: Path | None,
    fps: Fraction,
    frame_count: int,
    run: RenderRun,
) -> VisemeTrack | None:
    """Return the mouth by the phonemes in a file; None: there are none, or the generator hears the voice itself.

    Raises:
        SettingsError: The file cannot be used with this voice.
    """
    if path is None or not components.generator.spec.visemes:
        return None
    phonemes = read_phonemes(path, float(voice.seconds))
    if not phonemes:
        run.warn("the file of phonemes holds none: the mouth moves by loudness")
        return None
    if unknown := unknown_symbols(phonemes):
        run.warn(f"no sounds of the IPA, and shown with a mouth that is neither open nor closed: {listed(unknown)}")
    return VisemeTrack(phonemes, fps, frame_count, envelope)


def measure_voice(voice: Voice, fps: Fraction, frame_count: int, cancel: CancelToken) -> EnvelopeTrack:
    """Measure the envelope of a whole voice, in `frame_count` output frames at `fps`."""
    with closing(read_speech(voice, cancel)) as blocks:
        return measure_envelope(blocks, fps=fps, frame_count=frame_count)


def measure_around(
    voice: Voice, fps: Fraction, frame_count: int, frame: int | None, folder: Path, cancel: CancelToken
) -> EnvelopeTrack:
    """Measure the envelope of a voice around an output frame.

    Args:
        voice: The voice.
        fps: Output frames a second.
        frame_count: Output frames that the voice covers.
        frame: Where it matters; None: everywhere.
        folder: For temporary files.
        cancel: Ends the decoder.

    Returns:
        The envelope of a whole voice; of a long one that of some 100 seconds before the frame, in which the voice gets
        known as it is there, to 20 after it, and silence elsewhere.

    Raises:
        VoiceError: It cannot be decoded.
    """
    if frame is None or voice.seconds <= WHOLE_SECONDS:
        return measure_voice(voice, fps, frame_count, cancel)
    first = max(0, frame - round(_HEARD_BEFORE * fps))
    stop = max(first, min(frame_count, frame + round(_HEARD_AFTER * fps)))
    start, seconds = float(first / fps), float((stop - first) / fps)
    with closing(read_excerpt(voice, start, seconds, folder, cancel)) as blocks:
        heard = measure_envelope(blocks, fps=fps, frame_count=stop - first)
    values = np.pad(heard.window(0, stop - first), ((first, 0), (0, 0)))
    activity, audible = np.pad(heard.activity, (first, 0)), np.pad(heard.heard, (first, 0))
    return EnvelopeTrack(values, activity, audible, speaks=heard.speaks)


def _samples(voice: Voice, first: int | None, folder: Path, cancel: CancelToken) -> Generator[Float32Array, None, None]:
    """Return the samples that are encoded: of all of the voice, or of half a minute from step `first` on."""
    if first is None:
        return read_speech(voice, cancel)
    return read_excerpt(voice, first * SAMPLES_PER_STEP / SPEECH_RATE, float(_EXCERPT_SECONDS), folder, cancel)


def _excerpt_start(voice: Voice, fps: Fraction, frame: int) -> int:
    """Return the step of Whisper's at which the half minute around an output frame begins."""
    middle = int(STEPS_PER_SECOND * frame / fps)
    total = voice.samples * STEPS_PER_SECOND // voice.rate
    last = max(0, total - _EXCERPT_SECONDS * STEPS_PER_SECOND)
    return min(max(0, middle - _EXCERPT_BEFORE * STEPS_PER_SECOND), last)
