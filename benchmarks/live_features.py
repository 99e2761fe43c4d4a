"""How far features while a voice is heard are from those of the whole voice, and what they cost.

python -m benchmarks.live_features [VOICE]...      on one thread; ten minutes for a minute of voice
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from benchmarks.common import ASSETS, machine, publish, table
from benchmarks.full_size import random_network
from musetalk.audio.features import measure_features
from musetalk.audio.live_features import LiveFeatures
from musetalk.audio.live_voice import HOP_STEPS
from musetalk.audio.types import SAMPLES_PER_STEP, STEPS_PER_SECOND, SpeechEncoder
from musetalk.audio.whisper import WHISPER_TINY, load_whisper
from musetalk.audio.windows import FeatureTrack
from musetalk.backends.musetalk.tiny import tiny_musetalk
from musetalk.backends.types import Clip
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.runtime.device import choose_compute
from musetalk.utils.arrays import Float32Array, UInt8Array
from tests.helpers.whisper_small import SHAPE, build_model

FPS = Fraction(25)
LOOKAHEADS = (0, 4, 8, 16, 32)  # steps
SIDE = 256
PAINTED = 24  # frames of a voice
REST = (0, 1, 2, 5, 10, 20, 60)  # seconds


class Remembering:
    """An encoder that remembers what it was asked last: voices that go on side by side ask the same."""

    def __init__(self, encoder: SpeechEncoder) -> None:
        self.audio_spec, self.filters, self.fingerprint = encoder.audio_spec, encoder.filters, encoder.fingerprint
        self.window_steps, self.states, self.width = encoder.window_steps, encoder.states, encoder.width
        self._encoder = encoder
        self._known: dict[bytes, Float32Array] = {}

    def encode(self, mel: Float32Array) -> Float32Array:
        """See `SpeechEncoder`."""
        key = mel.tobytes()
        if key not in self._known:
            self._known = {**dict(list(self._known.items())[-3:]), key: self._encoder.encode(mel)}
        return self._known[key]


@dataclass(frozen=True)
class Heard:
    """A voice's features, float32 [frames, steps states, width].

    Attributes:
        whole: Of the whole voice.
        live: With each look-ahead.
    """

    whole: Float32Array
    live: dict[int, Float32Array]


def small(folder: Path) -> SpeechEncoder:
    """Load the tests' small Whisper, with windows of 3 s."""
    build_model().save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=3).save_pretrained(folder)
    return load_whisper(folder, shape=SHAPE)


def full_size(folder: Path) -> SpeechEncoder:
    """Load Whisper-tiny's encoder in its published size, with random weights."""
    config = WhisperConfig()  # its defaults are Whisper-tiny's sizes
    folder.mkdir()
    state = random_network(lambda: WhisperEncoder(config)).state_dict()
    torch.save({f"model.encoder.{name}": value for name, value in state.items()}, folder / "pytorch_model.bin")
    config.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return load_whisper(folder, shape=WHISPER_TINY)


def decoded(path: Path, *options: str) -> bytes:
    """Return what ffmpeg makes of a file, raw."""
    command = [ffmpeg_executable(), "-loglevel", "error", "-i", str(path), *options, "-"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def hear(samples: Float32Array, encoder: SpeechEncoder, folder: Path) -> Heard:
    """Measure a voice whole, and with each look-ahead side by side."""
    remembering = Remembering(encoder)
    lives = {steps: LiveFeatures(remembering, FPS, lookahead_steps=steps) for steps in LOOKAHEADS}
    for start in range(0, len(samples), HOP_STEPS * SAMPLES_PER_STEP):
        for live in lives.values():
            live.push(samples[start : start + HOP_STEPS * SAMPLES_PER_STEP])
    count = -(-len(samples) * FPS // (SAMPLES_PER_STEP * STEPS_PER_SECOND))
    for live in lives.values():
        live.end(count)
    file = measure_features([samples], encoder, folder / "voice.npy")
    whole = FeatureTrack(file, fps=FPS, frame_count=count, audio_spec=encoder.audio_spec).window(0, count)
    return Heard(whole, {steps: live.window(0, count) for steps, live in lives.items()})


def painter() -> Callable[[Float32Array], UInt8Array]:
    """Return the tiny MuseTalk: from windows to crops uint8 [n, S, S, 3], of the sample's first frame."""
    options = ("-frames:v", "1", "-vf", f"scale={SIDE}:{SIDE}", "-f", "rawvideo", "-pix_fmt", "rgb24")
    crop = np.frombuffer(decoded(ASSETS / "sample.mp4", *options), np.uint8).reshape(1, SIDE, SIDE, 3)
    generator = tiny_musetalk("v15", choose_compute("cpu"))
    face = FaceSample(0, FaceBox(32, 32, 224, 224, 1), MouthShape(128, 176, 36, 0))
    width = WHISPER_TINY[1]

    def paint(windows: Float32Array) -> UInt8Array:
        wide = np.tile(windows, (1, 1, width // windows.shape[2]))
        return np.concatenate([generator.generate(Clip(crop, window[None], (face,))) for window in wide])

    return paint


def distance(found: Float32Array, wanted: Float32Array) -> Float32Array:
    """Return how far hidden states are off, relative to their length: [frames, steps states]."""
    length = np.linalg.norm(wanted, axis=-1)
    off = np.linalg.norm(found - wanted, axis=-1)
    return np.asarray(off / np.where(length == 0, 1, length), np.float32)


def levels(found: UInt8Array, wanted: UInt8Array) -> UInt8Array:
    """Return by how many levels pictures differ."""
    return np.asarray(np.abs(found.astype(np.int16) - wanted), np.uint8)


def accuracy(name: str, heard: Heard, paint: Callable[[Float32Array], UInt8Array]) -> Iterator[tuple[object, ...]]:
    """Yield rows: how far the features are from the whole voice's, and what is painted of both."""
    shown = np.linspace(0, len(heard.whole) - 2, PAINTED).astype(int)
    painted = paint(heard.whole[shown])
    moved = levels(paint(heard.whole[shown + 1]), painted)
    yield name, "the next frame", *_spread(heard.whole[1:], heard.whole[:-1]), *_levels(moved)
    for steps, live in heard.live.items():
        changed = levels(paint(live[shown]), painted)
        yield name, f"{20 * steps} ms", *_spread(live, heard.whole), *_levels(changed)


def by_rest(heard: Heard, steps: int, paint: Callable[[Float32Array], UInt8Array]) -> Iterator[tuple[object, ...]]:
    """Yield rows: the same by how much of the voice was still to come, beyond the look-ahead."""
    live, whole = heard.live[steps], heard.whole
    rest = (len(whole) - np.arange(len(whole))) / float(FPS) - 0.02 * steps
    for low, high in pairwise(REST):
        here = np.flatnonzero((rest >= low) & (rest < high))
        if len(here):
            shown = here[:: max(len(here) // 8, 1)]
            changed = levels(paint(live[shown]), paint(whole[shown]))
            yield f"{low} to {high} s", *_spread(live[here], whole[here]), *_levels(changed)


def costs(encoder: SpeechEncoder, network: WhisperEncoder) -> Iterator[tuple[object, ...]]:
    """Yield rows: the processor's seconds for windows alone, and for several in one call."""
    mels = np.random.default_rng(0).normal(size=(4, 80, 2 * encoder.window_steps)).astype(np.float32)

    def together(count: int) -> list[Float32Array]:
        with torch.inference_mode():
            states = network(torch.from_numpy(mels[:count]), output_hidden_states=True).hidden_states
            return list(torch.stack(states, dim=2).numpy())

    alone = [encoder.encode(mel) for mel in mels]
    for count in (1, 2, 4):
        taken = []
        for _ in range(5):
            start = time.process_time()
            found = together(count)
            taken.append((time.process_time() - start) / count)
        same = all(np.array_equal(one, other) for one, other in zip(alone, found, strict=False))
        yield count, f"{1000 * min(taken):.0f}", "yes" if same else "no"


def _spread(found: Float32Array, wanted: Float32Array) -> tuple[str, str]:
    off = distance(found, wanted)
    return f"{np.median(off):.3f}", f"{off.max():.2f}"


def _levels(changed: UInt8Array) -> tuple[str, str]:
    return f"{np.percentile(changed, 99):.0f}", f"{changed.max()}"


def main() -> None:
    """Measure and publish."""
    torch.set_num_threads(1)
    voices = [Path(name) for name in sys.argv[1:]] or [ASSETS / "voice.wav"]
    paint = painter()
    rows: list[tuple[object, ...]] = []
    rests: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        encoders = {"small, 3 s": small(folder / "small"), "Whisper-tiny, 30 s": full_size(folder / "full")}
        for name, encoder in encoders.items():
            for voice in voices:
                samples = np.frombuffer(decoded(voice, "-ac", "1", "-ar", "16000", "-f", "f32le"), np.float32)
                heard = hear(samples, encoder, folder)
                rows.extend((name, *row) for row in accuracy(voice.name, heard, paint))
                if encoder.window_steps > len(samples) // 320:
                    rests.extend((name, voice.name, *row) for row in by_rest(heard, 8, paint))
        network = random_network(lambda: WhisperEncoder(WhisperConfig())).eval()
        calls = list(costs(encoders["Whisper-tiny, 30 s"], network))
    off = ("features off, median", "largest", "painted levels off, p99", "largest")
    text = f"""# Live features

{machine()}. Features while a voice is heard against those of the whole voice (relative to a
hidden state's length), and what the tiny MuseTalk paints of both in {PAINTED} frames, in levels of 255. All networks
have random weights, so that every step hears all of its window about alike. "The next frame" is how much the whole
voice's own change from one frame to the next. The encoder is called every {20 * HOP_STEPS} ms.

{table(("encoder", "voice", "look-ahead", *off), rows)}
With a look-ahead of 160 ms, by how much of the voice was still to come after that, where one window holds all of it:

{table(("encoder", "voice", "to come", *off), rests)}
One call of Whisper-tiny's encoder, 30 s, on one thread:

{table(("windows in a call", "CPU ms a window", "same numbers as alone"), calls)}"""
    publish("live_features.md", text)


if __name__ == "__main__":
    main()
