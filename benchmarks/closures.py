"""Whether lips are seen to close where a voice says p, b or m: by loudness, and by known phonemes.

python -m benchmarks.closures [VIDEO]...

Takes some minutes a video.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import ASSETS, publish, table
from musetalk.audio.phonemes import TimedPhoneme, write_phonemes
from musetalk.lipsync import LipSync
from musetalk.metrics.mouth_opening import measure_opening
from musetalk.metrics.mouth_region import MeasuredPlaces
from musetalk.pipeline.render import output_frames
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings
from musetalk.tts.hibari import RATE, HibariVoice
from musetalk.tts.types import Speech
from musetalk.utils.arrays import Float32Array

WORDS = 200
CLOSED = 0.05  # of the mouth's width: what is measured of lips that meet, with their shadow
CLOSING = frozenset("pbm")
PAUSE = 0.06  # seconds before and after each word


@dataclass(frozen=True)
class SpokenWords:
    """Words, one after another.

    Attributes:
        samples: float32 [n], at the rate of the voice.
        phonemes: Of all of them.
        closures: The middles of p, b and m that are inside words, in seconds.
    """

    samples: Float32Array
    phonemes: tuple[TimedPhoneme, ...]
    closures: tuple[float, ...]


def main() -> None:
    """Measure and publish."""
    videos = [Path(name) for name in sys.argv[1:]] or [ASSETS / "portrait.png", ASSETS / "sample.mp4"]
    spoken = speak(WORDS)
    rows = [row for video in videos for row in measure(video, spoken)]
    head = ("source", "mouth", "closures", "closed", "median opening", "95th percentile", "source's own opening")
    text = f"""# Closures

Lips in the middle of every p, b and m inside {WORDS} words, drawn from the lexicon of `hibari-tts` and spoken by its
voice, as `preview` paints them: in the picture, before it is encoded, by `metrics/mouth_opening.py`. Openings are
parts of the mouth's width; closed is {CLOSED:g} and less. "By loudness" is what the backend does where no phonemes are
known.

The measure was held against stills of nine sources, some as they are and some painted, that were looked at enlarged and
called open, closed, or hardly open before they were measured. Of those it was made with, it overlooked 4 of 51 open
mouths and called 2 of 61 closed ones open; of others, 4 of 53 and 0 of 52, and 6 of 26 hardly open ones open. What it
overlooks are narrow rows of teeth and blurred ones, what it calls open are lips that are painted dark, in
address_512.mp4. Of 56 closures among the latter, none was open to the eye, 7 hardly so: 4 of them in yongen.mp4, where
a grey gap between the lips is left.

{table(head, rows)}"""
    publish("closures.md", text)


def speak(count: int, seed: int = 18) -> SpokenWords:
    """Speak as many words with p, b or m inside them, drawn from the lexicon."""
    voice, dice = HibariVoice(), np.random.default_rng(seed)
    parts, phonemes, closures, now = list[Float32Array](), list[TimedPhoneme](), list[float](), 0
    for speech in _spoken(voice, dice):
        inside = [each for each in speech.phonemes[1:-1] if each.ipa in CLOSING]
        if not inside:
            continue
        first = max(0, round((speech.phonemes[0].start - PAUSE) * RATE))
        last = min(len(speech.samples), round((speech.phonemes[-1].stop + PAUSE) * RATE))
        later = (now - first) / RATE
        phonemes += [each.later(later) for each in speech.phonemes]
        closures += [(each.start + each.stop) / 2 + later for each in inside]
        parts.append(speech.samples[first:last])
        now += last - first
        count -= 1
        if count == 0:
            break
    return SpokenWords(np.concatenate(parts), tuple(phonemes), tuple(closures))


def _spoken(voice: HibariVoice, dice: np.random.Generator) -> Iterator[Speech]:
    from hibari.tts import ASSETS as LEXICON  # noqa: PLC0415 - only where words are drawn

    with gzip.open(Path(LEXICON) / "lexicon_us_gold.json.gz", "rt", encoding="utf-8") as file:
        words = sorted(word for word in json.load(file) if word.isascii() and word.islower() and word.isalpha())
    for word in dice.permutation([word for word in words if CLOSING & set(word[1:-1]) and 4 <= len(word) <= 12]):
        yield voice.speak(str(word))


def measure(video: Path, spoken: SpokenWords) -> Iterator[tuple[str, ...]]:
    """A row for each way to move a mouth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voice, phonemes = folder / "voice.wav", folder / "phonemes.json"
        _write(voice, spoken.samples)
        write_phonemes(phonemes, spoken.phonemes)
        for how, path in (("by loudness", None), ("by visemes", phonemes)):
            painted, source = openings(video, voice, path, spoken.closures, folder)
            share = float(np.mean(np.array(painted) <= CLOSED))
            figures = (np.median(painted), np.percentile(painted, 95), np.median(source))
            yield (video.name, how, str(len(painted)), f"{share:.1%}", *(f"{value:.3f}" for value in figures))


def openings(
    video: Path, voice: Path, phonemes: Path | None, moments: Sequence[float], folder: Path
) -> tuple[list[float], list[float]]:
    """Return how far the mouth stands open at moments, in seconds, where a face is seen: painted, and in the source."""
    painted, own = list[float](), list[float]()
    values = {"backend": "preview", "measure": True, "speech": {"phonemes": phonemes}}  # measured: sources are kept
    settings = RenderSettings.parse(values)
    with LipSync().preparing(video, voice, settings, folder) as plan:
        wanted = {int(moment * plan.source.fps) for moment in moments}
        places = MeasuredPlaces(plan.face_plan)
        for number, frame in enumerate(output_frames(plan, 0, max(wanted) + 1, RenderRun())):
            place = places.place(plan.timeline.source_frame(number)) if number in wanted and frame.steps else None
            if place is not None and frame.source is not None:
                painted.append(measure_opening(frame.picture.rgb(), place.mouth))
                own.append(measure_opening(frame.source.rgb(), place.mouth))
    return painted, own


def _write(path: Path, samples: Float32Array) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
