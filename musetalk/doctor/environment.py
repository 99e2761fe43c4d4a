"""What this machine has, which backends can run on it, and what the others lack."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import ConfiguredBackend
from musetalk.enhancers.registry import EnhancerRegistry
from musetalk.errors import OutputError
from musetalk.faces.detection.registry import DetectorRegistry, detector_name
from musetalk.frame_steps.registry import FrameStepRegistry
from musetalk.media.ffmpeg_process import ffmpeg_executable
from musetalk.media.writer import try_encoder
from musetalk.pipeline.report import versions
from musetalk.settings import DetectorSettings, EncoderSettings, RenderSettings
from musetalk.tts.registry import VoiceRegistry
from musetalk.tts.spec import VoiceSpec
from musetalk.utils.extensions import Broken
from musetalk.weights import lacking
from musetalk.weights.catalog import FACE_PARSING, LANDMARKS

_CUDA_DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


def examine(registry: BackendRegistry, models_dir: Path) -> dict[str, list[tuple[str, str]]]:
    """Look at versions, machine, ffmpeg and backends with the settings as they usually are.

    Args:
        registry: The backends.
        models_dir: Where weights are.

    Returns:
        Tables of (name, finding), by title.
    """
    settings, enhancers, steps = RenderSettings(models_dir=models_dir), EnhancerRegistry(), FrameStepRegistry()
    return {
        "Versions": list(versions().items()),
        "Machine": [
            ("system", platform.platform()),
            ("processor cores", str(os.cpu_count())),
            ("memory", f"{psutil.virtual_memory().total / 2**30:.1f} GiB"),
            ("devices for backends", ", ".join(devices())),
        ],
        "ffmpeg": [
            ("program", ffmpeg_executable()),
            ("H.264 by x264", _trial(EncoderSettings(codec="x264"))),
            ("H.264 by NVENC", _trial(EncoderSettings(codec="nvenc"))),
        ],
        "Faces": _faces(settings.detector, models_dir),
        "Backends": [
            *((each.name, _lacking(each.configured(settings)) or f"ready: {each.summary}") for each in registry),
            *_unusable(registry.broken),
        ],
        "Enhancers": [
            *((each.name, "; ".join(each.lacks(models_dir)) or "ready") for each in enhancers),
            *_unusable(enhancers.broken),
        ],
        "Frame steps": [
            *((each.name, "; ".join(each.lacks(models_dir)) or f"ready: {each.summary}") for each in steps),
            *_unusable(steps.broken),
        ],
        "Voices": [
            *((each.name, "; ".join(each.lacks(models_dir)) or f"ready: {each.title}") for each in _voices(models_dir)),
            *_unusable(VoiceRegistry().broken),
        ],
    }


def _voices(models_dir: Path) -> Iterable[VoiceSpec]:
    """Yield what reads texts aloud; of those that share their files and lack the same, the first."""
    files = set[tuple[str, ...]]()
    for voice in VoiceRegistry().voices(models_dir):
        own = (voice.weight_set or voice.name, *voice.missing())
        if own not in files:
            files.add(own)
            yield voice


def _unusable(broken: Iterable[Broken]) -> list[tuple[str, str]]:
    return [(each.name, f"installed, and cannot be used ({each.place}: {each.why})") for each in broken]


def _lacking(backend: ConfiguredBackend) -> str:
    return "; ".join(backend.lacks())


def _faces(wanted: DetectorSettings, models_dir: Path) -> list[tuple[str, str]]:
    """Return what finds faces and reads them, and what of it is missing; the detector that "auto" takes is named."""
    taken, registry = detector_name(wanted, models_dir), DetectorRegistry()
    rows = []
    for detector in registry:
        ready = "ready, taken" if detector.name == taken else "ready"
        rows.append((f"{detector.title} detector", "; ".join(detector.lacks(models_dir)) or ready))
    rows += [(f"{name} detector", why) for name, why in _unusable(registry.broken)]
    readers = (("face parsing", FACE_PARSING, "faces"), ("landmarks", LANDMARKS, "landmarks"))
    return rows + [(title, "; ".join(lacking([file], models_dir, part)) or "ready") for title, file, part in readers]


def devices() -> tuple[str, ...]:
    """Return what networks could run on, as torch sees it; torch is not loaded where there is no driver of a GPU."""
    if not _has_cuda_driver():
        return ("cpu",)
    import torch  # noqa: PLC0415 - heavy, and only looked for here

    return ("cpu", *(f"cuda:{n} {torch.cuda.get_device_name(n)}" for n in range(torch.cuda.device_count())))


def _has_cuda_driver() -> bool:
    library = _CUDA_DRIVERS.get(sys.platform)
    if library is None:
        return False
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _trial(settings: EncoderSettings) -> str:
    try:
        try_encoder(settings)
    except OutputError as error:
        return f"not available ({error})"
    return "ready"
