"""ComfyUI's VIDEO, IMAGE and AUDIO as files that a render reads."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from musetalk.errors import MediaError, VoiceError
from musetalk.media.lossless import LosslessWriter
from musetalk.media.sound.wav import write_wav
from musetalk.progress import CancelToken
from musetalk.settings import parse_rate
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.files import writing

from .host import Audio, Tensor, Video, in_memory, named_file

_BLOCK_SECONDS = 4
# What newer versions of ComfyUI can do to a video before it is read, and by what they tell that it was done.
_EDITS = {"as_trimmed": "get_active_trim_window", "as_cropped": "has_pending_frame_edits"}


def source_file(
    video: Video | None, images: Tensor | None, fps: float, path: str, folder: Path, cancel: CancelToken
) -> Path:
    """Return the file of a source, which is written into `folder` where there is none yet.

    Args:
        video: As a VIDEO.
        images: Or as an IMAGE batch; one picture is a portrait.
        fps: The rate of `images`.
        path: Or as a path; see `named_file`.
        folder: An existing one, which lasts as long as the source is used.
        cancel: Ends the writing.

    Raises:
        MediaError: There is no source, more than one, or one that is empty.
        OutputError: It cannot be written.
    """
    if [video is not None, images is not None, bool(path.strip())].count(True) != 1:
        raise MediaError("the source is not told", "connect a video, or images, or write a path: one of the three")
    if video is not None:
        return video_file(video, folder, cancel)
    if images is not None:
        return _pictures_file(images, parse_rate(round(fps, 6)) or Fraction(25), folder, cancel)
    return named_file(path)


def voice_file(audio: Audio | None, path: str, folder: Path, cancel: CancelToken) -> Path:
    """Return the file of a voice, which is written into `folder` where it is no file yet.

    Raises:
        VoiceError: There is no voice, more than one, or one that is empty.
        OutputError: It cannot be written.
    """
    if (audio is not None) == bool(path.strip()):
        raise VoiceError("the voice is not told", "connect a sound, or write a path: one of the two")
    if audio is None:
        return named_file(path)
    waveform, rate = audio["waveform"], int(audio["sample_rate"])
    if waveform.ndim != 3 or waveform.shape[0] != 1:
        problem = f"the sound is a batch of {tuple(waveform.shape)}, and one voice is to be spoken"
        raise VoiceError(problem, "pick one of the batch before it comes here")
    out = folder / "voice.wav"
    with writing(out):
        write_wav(out, _blocks(waveform[0], rate * _BLOCK_SECONDS, cancel), rate, waveform.shape[1])
    return out


def _blocks(waveform: Tensor, size: int, cancel: CancelToken) -> Iterator[Float32Array]:
    """Yield samples [C, T] as float32 [n, C], a few seconds at a time."""
    for start in range(0, waveform.shape[1], size):
        cancel.check()
        yield waveform[:, start : start + size].T.float().cpu().numpy()


def video_file(video: Video, folder: Path, cancel: CancelToken) -> Path:
    """Return the file behind a VIDEO; where there is none that shows what it does, it is written.

    One that lies in memory as frames is written without loss. ComfyUI writes one that was trimmed, cropped or resized.
    """
    if in_memory(video):
        parts = video.get_components()
        return _pictures_file(parts.images, Fraction(parts.frame_rate), folder, cancel)
    out = folder / "source.mp4"
    with writing(out):
        if not _is_as_stored(video):
            video.save_to(str(out))
            return out
        stored = video.get_stream_source()
        if not isinstance(stored, io.BytesIO):
            return Path(stored)
        with out.open("wb") as file:
            shutil.copyfileobj(stored, file)
    return out


def _is_as_stored(video: Video) -> bool:
    """Return whether a VIDEO shows what its file does; where it cannot tell, it may not."""
    for edit, tells in _EDITS.items():
        if not hasattr(video, edit):
            continue
        told = getattr(video, tells)() if hasattr(video, tells) else True
        if any(told) if isinstance(told, tuple) else told:
            return False
    return True


def _pictures_file(images: Tensor, fps: Fraction, folder: Path, cancel: CancelToken) -> Path:
    """Write an IMAGE batch, float [B, H, W, C], as a video without loss; one picture as a picture."""
    if images.ndim != 4 or not images.shape[0]:
        raise MediaError(f"the images are a batch of {tuple(images.shape)}", "connect at least one picture")
    if images.shape[0] == 1:
        out = folder / "source.png"
        with writing(out):
            Image.fromarray(_picture(images[0])).save(out)
        return out
    out = folder / "source.mp4"
    with LosslessWriter(out, (images.shape[2], images.shape[1]), fps, cancel) as writer:
        for number in range(images.shape[0]):
            cancel.check()
            writer.write(_picture(images[number]))
        writer.finish()
    return out


def _picture(image: Tensor) -> UInt8Array:
    """Return one image, float [H, W, C] from 0 to 1, as uint8 RGB [H, W, 3]; what shows through it is left out."""
    values = image[..., :3].float().clamp(0, 1).mul(255).round().cpu().numpy()
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)), np.uint8)
