"""The voice: taken out of any file once, then the same samples for listening and for the sound track."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.errors import VoiceError
from musetalk.media.containers.endings import is_joined
from musetalk.media.probe import VoiceFacts, check_length, probe_voice
from musetalk.media.sound.decoding import DecodedSound, SoundStream, Span, decode_sound
from musetalk.media.sound.mixing import Mixer, channel_names, is_plain_mean, mix, stereo_gains
from musetalk.media.sound.repair import LOUDEST, repair
from musetalk.media.sound.resampler import Resampler
from musetalk.media.sound.wav import WavFile, read_wav, write_wav
from musetalk.media.types import Source
from musetalk.progress import CancelToken
from musetalk.settings import Limits
from musetalk.utils.arrays import Float32Array
from musetalk.utils.units import apart, duration

SPEECH_RATE = 16_000  # Hz, what Whisper and the envelope listen to
MIN_VOICE_SECONDS = Fraction(1, 10)  # two or three video frames; less is no speech
_SILENT = 0.001  # of full scale, -60 dB: a voice that never exceeds it is none
_BLOCK_SECONDS = 4
_MIX_SECONDS = 0.25  # for which channels keep their relation
_HIGHEST_RATE = 768_000  # Hz: twice what recorders have; a file may claim anything
_SHORTFALL = Fraction(1, 2)  # seconds by which less may be decoded than a file's packets announce


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice as float WAV on disk.

    Attributes:
        path: The WAV file: what is heard.
        rate: Its sample rate in Hz.
        channels: 1 or 2.
        samples: Its length in samples per channel.
        speech: The WAV file that is listened to, of the same rate and length: the mean of its channels is the voice.
        silent: Whether nothing is to be heard in it, from its beginning to its end.
        notes: What the user should know of it, a sentence each.
        stream: None; of a voice that was not extracted, where it is.
    """

    path: Path
    rate: int
    channels: int
    samples: int
    speech: Path
    silent: bool = False
    notes: tuple[str, ...] = ()
    stream: SoundStream | None = None

    @property
    def seconds(self) -> Fraction:
        """Its exact length."""
        return Fraction(self.samples, self.rate)


def extract_voice(
    path: Path, folder: Path, limits: Limits, cancel: CancelToken | None = None, *, track: int | None = None
) -> Voice:
    """Take a sound track of an audio or video file as WAV into `folder`.

    Args:
        path: The file.
        folder: Where the WAV files go.
        limits: What it may ask of the machine.
        cancel: Ends the work.
        track: Which of its sound tracks, from 1; None: its default one, or the next that can be decoded.

    Raises:
        MediaError: The file cannot be read.
        VoiceError: It has no sound, or too little, or nothing that can be repaired.
        LimitError: It is larger or longer than allowed.
        OutputError: The disk is full.
    """
    return extract_probed(probe_voice(path, limits, cancel, track=track), folder, limits, cancel)


def extract_probed(facts: VoiceFacts, folder: Path, limits: Limits, cancel: CancelToken | None = None) -> Voice:
    """As `extract_voice`, of a file that was looked at."""
    path, span = facts.file.path, Span(None, limits.max_seconds + 1)
    stream, sound = _first_decodable(facts, folder / "voice.wav", span, cancel)
    voice = _finished(sound, f'the voice "{path.name}"', cancel)
    check_length(path, voice.seconds, limits)
    if voice.seconds < MIN_VOICE_SECONDS:
        lasts, least = apart(float(voice.seconds), float(MIN_VOICE_SECONDS), duration)
        raise VoiceError(
            f'the voice "{path.name}" lasts {lasts}, too short to speak with (at least {least})',
            "give a longer recording",
            path=path,
        )
    return replace(voice, notes=(*facts.notes_on(stream), *voice.notes, *_losses(voice, stream, facts, sound)))


def unextracted_voice(facts: VoiceFacts) -> Voice:
    """Return a voice that stays where it is, of which `read_excerpt` reads parts.

    Its length is what its packets say.
    """
    path, index = facts.file.path, facts.streams[0]
    samples, notes = round(facts.seconds * SPEECH_RATE), facts.notes_on(index)
    return Voice(path, SPEECH_RATE, 1, samples, path, notes=notes, stream=_stream_of(facts, index))


def _stream_of(facts: VoiceFacts, index: int) -> SoundStream:
    file = facts.file
    picture = next((stream.index for stream in file.pictures if stream.decodable), None)
    probed = index == facts.streams[0]
    priming = facts.priming if probed else Fraction(0)
    return SoundStream(file.path, index, file.containers, picture, facts.timely or not probed, priming)


def extract_sound_of(source: Source, folder: Path, limits: Limits, cancel: CancelToken | None = None) -> Voice | None:
    """Take a source's own sound as WAV into `folder`, silent where there is only picture; None: it has none.

    Raises:
        VoiceError: It cannot be decoded, or not repaired.
        OutputError: The disk is full.
    """
    if source.sound_stream is None:
        return None
    stream = SoundStream(source.path, source.sound_stream, source.containers, source.stream)
    stream = replace(stream, timely=source.sound_timely, priming=source.sound_priming)
    sound = decode_sound(stream, folder / "own.wav", Span(None, limits.max_seconds + 1), cancel)
    return _finished(sound, f'the sound of "{source.path.name}"', cancel)


def _first_decodable(facts: VoiceFacts, out: Path, span: Span, cancel: CancelToken | None) -> tuple[int, DecodedSound]:
    """Return the first of the streams to choose from that can be decoded, and what came of it.

    Raises:
        VoiceError: There is none, with the reason for the first one.
    """
    path, errors = facts.file.path, []
    for index in facts.streams:
        try:
            return index, decode_sound(_stream_of(facts, index), out, span, cancel)
        except VoiceError as error:
            errors.append(error)
    raise VoiceError(
        f'the sound of "{path.name}" cannot be decoded ({errors[0]})', "convert it to WAV", path=path
    ) from errors[0]


def _losses(voice: Voice, index: int, facts: VoiceFacts, sound: DecodedSound) -> Iterator[str]:
    """Yield what of a voice is not there to be heard, a sentence each."""
    path = facts.file.path
    # Without times, packets are taken for as long as they would be at the first of the rates.
    counted = len({each.rate for each in sound.formats}) < 2 or _stream_of(facts, index).timed
    if index == facts.streams[0] and not facts.timely:
        yield f'the voice "{path.name}" carries times that cannot be right: it is heard without the gaps between them'
    announced = facts.announced_seconds if counted else facts.stated_seconds
    if index == facts.streams[0] and facts.timely and voice.seconds + _SHORTFALL < announced:
        yield (
            f'the voice "{path.name}" can be decoded up to {float(voice.seconds):.1f} s '
            f"of {float(announced):.1f} s: the rest is lost"
        )
    elif index == facts.streams[0] and facts.cut is not None and facts.cut.seconds is None:
        yield f'the voice "{path.name}" is cut off: what came after {float(voice.seconds):.1f} s is lost'
    if is_joined(path, facts.file.containers):
        yield f'the voice "{path.name}" is several files joined end to end: only the first of them is heard'
    if voice.silent:
        other = "; another voice track may speak" if facts.tracks > 1 else ""
        yield f'the voice "{path.name}" is silent all through: there is nothing for a mouth to say{other}'


def _finished(sound: DecodedSound, what: str, cancel: CancelToken | None) -> Voice:
    """Decoded sound as a voice: repaired, heard in at most two channels, and listened to in all of them."""
    file, names, notes = sound.file, channel_names(sound.layout, sound.file.channels), []
    if len(sound.formats) > 1:
        met = ", ".join(f"{each.rate} Hz {each.layout}" for each in sound.formats)
        notes.append(
            f"{what} changes its format on the way ({met}): all of it is heard as {file.rate} Hz {sound.layout}"
        )
    gains, peak = _listened_to(file, names, cancel)
    if not peak <= LOUDEST:  # NaN, too
        notes += repair(file, what, cancel)
        gains, peak = _listened_to(file, names, cancel)
    speech = file.path
    if not is_plain_mean(gains):
        speech = file.path.with_name(f"{file.path.stem}-speech.wav")
        write_wav(speech, mix(file.blocks(_mix_block(file), cancel), gains), file.rate, 1)
    if file.channels == 2 and speech != file.path:
        notes.append(f"{what} has left and right opposite in phase: a loudspeaker in mono will not play it")
    heard = file
    if file.channels > 2:
        heard = _in_stereo(file, stereo_gains(names), cancel)
        notes.append(f"{what} has {file.channels} channels: they are heard in stereo")
    silent = peak < _SILENT
    return Voice(heard.path, file.rate, heard.channels, file.samples, speech, silent, tuple(notes))


def _mix_block(file: WavFile) -> int:
    return max(2, round(_MIX_SECONDS * file.rate))


def _listened_to(file: WavFile, names: tuple[str, ...], cancel: CancelToken | None) -> tuple[Float32Array, float]:
    """Return how much of each channel is listened to by block, float32 [blocks, channels], and the largest sample.

    Where a sample is NaN or far too large, that is the second value, and the first one is of no use.
    """
    mixer, gains, peak = Mixer(names), [], 0.0
    for block in file.blocks(_mix_block(file), cancel):
        largest = float(max(block.max(), -block.min()))
        if not largest <= LOUDEST:
            return np.zeros((0, file.channels), np.float32), largest
        peak = max(peak, largest)
        gains.append(mixer.gains(block))
    return np.array(gains, np.float32).reshape(-1, file.channels), peak


def _in_stereo(file: WavFile, gains: Float32Array, cancel: CancelToken | None) -> WavFile:
    """Write all channels of a sound as two; quieter, where they would together exceed full scale."""
    size = _BLOCK_SECONDS * file.rate
    peak = max((float(np.abs(block @ gains).max()) for block in file.blocks(size, cancel)), default=0.0)
    scaled = gains / np.float32(max(1.0, peak))
    path = file.path.with_name(f"{file.path.stem}-stereo.wav")
    write_wav(path, (block @ scaled for block in file.blocks(size, cancel)), file.rate, 2)
    return read_wav(path)


def read_speech(voice: Voice, cancel: CancelToken | None = None) -> Generator[Float32Array, None, None]:
    """Yield a voice that was extracted as float32 mono blocks at `SPEECH_RATE`, about -1 to 1.

    Raises:
        VoiceError: Its rate is none that a recorder has.
    """
    yield from _resample(voice.speech, 0, None, cancel)


def read_excerpt(
    voice: Voice, start: float, seconds: float, folder: Path, cancel: CancelToken | None = None
) -> Generator[Float32Array, None, None]:
    """As `read_speech`, from the middle of any voice; `start` and length in seconds.

    Of a voice that was extracted these are the samples that `read_speech` yields there. What has to be decoded goes
    into a temporary directory in `folder`.
    """
    if voice.stream is None:
        first = max(0, round(start * SPEECH_RATE))
        yield from _resample(voice.speech, first, first + round(seconds * SPEECH_RATE), cancel)
        return
    with tempfile.TemporaryDirectory(dir=folder) as work:
        span = Span(start if start > 0 else None, seconds)
        try:
            sound = decode_sound(voice.stream, Path(work) / "part.wav", span, cancel)
        except VoiceError as error:
            raise VoiceError(
                f'the sound of "{voice.path.name}" cannot be decoded ({error})', "convert it to WAV"
            ) from error
        yield from read_speech(_finished(sound, f'the voice "{voice.path.name}"', cancel), cancel)


def _resample(
    path: Path, start: int, stop: int | None, cancel: CancelToken | None
) -> Generator[Float32Array, None, None]:
    """Yield samples [start, stop) at `SPEECH_RATE` of a WAV file, as far as there are any."""
    file = read_wav(path)
    if file.rate > _HIGHEST_RATE:
        raise VoiceError(
            f'the sound in "{path.name}" claims {file.rate} samples a second', "convert it to WAV at 48 kHz", path=path
        )
    # At whole seconds every rate is in step, and a second before, all is known that a sample is made of.
    skipped = max(0, start // SPEECH_RATE - 1)
    resampler = Resampler(file.rate, SPEECH_RATE)
    at = skipped * SPEECH_RATE
    for part in _resampled(file.blocks(_BLOCK_SECONDS * file.rate, cancel, first=skipped * file.rate), resampler):
        wanted = part[max(0, start - at) : None if stop is None else max(0, stop - at)]
        at += len(part)
        if len(wanted):
            yield wanted
        if stop is not None and at >= stop:
            return


def _resampled(blocks: Iterator[Float32Array], resampler: Resampler) -> Iterator[Float32Array]:
    for block in blocks:
        yield resampler.push(block.mean(axis=1))
    yield resampler.finish()
