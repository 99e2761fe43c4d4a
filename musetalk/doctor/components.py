"""The parts around the networks, each run once: mask, loop, windows of the voice, framing."""

from __future__ import annotations

from math import cos, sin
from pathlib import Path

import numpy as np
import torch

from hybrid.crop import place_aligned
from hybrid.landmarks import FacePoints, assumed_points
from hybrid.mask import SIDE, keep_mask, latent_mask
from hybrid.sampler import FAST, LATENT_CHANNELS, PUBLISHED, Conditions, Sampler, Sampling, make_scheduler
from hybrid.template import template_points, template_size
from hybrid.unet3d.config import AUDIO_CHANNELS, AUDIO_STEPS
from musetalk.audio.types import LATENTSYNC_HEARING, MUSETALK_HEARING, Hearing
from musetalk.audio.windows import FeatureTrack
from musetalk.backends.musetalk import CROP_SIZE
from musetalk.doctor.findings import Finding, Findings, judged, shape_of
from musetalk.doctor.sample_clip import FPS, FRAMES, Scene, drawn_features
from musetalk.faces.parsing.face_extent import assumed_extent, halved_crop
from musetalk.runtime.device import Compute

_SIZES = (SIDE, 2 * SIDE)
_SHARES_APART = 0.01  # of what is painted, between the sizes: the same picture, resized
_OFF_TEMPLATE = 0.01  # pixels of the crop, by which points that fit the template may miss it
_TURN, _SHRUNK, _SHIFT = 0.2, 0.7, 90.0  # radians; factor; pixels
_LATENT_SIDE = 8  # of the loop's trial


def check_components(scene: Scene, folder: Path) -> Findings:
    """Run each part once.

    Args:
        scene: The clip.
        folder: For temporary files.
    """
    lines = [_mask_line(), *(_sampler_line(name, how) for name, how in (("published", PUBLISHED), ("fast", FAST)))]
    features = folder / "windows.npy"
    lines += [
        _windows_line("MuseTalk's voice", MUSETALK_HEARING, features),
        _windows_line("LatentSync's voice", LATENTSYNC_HEARING, features),
        _aligned_line(scene),
        _halved_line(scene),
    ]
    return Findings("Components", tuple(lines))


def _mask_line() -> Finding:
    shares = [float((keep_mask(size) < 0.5).mean()) for size in _SIZES]
    latents = [float((latent_mask(size) < 0.5).mean()) for size in _SIZES]
    apart = max(shares) - min(shares)
    said = ", ".join(
        f"{share:.1%} of the pixels and {latent:.1%} of the latents at {size}"
        for size, share, latent in zip(_SIZES, shares, latents, strict=True)
    )
    problems = [f"sizes differ by {apart:.1%}"] if apart > _SHARES_APART or not 0 < min(shares) < 1 else []
    return judged("fixed mask", f"paints {said}", problems)


def _sampler_line(name: str, sampling: Sampling) -> Finding:
    """The loop's timesteps, and where it ends with a network that tells no noise at all."""
    times = [int(time) for time in make_scheduler(sampling.solver, sampling.steps).timesteps]
    latents = torch.zeros(FRAMES, LATENT_CHANNELS, _LATENT_SIDE, _LATENT_SIDE)
    mask, audio = torch.ones(1, 1, _LATENT_SIDE, _LATENT_SIDE), torch.zeros(FRAMES, AUDIO_STEPS, AUDIO_CHANNELS)

    def silent(sample: torch.Tensor, timestep: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(sample[:, :LATENT_CHANNELS])

    with torch.inference_mode():
        sampler = Sampler(silent, Compute(torch.device("cpu"), torch.float32), sampling)
        made = sampler.sample(Conditions(mask, latents, latents, audio))
    problems = [] if len(times) == sampling.steps else [f"{len(times)} timesteps"]
    problems += [] if made.shape == latents.shape and bool(made.isfinite().all()) else ["the loop's result is no clip"]
    said = f"{sampling.solver}, {sampling.steps} steps, timesteps {times[0]} ... {times[-1]}"
    return judged(f"sampler, {name}", f"{said}, guidance {sampling.guidance}, loop gives {shape_of(made)}", problems)


def _windows_line(name: str, hearing: Hearing, path: Path) -> Finding:
    track = FeatureTrack(drawn_features(path), fps=FPS, frame_count=FRAMES, hearing=hearing)
    windows = track.window(0, FRAMES)
    wanted = (FRAMES, AUDIO_STEPS, AUDIO_CHANNELS)
    states = AUDIO_STEPS // 10
    before = windows[0, :states]  # the first step that the first frame hears: 80 ms before the voice
    clamped = bool(np.array_equal(before, windows[0, states : 2 * states]) and before.any())
    right = clamped if hearing.edges == "clamp" else not before.any()
    problems = [] if windows.shape == wanted else [f"expected {list(wanted)}"]
    problems += [] if right else ["steps before the voice are wrong"]
    edge = "its first step again" if clamped else "zeros"
    return judged(name, f"windows {shape_of(windows)}, before the voice {edge}", problems)


def _aligned_line(scene: Scene) -> Finding:
    """A face is turned upright; and points that lie as the template's, but turned, shrunk and shifted, land on them."""
    [crop] = place_aligned([FacePoints.of(assumed_points(scene.faces[0].box).array())], SIDE)
    width, height = template_size(SIDE)
    template = template_points(SIDE)
    turn = np.array([[cos(_TURN), -sin(_TURN)], [sin(_TURN), cos(_TURN)]])
    points = template @ turn * _SHRUNK + _SHIFT
    [turned] = place_aligned([FacePoints.of(points)], SIDE)
    landed = [turned.point_in_crop(x, y) for x, y in points.tolist()]
    wanted = (template + 0.5) * (SIDE / width, SIDE / height)  # its own pixels have their middles at whole numbers
    off = float(np.abs(np.array(landed) - wanted).max())
    said = f"{shape_of(crop.extract(scene.frames[0]))}, a turned face's brows and nose within {off:.2f} pixels"
    problems = [] if off <= _OFF_TEMPLATE else ["the face is not where the network expects it"]
    return judged("LatentSync's framing", said, problems)


def _halved_line(scene: Scene) -> Finding:
    extent = assumed_extent(scene.faces[0].box)
    crop = halved_crop(extent, size=CROP_SIZE)
    middle = (extent.line - crop.y) / crop.height
    said = f"{shape_of(crop.extract(scene.frames[0]))}, halved at {middle:.1%} of its height"
    problems = [] if 0.45 < middle < 0.55 else ["the line across the nose is not in the middle"]
    return judged("MuseTalk's framing", said, problems)
