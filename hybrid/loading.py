"""Loads LatentSync as a generator of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hybrid.aligner import FaceAligner, pasted, shown
from hybrid.clips import shared_frames
from hybrid.denoiser import LatentSyncDenoiser
from hybrid.mask import hide_painted, paste_kept
from hybrid.options import LatentSyncOptions, Version
from hybrid.sampler import FAST, PUBLISHED, Sampling
from hybrid.unet3d.loading import place_unet3d
from musetalk.audio.types import LATENTSYNC_FEATURES
from musetalk.backends.latent.autoencoder import frames_at_once, load_autoencoder
from musetalk.backends.latent.generator import LatentGenerator, LatentOptions
from musetalk.backends.types import GeneratorSpec
from musetalk.runtime.device import Compute
from musetalk.settings import LatentSyncSettings

CROP_SIZES: dict[Version, int] = {"1.5": 256, "1.6": 512}
TRAINED_FPS = 25  # of all videos that it was shown, and of those that upstream paints: others are brought to it first
_CLIPS = 4  # in one call: these meet softly, while borders between calls do not
_MOST_AT_ONCE = 16


def load_latentsync(options: LatentSyncOptions, version: Version, compute: Compute) -> LatentGenerator:
    """Load LatentSync's generator.

    Args:
        options: Where weights lie (latentsync-1.5/ or latentsync-1.6/, sd-vae/, and taesd/ for the tiny decoder), and
            how networks and LatentSync run.
        version: "1.5" or "1.6".
        compute: What to run on.

    Raises:
        BackendError: A file is missing, damaged or another network's.
        DeviceError: The networks are to be compiled, which int8 does not allow.
    """
    models_dir, network, size = options.models_dir, options.network, CROP_SIZES[version]
    autoencoder = load_autoencoder(models_dir, compute, network.decoder, network.seed)
    notes: list[str] = []
    unet = place_unet3d(models_dir / f"latentsync-{version}", compute, notes.append)
    if network.compile:
        compute.compile(*autoencoder.networks, unet)
    sampling = sampling_of(options)
    frames = network.batch_size or frames_at_once(compute, size, _MOST_AT_ONCE)
    clip_length = sampling.clip_length + (_CLIPS - 1) * (sampling.clip_length - sampling.overlap)
    sizes = LatentOptions.on(compute, size, clip_length, frames)
    denoiser = LatentSyncDenoiser(unet, compute, sampling)
    spec = replace(spec_of(options.latentsync, sampling), notes=(*notes, *compute.notes))
    paste = None if spec.pasted is None else paste_kept
    parts = autoencoder.encoder, autoencoder.decoder, denoiser
    return LatentGenerator(*parts, compute, sizes, spec, hide_painted, paste)


def spec_of(settings: LatentSyncSettings, sampling: Sampling = PUBLISHED) -> GeneratorSpec:
    """Return LatentSync's spec: aligned faces, as it was trained; or MuseTalk's crops, the plain swap."""
    length, overlap = sampling.clip_length, sampling.overlap

    def seams(frames: int, stride: int) -> Sequence[int]:
        return shared_frames(frames, length, overlap, stride)

    whole = GeneratorSpec(
        LATENTSYNC_FEATURES,
        "aligned",
        mask="painted",
        aligner=FaceAligner(),
        paste_mask=shown,
        clip_overlap=overlap,
        min_clip=length,
        seams=seams,
        trained_fps=TRAINED_FPS,
    )
    aligned = settings.framing == "aligned"
    if aligned and settings.paste == "crop":
        return replace(whole, pasted=pasted)
    return whole if aligned else replace(whole, framing="halved", margin_below=True, aligner=None)


def sampling_of(options: LatentSyncOptions) -> Sampling:
    """Return how the loop runs: the preset, and what was set beside it."""
    wanted = options.latentsync
    preset = FAST if wanted.preset == "fast" else PUBLISHED
    seed = preset.seed if options.network.seed is None else options.network.seed
    return replace(
        preset,
        steps=wanted.steps_taken,
        guidance=wanted.guidance,
        seed=seed,
        overlap=wanted.overlap,
        cache=wanted.cache,
    )
