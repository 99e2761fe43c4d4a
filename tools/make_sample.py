"""Make the sample that ships with the project: a portrait, a short clip of it, and a voice.

Run as `python tools/make_sample.py [--out DIR]`. Needs scikit-image (for the photograph) and the espeak-ng
program (for the voice) besides the project's own requirements; only re-making needs these two. What each file
is, and whose: musetalk/assets/README.md.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from sample_scene import SpaceScene
from sample_speaker import Framing, Speaker, pose_at

UInt8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]

ASSETS = Path(__file__).parents[1] / "musetalk" / "assets"
FPS = 25
WIDTH, HEIGHT = 640, 360
# Frames of the speaker, of the cutaway, and of the speaker again, a little closer.
FIRST_FRAMES, CUTAWAY_FRAMES, LAST_FRAMES = 60, 41, 65
# Output pixels per pixel of the photograph stay under 1.53, so that the face keeps its sharpness.
FIRST_FRAMING = Framing(center_x=257.0, center_y=143.0, scale=1.31, push_in=0.05)
LAST_FRAMING = Framing(center_x=247.0, center_y=128.0, scale=1.46, push_in=0.04)
SETTLE_FRAMES = 14  # the body comes to rest at the end, so that the picture can turn back there without a jerk
TO_BT709 = (
    "scale=flags=accurate_rnd+full_chroma_int:out_color_matrix=bt709:out_range=tv,format=yuv420p,"
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
)

# It says what it is, because the face belongs to a real person, who never said these words.
SPEECH = (
    '<speak>Hello. <break time="400ms"/> I am only a photograph, and a computer speaks for me. '
    '<break time="350ms"/> Muse Talk Hybrid makes the lips follow the words.</speak>'
)
# Of the English female voices, the one whose long-term spectrum lies nearest to recorded speech.
# Rate in words a minute; pitch on espeak-ng's scale of 0 to 99.
VOICE_OPTIONS = ("-v", "en-us+f5", "-s", "166", "-p", "48")
# Rumble off, and the synthesiser's excess above 3 kHz down by 4 dB.
VOICE_FILTERS = "highpass=f=75,treble=g=-4:f=3000,lowpass=f=9000"
VOICE_RATE = 22050
VOICE_PEAK = 0.85  # of full scale
SILENCE_BEFORE, SILENCE_AFTER = 0.24, 0.40  # seconds
QUIET = 0.003  # of full scale; what is below at either end is cut off before the silence is added


class SampleError(Exception):
    """The sample cannot be made here; the text says what is missing or what failed."""


def load_portrait() -> UInt8Array:
    """Return the photograph that scikit-image carries: uint8 RGB [512, 512, 3].

    Raises:
        SampleError: scikit-image is not installed.
    """
    try:
        from skimage import data  # noqa: PLC0415 (only re-making the sample needs it)
    except ImportError as error:
        raise SampleError("scikit-image is missing, which carries the photograph: pip install scikit-image") from error
    photograph: UInt8Array = data.astronaut()  # type: ignore[no-untyped-call, unused-ignore]
    return photograph


def body_clock() -> Float32Array:
    """Return the body's own time at each frame of the clip, in seconds; it slows to a stop at the end."""
    frames = FIRST_FRAMES + CUTAWAY_FRAMES + LAST_FRAMES
    left = np.clip((frames - 1 - np.arange(frames)) / SETTLE_FRAMES, 0, 1)
    pace = left * left * (3 - 2 * left)
    return np.asarray((np.cumsum(pace) - pace[0]) / FPS, np.float32)


def speaker_frames(speaker: Speaker, framing: Framing, first: int, count: int) -> Iterator[UInt8Array]:
    """Draw one shot of the speaker, starting at frame `first` of the clip: uint8 RGB [H, W, 3] each."""
    clock = body_clock()
    span = clock[first + count - 1] - clock[first]
    for index in range(first, first + count):
        progress = float((clock[index] - clock[first]) / span)
        yield speaker.frame(framing, progress, pose_at(index / FPS, float(clock[index])))


def clip_frames(portrait: UInt8Array) -> Iterator[UInt8Array]:
    """Draw the whole clip: the speaker, the cutaway, the speaker; uint8 RGB [HEIGHT, WIDTH, 3] each."""
    speaker, scene = Speaker(portrait, WIDTH, HEIGHT), SpaceScene(WIDTH, HEIGHT)
    yield from speaker_frames(speaker, FIRST_FRAMING, 0, FIRST_FRAMES)
    for index in range(CUTAWAY_FRAMES):
        yield scene.frame(index / (CUTAWAY_FRAMES - 1))
    yield from speaker_frames(speaker, LAST_FRAMING, FIRST_FRAMES + CUTAWAY_FRAMES, LAST_FRAMES)


def encoder_arguments(out: Path) -> list[str]:
    """Return the ffmpeg command that encodes raw RGB frames from its input.

    One thread, so that it repeats; tuned for grain, so that movements of a tenth of a pixel are not skipped.
    """
    return [
        imageio_ffmpeg.get_ffmpeg_exe(),
        *("-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24"),
        *("-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "pipe:0"),
        *("-vf", TO_BT709),
        *("-c:v", "libx264", "-preset", "veryslow", "-crf", "15", "-tune", "grain", "-threads", "1"),
        *("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart"),
        str(out),
    ]


def encode(frames: Iterable[UInt8Array], out: Path) -> None:
    """Write frames as an H.264 clip.

    Raises:
        SampleError: ffmpeg failed.
    """
    pixels = b"".join(frame.tobytes() for frame in frames)
    _run(encoder_arguments(out), pixels)


def synthesise() -> Float32Array:
    """Return the voice as float32 [samples], mono, at VOICE_RATE, peak VOICE_PEAK, silence at both ends.

    Raises:
        SampleError: espeak-ng is missing, or espeak-ng or ffmpeg failed.
    """
    espeak = shutil.which("espeak-ng")
    if espeak is None:
        raise SampleError("espeak-ng is missing, which speaks the voice: install it (apt install espeak-ng)")
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        _run([espeak, "-m", *VOICE_OPTIONS, "-w", str(spoken), SPEECH])
        filtering = ["-v", "error", "-i", str(spoken), "-af", VOICE_FILTERS, "-ac", "1", "-ar", str(VOICE_RATE)]
        raw = _run([imageio_ffmpeg.get_ffmpeg_exe(), *filtering, "-f", "f32le", "pipe:1"])
    voice = np.frombuffer(raw, "<f4")
    voice = voice * (VOICE_PEAK / np.abs(voice).max())
    heard = np.flatnonzero(np.abs(voice) > QUIET)
    ends = int(SILENCE_BEFORE * VOICE_RATE), int(SILENCE_AFTER * VOICE_RATE)
    return np.pad(voice[heard[0] : heard[-1] + 1], ends).astype(np.float32)


def write_wave(voice: Float32Array, out: Path) -> None:
    """Write float32 [samples], -1 to 1, as 16-bit mono PCM at VOICE_RATE."""
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VOICE_RATE)
        file.writeframes(np.round(voice * 32767).astype("<i2").tobytes())


def make_sample(folder: Path) -> list[Path]:
    """Make the three files in `folder`, which is created if need be, and return their paths.

    Raises:
        SampleError: Something needed is missing or failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    portrait_path, clip_path, voice_path = (folder / name for name in ("portrait.png", "sample.mp4", "voice.wav"))
    portrait = load_portrait()
    encoded, png = cv2.imencode(".png", portrait[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not encoded:
        raise SampleError("OpenCV could not encode the portrait as PNG")
    portrait_path.write_bytes(png.tobytes())
    encode(clip_frames(portrait), clip_path)
    write_wave(synthesise(), voice_path)
    return [portrait_path, clip_path, voice_path]


def _run(command: list[str], data: bytes = b"") -> bytes:
    """Run a program with `data` on its input and return its output."""
    try:
        return subprocess.run(command, input=data, capture_output=True, check=True, timeout=300).stdout
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip()
        raise SampleError(f"{Path(command[0]).name} failed: {reason}") from error


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the sample portrait, clip and voice again.")
    parser.add_argument("--out", type=Path, default=ASSETS, help="folder to write to (default: musetalk/assets/)")
    try:
        paths = make_sample(parser.parse_args().out)
    except SampleError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path in paths:
        sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
