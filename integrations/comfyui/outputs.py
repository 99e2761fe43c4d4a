"""What a render made, as ComfyUI's IMAGE, MASK, AUDIO and text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import psutil
import torch

from musetalk.errors import MediaError
from musetalk.media.probe import probe_wanted
from musetalk.media.reader import read_frames
from musetalk.media.sound.voice import extract_sound_of
from musetalk.media.sound.wav import read_wav
from musetalk.media.types import Source
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken
from musetalk.settings import Limits, SourceSettings
from musetalk.utils.units import counted, size

from .host import Audio, Tensor

_FLOAT_BYTES = 4
_SIZE_ROUNDING = 2  # pixels by which a smaller video may have another shape


def open_video(path: Path, cancel: CancelToken) -> Source:
    """Look at a video that is to be read frame by frame.

    Raises:
        MediaError: It cannot be read.
    """
    return probe_wanted(path, SourceSettings(), cancel)


def frame_range(source: Source, first: int, count: int) -> range:
    """Return the frames of a video from `first` on, `count` of them at most; 0: all that follow.

    Raises:
        MediaError: There are none.
    """
    stop = source.frame_count if count == 0 else min(source.frame_count, first + count)
    if first >= stop:
        raise MediaError(f"there is no frame {first}", f"the video has {counted(source.frame_count, 'frame')}")
    return range(first, stop)


def images_of(source: Source, frames: range, step: Callable[[int, int], None], cancel: CancelToken) -> Tensor:
    """Read frames of a video as an IMAGE batch: float32 [B, H, W, 3], 0 to 1.

    Raises:
        MediaError: They cannot be read, or do not fit into memory.
    """
    _check_room(len(frames), (source.height, source.width, 3))
    images = torch.empty((len(frames), source.height, source.width, 3))
    done = 0
    for picture in read_frames(source, frames.start, frames.stop, cancel=cancel):
        images[done] = torch.from_numpy(picture).float().div_(255)
        done += 1
        step(done, len(frames))
    return images[:done]


def masks_of(source: Source, frames: range, height: int, width: int, cancel: CancelToken) -> Tensor:
    """Read frames of a video of masks as a MASK batch: float32 [B, H, W], 0 to 1; 1 where a face was painted.

    The video may be smaller than the frames that its masks belong to: they are scaled to these, unless these are of
    another shape, as after frame steps that add to the picture.
    """
    across, down = source.width, source.height
    alike = abs(width * down - height * across) <= _SIZE_ROUNDING * max(width, height)
    across, down = (width, height) if alike else (across, down)
    _check_room(len(frames), (down, across))
    masks = torch.zeros((len(frames), down, across))
    for number, picture in enumerate(read_frames(source, frames.start, frames.stop, cancel=cancel)):
        grey = cv2.resize(np.ascontiguousarray(picture[..., 1]), (across, down), interpolation=cv2.INTER_LINEAR)
        masks[number] = torch.from_numpy(grey).float().div_(255)
    return masks


def _check_room(count: int, shape: tuple[int, ...]) -> None:
    """Refuse a batch that does not fit into memory, before it takes it.

    Raises:
        MediaError: It does not.
    """
    wanted, free = count * int(np.prod(shape)) * _FLOAT_BYTES, psutil.virtual_memory().available
    if wanted > free:
        problem = f"{counted(count, 'frame')} take {size(wanted)} as numbers, and {size(free)} of memory are free"
        raise MediaError(problem, "take fewer at a time by `first` and `count`, or pass the video on as a video")


def sound_of(source: Source, frames: range, folder: Path, cancel: CancelToken) -> Audio | None:
    """Read what is heard during frames as an AUDIO; None: the video has no sound.

    Raises:
        MediaError: It cannot be decoded.
    """
    voice = extract_sound_of(source, folder, Limits(), cancel)
    if voice is None:
        return None
    first, stop = (round(frame / source.fps * voice.rate) for frame in (frames.start, frames.stop))
    sound = read_wav(voice.path)
    stop = min(stop, sound.samples)
    waveform, done = torch.zeros((1, sound.channels, max(0, stop - first))), 0
    for block in sound.blocks(voice.rate, cancel, first=first) if first < stop else ():
        part = torch.from_numpy(np.array(block[: stop - first - done])).T
        waveform[0, :, done : done + part.shape[1]] = part
        done += part.shape[1]
        if done == stop - first:
            break
    return {"waveform": waveform, "sample_rate": voice.rate}


def report_text(report: RenderReport, out: Path) -> str:
    """Return the report as JSON, as `--report` writes it."""
    return json.dumps(replace(report, output=str(out)).to_dict(), indent=2, ensure_ascii=False)


def label(report: RenderReport, notice: str) -> str:
    """Return what is to be seen on the node: what the result has to be labelled with, fallbacks, warnings.

    Args:
        report: Of the render.
        notice: What results of its backend have to be labelled with; empty: nothing.
    """
    told = [f"{counted(report.frames, 'frame')} by {report.backend}"]
    if notice:
        told.append(notice)
    if report.choice:
        told.append(report.choice)
    if report.fallback_frames:
        reasons = "; ".join(dict.fromkeys(f"{each.backend}: {each.reason}" for each in report.fallbacks))
        told.append(f"{report.fallback_frames} of them by a fallback ({reasons})")
    return "\n".join([*told, *report.warnings])
