"""MuseTalk's own loop in small, with LatentSync where it calls its UNet.

    python -m examples.latentsync_in_musetalks_loop FACE.png VOICE.wav RESULTS --models models

FACE is a picture of a face that fills it, as such a loop crops it; VOICE a WAV file of 16 bits; RESULTS a folder that
gets one picture for each frame. For whole videos, with the face found, tracked and pasted back, there is
`python -m musetalk render --backend latentsync-1.5`; this shows the call for code that has all that already.
"""

from __future__ import annotations

import argparse
import tempfile
import wave
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from hybrid.drop_in import load_latentsync_unet3d, surgical_unet3d_inference
from hybrid.sampler import Sampling
from musetalk.audio.features import measure_features
from musetalk.audio.types import LATENTSYNC_FEATURES
from musetalk.audio.whisper import load_whisper
from musetalk.audio.windows import FeatureTrack
from musetalk.backends.latent.vae import VaeDecoder, VaeEncoder, blacken_lower_half, load_vae, to_crops, to_pixels
from musetalk.media.pictures.decoding import read_image
from musetalk.runtime.device import choose_compute
from musetalk.utils.arrays import Float32Array, UInt8Array

FPS = Fraction(25)
HEARING_RATE = 16_000  # Hz, of what Whisper is shown
BATCH = 16  # frames: a clip of LatentSync's


def main() -> None:
    """Read the command line and paint."""
    parser = argparse.ArgumentParser(description="Paint a speaking mouth into a picture of a face.")
    parser.add_argument("face", type=Path)
    parser.add_argument("voice", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--frames", type=int, help="default: as long as the voice lasts")
    given = parser.parse_args()

    # What MuseTalk's loop has: an autoencoder, crops of a face, and what is to be heard with each.
    compute = choose_compute()
    vae = compute.place(load_vae(given.models / "sd-vae"))
    encoder, decoder = VaeEncoder(vae, compute), VaeDecoder(vae, compute)
    samples = read_voice(given.voice)
    count = given.frames or int(len(samples) * FPS / HEARING_RATE)
    audio = hear(samples, count, given.models / "whisper", str(compute.device))
    crops = np.repeat(read_face(given.face)[None], count, axis=0)

    # What takes the place of its UNet.
    tools = load_latentsync_unet3d(given.models / "latentsync-1.5", vae, Sampling(steps=given.steps))

    given.results.mkdir(parents=True, exist_ok=True)
    timesteps = torch.zeros(1, dtype=torch.long)
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        pixels = to_pixels(crops[part], compute.device)
        with torch.inference_mode():
            latent_batch = torch.cat([encoder.encode(blacken_lower_half(pixels)), encoder.encode(pixels)], dim=1)
            latents = surgical_unet3d_inference(
                latent_batch, torch.tensor(audio[part]), timesteps, tools=tools, face_crops=crops[part]
            )
            painted = to_crops(decoder.decode_rows(compute.tensor(latents), 0))
        for number, picture in enumerate(painted, start):
            cv2.imwrite(str(given.results / f"{number:06}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def read_face(path: Path) -> UInt8Array:
    """Return a picture as LatentSync 1.5 sees faces: uint8 RGB [256, 256, 3]."""
    return np.asarray(cv2.resize(read_image(path), (256, 256), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def read_voice(path: Path) -> Float32Array:
    """Return the first channel of a WAV file of 16 bits at 16 kHz: float32 [n], -1 to 1."""
    with wave.open(str(path)) as file:
        rate, channels, held = file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())
    samples = np.frombuffer(held, np.int16)[::channels] / 32768
    times = np.arange(0, len(samples) / rate, 1 / HEARING_RATE)
    return np.interp(times, np.arange(len(samples)) / rate, samples).astype(np.float32)


def hear(samples: Float32Array, frames: int, whisper: Path, device: str) -> Float32Array:
    """Return what LatentSync hears with each frame: float32 [frames, 50, 384]."""
    with tempfile.TemporaryDirectory() as folder:
        encoder = load_whisper(whisper, LATENTSYNC_FEATURES, device=device)
        features = measure_features([samples], encoder, Path(folder, "features.npy"))
        return FeatureTrack(features, fps=FPS, frame_count=frames, audio_spec=LATENTSYNC_FEATURES).window(0, frames)


if __name__ == "__main__":
    main()
