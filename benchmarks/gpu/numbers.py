"""Every network once in each number type, against float32: do its numbers hold?"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from spandrel.architectures.GFPGAN import GFPGAN
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from benchmarks.full_size import random_network
from benchmarks.gpu.device import exact_floats
from benchmarks.gpu.networks import FullDecoder, FullEncoder
from benchmarks.gpu.part import Task
from benchmarks.hybrid_work import FOLDER, random_input
from hybrid.unet3d.loading import load_unet3d
from musetalk.backends.latent.vae import load_tiny
from musetalk.backends.musetalk.generator import load_unet
from musetalk.enhancers.network_enhancer import placed
from musetalk.faces.detection.s3fd_network import S3FD
from musetalk.faces.landmarks.fan_network import FAN
from musetalk.faces.parsing.bisenet import BiSeNet, fold_norms
from musetalk.runtime.device import Compute, release_memory

_SHORT = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the inputs are.

    Attributes:
        crops: Sides of crops, in pixels: MuseTalk's, which are LatentSync's too, and LatentSync's larger ones.
        picture: Of pictures that faces are looked for in, labelled in and measured in.
        face: Of faces to enhance.
        enhancer: What the enhancer's network is made with.
        spectrum: Steps of Whisper's.
    """

    crops: tuple[int, int]
    picture: int
    face: int
    enhancer: dict[str, Any]
    spectrum: int


FULL = Sizes((256, 512), 512, 512, {}, 3000)
SMOKE = Sizes((32, 64), 64, 32, {"out_size": 32, "num_style_feat": 32, "narrow": 1 / 16}, 8)


@dataclass(frozen=True, slots=True)
class Case:
    """One network, and what it is given.

    Attributes:
        name: For the page.
        build: Makes it: float32, on the CPU.
        given: float32, on the CPU; whole numbers stay as they are.
        run: Calls it; all tensors of what it returns are compared.
        place: Moves it.
    """

    name: str
    build: Callable[[], nn.Module]
    given: tuple[Tensor, ...]
    run: Callable[..., object] = nn.Module.__call__
    place: Callable[[nn.Module, Compute], object] = lambda network, compute: compute.place(network)


def measure(task: Task) -> None:
    """Compare all."""
    task.findings.say(
        "Each network's output against its own in float32, multiplied as such: the peak signal-to-noise ratio, the "
        "peak being the range of that output, and the largest difference as a share of that range. TF32: float32 as "
        "torch multiplies it in convolutions of its own accord. Whisper, BiSeNet, S3FD and FAN run in float32 in "
        "renders, whatever the other networks do; GFPGAN in float32 or bf16."
    )
    task.findings.head("network", "numbers", "finite", "PSNR, dB", "largest difference")
    for case in cases(task, SMOKE if task.smoke else FULL):
        task.findings.attempt(case.name, partial(compare, case, task))


def cases(task: Task, sizes: Sizes) -> Iterator[Case]:
    """Every network of the program."""
    models, cells, random = task.models, sizes.crops[0] // 8, torch.Generator().manual_seed(0)

    def drawn(*size: int) -> Tensor:
        return torch.randn(*size, generator=random)

    latents, picture = drawn(2, 4, cells, cells), drawn(1, 3, sizes.picture, sizes.picture)
    seen = (drawn(2, 8, cells, cells), torch.zeros(1, dtype=torch.long), drawn(2, 50, 384))
    yield Case("MuseTalk's UNet", lambda: load_unet(models / "musetalkV15"), seen, _run_unet)
    yield Case("VAE, encoder", lambda: FullEncoder(models / "sd-vae"), (drawn(2, 3, *[sizes.crops[0]] * 2),))
    yield Case("VAE, decoder", lambda: FullDecoder(models / "sd-vae"), (latents,))
    yield Case("VAE, tiny decoder", lambda: load_tiny(models / "taesd").decoder, (latents,))
    for side in sizes.crops:
        clips = random_input(2, side, torch.device("cpu"), torch.float32)
        yield Case(f"LatentSync's UNet3D, {side} pixels", lambda: load_unet3d(models / FOLDER), clips)
    hearing = partial(WhisperEncoder, WhisperConfig(max_source_positions=sizes.spectrum // 2))
    yield Case("Whisper", lambda: random_network(hearing), (drawn(1, 80, sizes.spectrum),), _run_whisper)
    yield Case("BiSeNet", _bisenet, (picture,))
    yield Case("S3FD", lambda: random_network(S3FD), (64 * picture,))  # it takes levels, less their mean
    yield Case("FAN", lambda: random_network(FAN), (picture.sigmoid(),))
    enhancer = partial(GFPGAN, **sizes.enhancer)
    yield Case("GFPGAN", lambda: random_network(enhancer), (drawn(1, 3, sizes.face, sizes.face),), _run_gfpgan, placed)


def compare(case: Case, task: Task) -> None:
    """Run one network in every number type, and write a row for each."""
    exact = task.compute("fp32")
    network = case.build()
    with torch.inference_mode():
        case.place(network, exact)
        with exact_floats():
            wanted = _called(case, network, exact)
        if exact.device.type == "cuda":
            with exact_floats(wanted=False):
                _tell(task, case, "TF32", wanted, _called(case, network, exact))
        for name, dtype in _SHORT.items():
            short, other = Compute(exact.device, dtype), copy.deepcopy(network)
            case.place(other, short)
            _tell(task, case, name, wanted, _called(case, other, short))
            del other
    del network
    release_memory()


def _called(case: Case, network: nn.Module, compute: Compute) -> list[Tensor]:
    given = [compute.tensor(each) if each.is_floating_point() else each.to(compute.device) for each in case.given]
    return [each.float() for each in _tensors(case.run(network, *given))]


def _tensors(made: object) -> Iterator[Tensor]:
    if isinstance(made, Tensor):
        yield made
    elif isinstance(made, (list, tuple)):
        for each in made:
            yield from _tensors(each)


def _tell(task: Task, case: Case, numbers: str, wanted: list[Tensor], made: list[Tensor]) -> None:
    """Write one row: of a network's outputs, those that lie furthest apart."""
    pairs = [(one.double(), other.double()) for one, other in zip(wanted, made, strict=True)]
    finite = all(bool(torch.isfinite(other).all()) for _, other in pairs)
    spans = [float(one.max() - one.min()) or 1.0 for one, _ in pairs]
    errors = [one - other for one, other in pairs]
    worst = max(float(error.square().mean().sqrt()) / span for error, span in zip(errors, spans, strict=True))
    most = max(float(error.abs().max()) / span for error, span in zip(errors, spans, strict=True))
    ratio = f"{-20 * math.log10(worst):.1f}" if 0 < worst < math.inf else "same" if worst == 0 else "none"
    task.findings.row(case.name, numbers, "yes" if finite else "**no**", ratio, f"{most:.2%}")


def _run_unet(network: nn.Module, latents: Tensor, timestep: Tensor, audio: Tensor) -> object:
    return network(latents, timestep, encoder_hidden_states=audio, return_dict=False)[0]


def _run_whisper(network: nn.Module, spectrum: Tensor) -> object:
    return network(spectrum, output_hidden_states=True).hidden_states


def _run_gfpgan(network: nn.Module, faces: Tensor) -> object:
    return network(faces.contiguous(), return_rgb=False, randomize_noise=False)[0]


def _bisenet() -> nn.Module:
    network = random_network(BiSeNet).eval()
    fold_norms(network)
    return network
