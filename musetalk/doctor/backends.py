"""One clip through one backend, with the weights that are here or with small stand-ins, watched."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from musetalk.backends.registry import Backend
from musetalk.backends.types import Clip, FaceGenerator
from musetalk.compositing.blending import composite
from musetalk.compositing.masks import FaceMask
from musetalk.doctor.conditioning import finite_line, latentsync_lines, musetalk_lines, pictures_line
from musetalk.doctor.findings import Finding, Findings, judged, shape_of
from musetalk.doctor.network_hooks import Call, watched
from musetalk.doctor.sample_clip import Scene, envelope_windows, feature_windows
from musetalk.errors import MuseTalkError
from musetalk.faces.parsing.parsed_faces import FaceShapes
from musetalk.pipeline.masking import FaceLayout, first_row_shown
from musetalk.runtime.device import Compute, choose_compute, release_memory
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.weights.catalog import OPTIONAL

_log = logging.getLogger(__name__)

# What a backend may end with: what it says on purpose, and what it would end a render with as a mistake of this
# program. Here both are a finding, and the other backends are looked at all the same.
_FAILS = (MuseTalkError, RuntimeError, ValueError, TypeError, MemoryError)


@dataclass(frozen=True, slots=True)
class _Painted:
    """What became of the clip.

    Attributes:
        crops: uint8 RGB [N, S, S, 3], as given.
        result: uint8 RGB [N, S, S, 3].
        outside: Pixels of the frames that changed where the mask shows nothing.
        inside: Pixels of the frames that changed elsewhere.
    """

    crops: UInt8Array
    result: UInt8Array
    outside: int
    inside: int


def check_backend(backend: Backend, settings: RenderSettings, scene: Scene) -> Findings:
    """Run the clip through a backend.

    Args:
        backend: Which.
        settings: As for a render by it.
        scene: The clip.
    """
    weights = _weights_line(backend, settings)
    try:
        with tempfile.TemporaryDirectory(prefix="musetalk-") as folder:
            lines = _run(backend, settings, scene, Path(folder), installed=not backend.lacks(settings))
    except _FAILS as error:
        _log.debug("%s failed", backend.name, exc_info=True)
        lines = [Finding("failed", f"{type(error).__name__}: {' '.join(str(error).split())}", failed=True)]
    release_memory()
    return Findings(backend.name, (weights, *lines))


def _weights_line(backend: Backend, settings: RenderSettings) -> Finding:
    if not backend.weights:
        return Finding("weights", "needs none")
    needed = [file for file in backend.weights if file not in OPTIONAL]
    states = {str(file.path): file.state(settings.models_dir) for file in needed}
    damaged = [name for name, state in states.items() if state == "damaged"]
    missing = [name for name, state in states.items() if state == "missing"]
    if damaged:
        said = "; ".join(backend.lacks(settings))
        return Finding("weights", f"damaged, a tiny filled stand-in was used: {said}", failed=True)
    if missing:
        return Finding("weights", f"tiny filled stand-in (weights missing: {', '.join(missing)})")
    return Finding("weights", "installed")


def _run(backend: Backend, settings: RenderSettings, scene: Scene, folder: Path, *, installed: bool) -> list[Finding]:
    compute = choose_compute(settings.network.device, settings.network.dtype)
    started = perf_counter()
    generator = _load(backend, settings, compute, installed=installed)
    loaded = perf_counter()
    hearing = generator.traits.hearing
    whisper = settings.models_dir / "whisper" if installed and hearing is not None else None
    speech = envelope_windows() if hearing is None else feature_windows(hearing, folder, whisper, str(compute.device))
    heard = "its envelope" if hearing is None else "heard by Whisper" if whisper else "drawn numbers for Whisper's"
    begun = perf_counter()
    with watched() as calls:
        painted = _paint(generator, settings, scene, speech)
    ended = perf_counter()
    return [
        Finding("clip", f"{shape_of(painted.crops)} {painted.crops.dtype}, {generator.traits.framing}; {scene.origin}"),
        Finding("speech", f"{shape_of(speech)} {speech.dtype}, {heard}"),
        *_given(calls, painted.crops, speech, settings, hears=hearing is not None),
        *_result(painted, calls),
        Finding(
            "seconds", f"{ended - begun:.1f} on {_where(generator, compute)}, after {loaded - started:.1f} to load"
        ),
    ]


def _load(backend: Backend, settings: RenderSettings, compute: Compute, *, installed: bool) -> FaceGenerator:
    if installed:
        return backend.load(settings)
    from musetalk.doctor.tiny_networks import stand_in  # noqa: PLC0415 - diffusers is slow to import

    return stand_in(backend.name, settings, compute)


def _paint(generator: FaceGenerator, settings: RenderSettings, scene: Scene, speech: Float32Array) -> _Painted:
    """What rendering does with a clip, without faces to parse: place, cut, generate, mix."""
    layout, frames = FaceLayout(FaceShapes(), generator, settings), range(len(scene.frames))
    placements = layout.crops(list(frames), scene.faces)
    masks = [layout.mask(*each) for each in zip(frames, scene.faces, placements, strict=True)]
    crops = np.stack([place.extract(frame) for place, frame in zip(placements, scene.frames, strict=True)])
    in_crop = tuple(place.to_crop(face) for place, face in zip(placements, scene.faces, strict=True))
    top, length = first_row_shown(masks, placements), generator.clip_length
    parts = [slice(start, start + length) for start in range(0, len(crops), length)]
    result = np.concatenate([generator.generate(Clip(crops[p], speech[p], in_crop[p], top)) for p in parts])
    outside = inside = 0
    for frame, made, place, mask in zip(scene.frames, result, placements, masks, strict=True):
        mixed = frame.copy()
        composite(mixed, made, place, mask)
        changed, shown = (mixed != frame).any(axis=2), _shown(mask, frame)
        outside += int((changed & ~shown).sum())
        inside += int((changed & shown).sum())
    return _Painted(crops, result, outside, inside)


def _shown(mask: FaceMask, frame: UInt8Array) -> npt.NDArray[np.bool_]:
    """Where a mask shows anything at all of what was generated: bool [H, W]."""
    height, width = frame.shape[:2]
    rows, columns = mask.alpha.shape
    y0, y1, x0, x1 = max(0, mask.y), min(height, mask.y + rows), max(0, mask.x), min(width, mask.x + columns)
    shown = np.zeros((height, width), np.bool_)
    shown[y0:y1, x0:x1] = mask.alpha[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x] > 0
    return shown


def _given(
    calls: Sequence[Call], crops: UInt8Array, speech: Float32Array, settings: RenderSettings, *, hears: bool
) -> list[Finding]:
    """What its network was given, by whichever family's it is."""
    if not hears:
        return [Finding("conditioned", "no network: crops are warped", bool(calls))]
    latentsync, size = settings.backend.startswith("latentsync"), crops.shape[1]
    pictures = pictures_line(calls, len(crops), size, latentsync=latentsync)
    if not latentsync:
        return [pictures, *musetalk_lines(calls, speech)]
    return [pictures, *latentsync_lines(calls, size, speech, settings.latentsync.steps or 0)]


def _result(painted: _Painted, calls: Sequence[Call]) -> list[Finding]:
    same = painted.result.shape == painted.crops.shape and painted.result.dtype == np.uint8
    counts = [] if painted.outside == 0 else ["what is not painted has to stay"]
    counts += [] if painted.inside else ["nothing was painted"]
    return [
        judged(
            "result",
            f"{shape_of(painted.result)} {painted.result.dtype}",
            [] if same else [f"expected {shape_of(painted.crops)} uint8"],
        ),
        finite_line(calls, painted.result),
        judged("pixels changed", f"{painted.outside} outside the mask, {painted.inside} under it", counts),
    ]


def _where(generator: FaceGenerator, compute: Compute) -> str:
    if generator.traits.hearing is None:
        return generator.device
    return f"{generator.device} in {str(compute.dtype).removeprefix('torch.')}"
