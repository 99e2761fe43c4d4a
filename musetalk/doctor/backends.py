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

from musetalk.audio.types import AudioFeatureSpec
from musetalk.backends.check import Finding, NetworkCall, WatchedClip, judged, shape_of
from musetalk.backends.spec import AnyBackend, ConfiguredBackend
from musetalk.backends.types import Clip, FaceGenerator
from musetalk.compositing.blending import composite
from musetalk.compositing.masks import FaceMask
from musetalk.doctor.findings import Findings
from musetalk.doctor.network_hooks import watched
from musetalk.doctor.sample_clip import Scene, envelope_windows, feature_windows
from musetalk.errors import MuseTalkError, one_line
from musetalk.faces.parsing.parsed_faces import ParsedFaces
from musetalk.pipeline.cropping import FaceCropper
from musetalk.pipeline.masking import FaceMasker, first_row_shown
from musetalk.runtime.device import Compute, choose_compute, release_memory
from musetalk.settings import CropSettings, MaskSettings, NetworkSettings
from musetalk.utils.arrays import Float32Array, UInt8Array
from musetalk.utils.files import temporary_folder

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


def check_backend(
    backend: ConfiguredBackend, scene: Scene, network: NetworkSettings, crop: CropSettings, mask: MaskSettings
) -> Findings:
    """Run the clip through a backend.

    Args:
        backend: Which.
        scene: The clip.
        network: How networks run, as in the backend's options.
        crop: How faces are cropped.
        mask: Where the generated face replaces the source.
    """
    lacks = backend.lacks()
    weights = _weights_line(backend.spec, backend.models_dir, lacks)
    if backend.spec.tiny is None and lacks:
        said = "this backend has no small networks that could stand in for its weights"
        return Findings(backend.name, (weights, Finding("clip", f"not run: {said}")))
    try:
        with temporary_folder(Path(tempfile.gettempdir())) as folder:
            lines = _run(backend, scene, network, crop, mask, folder, installed=not lacks)
    except _FAILS as error:
        _log.debug("%s failed", backend.name, exc_info=True)
        lines = [Finding("failed", f"{type(error).__name__}: {one_line(error)}", failed=True)]
    release_memory()
    return Findings(backend.name, (weights, *lines))


def _weights_line(backend: AnyBackend, models_dir: Path, lacks: Sequence[str]) -> Finding:
    if not backend.weights:
        return Finding("weights", "needs none")
    states = {str(file.path): file.state(models_dir) for file in backend.needed}
    damaged = [name for name, state in states.items() if state == "damaged"]
    missing = [name for name, state in states.items() if state == "missing"]
    if damaged:
        said = "; ".join(lacks)
        used = "" if backend.tiny is None else ", a tiny filled stand-in was used"
        return Finding("weights", f"damaged{used}: {said}", failed=True)
    if missing:
        used = "none" if backend.tiny is None else "tiny filled stand-in"
        return Finding("weights", f"{used} (weights missing: {', '.join(missing)})")
    return Finding("weights", "installed")


def _run(
    backend: ConfiguredBackend,
    scene: Scene,
    network: NetworkSettings,
    crop: CropSettings,
    mask: MaskSettings,
    folder: Path,
    *,
    installed: bool,
) -> list[Finding]:
    spec, options = backend.spec, backend.options
    compute = choose_compute(network.device, network.dtype)
    load = spec.load if installed or spec.tiny is None else spec.tiny
    started = perf_counter()
    generator = load(options)
    check = None if spec.check is None else spec.check()
    loaded = perf_counter()
    audio_spec = generator.spec.audio_spec
    whisper = backend.models_dir / "whisper" if installed and audio_spec is not None else None
    speech = (
        envelope_windows() if audio_spec is None else feature_windows(audio_spec, folder, whisper, str(compute.device))
    )
    heard = "its envelope" if audio_spec is None else "heard by Whisper" if whisper else "drawn numbers for Whisper's"
    masker = FaceMasker(FaceCropper(ParsedFaces(), generator, crop), generator.spec, mask)
    begun = perf_counter()
    with watched({} if check is None else check.networks(generator)) as calls:
        painted = _paint(generator, masker, scene, speech)
    ended = perf_counter()
    seen = WatchedClip(calls, painted.crops, speech, options)
    given = _unwatched(audio_spec) if check is None else check.findings(seen)
    return [
        Finding("clip", f"{shape_of(painted.crops)} {painted.crops.dtype}, {generator.spec.framing}; {scene.origin}"),
        Finding("speech", f"{shape_of(speech)} {speech.dtype}, {heard}"),
        *given,
        *_result(painted, calls),
        Finding(
            "seconds", f"{ended - begun:.1f} on {_where(generator, compute)}, after {loaded - started:.1f} to load"
        ),
    ]


def _unwatched(audio_spec: AudioFeatureSpec | None) -> list[Finding]:
    """Return what is said of a backend that tells of no networks."""
    if audio_spec is None:
        return [Finding("conditioned", "no network: crops are warped")]
    return [Finding("conditioned", "its networks were not watched: the backend does not say which they are")]


def _paint(generator: FaceGenerator, masker: FaceMasker, scene: Scene, speech: Float32Array) -> _Painted:
    """Return what rendering does with a clip, without faces to parse: place, cut, generate, mix."""
    frames = range(len(scene.frames))
    transforms = masker.cropper.crops(list(frames), scene.faces)
    masks = [masker.mask(*each) for each in zip(frames, scene.faces, transforms, strict=True)]
    crops = np.stack([place.crop(frame) for place, frame in zip(transforms, scene.frames, strict=True)])
    in_crop = tuple(place.to_crop(face) for place, face in zip(transforms, scene.faces, strict=True))
    top, length = first_row_shown(masks, transforms), generator.clip_length
    parts = [slice(start, start + length) for start in range(0, len(crops), length)]
    result = np.concatenate([generator.generate(Clip(crops[p], speech[p], in_crop[p], top)) for p in parts])
    outside = inside = 0
    for frame, made, place, mask in zip(scene.frames, result, transforms, masks, strict=True):
        mixed = frame.copy()
        composite(mixed, made, place, mask)
        changed, shown = (mixed != frame).any(axis=2), _shown(mask, frame)
        outside += int((changed & ~shown).sum())
        inside += int((changed & shown).sum())
    return _Painted(crops, result, outside, inside)


def _shown(mask: FaceMask, frame: UInt8Array) -> npt.NDArray[np.bool_]:
    """Return where a mask shows anything at all of what was generated: bool [H, W]."""
    height, width = frame.shape[:2]
    rows, columns = mask.alpha.shape
    y0, y1, x0, x1 = max(0, mask.y), min(height, mask.y + rows), max(0, mask.x), min(width, mask.x + columns)
    shown = np.zeros((height, width), np.bool_)
    shown[y0:y1, x0:x1] = mask.alpha[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x] > 0
    return shown


def _result(painted: _Painted, calls: Sequence[NetworkCall]) -> list[Finding]:
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


def finite_line(calls: Sequence[NetworkCall], result: UInt8Array) -> Finding:
    """Return whether networks returned numbers; pixels are, once they are."""
    if not calls:
        return Finding("finite", "pixels are whole numbers, and no network was called")
    bad = [call.network for call in calls if not call.finite]
    called = [f"{network} did not" for network in dict.fromkeys(bad)]
    flat = [] if result.min() < result.max() else ["all pixels are the same"]
    return judged("finite", f"{len(calls) - len(bad)} of {len(calls)} calls returned numbers alone", [*called, *flat])


def _where(generator: FaceGenerator, compute: Compute) -> str:
    if generator.spec.audio_spec is None:
        return generator.device
    numbers = str(compute.dtype).removeprefix("torch.")
    return f"{generator.device} in {numbers}" + (" and int8" if compute.int8 else "")
