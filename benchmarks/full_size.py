"""Every network in its published size, with random weights, in files of the published layout.

Names, shapes and configurations of MuseTalk's UNet, of LatentSync's and of the autoencoder are those of the published
checkpoints (tests/golden/*_keys.json); the loaders refuse files that differ from them in one tensor.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderTiny
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from benchmarks.common import ROOT
from musetalk.faces.detection.s3fd_network import S3FD
from musetalk.faces.parsing.bisenet import BiSeNet
from musetalk.weights.lock import entry_of, record

Shapes = Mapping[str, Sequence[int]]
_Network = TypeVar("_Network", bound=nn.Module)

_GOLDEN = ROOT / "tests" / "golden"
_DRAWN = 2**22  # different values; a larger tensor repeats them, as drawing 850 million takes half a minute


def write_models(folder: Path) -> None:
    """Write all that `musetalk-v15` can read, about 3.9 GB, one network in memory at a time.

    Args:
        folder: Where to; becomes a folder of models.

    Raises:
        OSError: The disk has too little room.
    """
    _check_room(folder, 5)
    keys = _keys("musetalk_unet")
    _write(folder / "musetalkV15" / "unet.pth", keys["state_dict"], ("musetalk.json", keys["config"]))
    write_vae(folder)
    config, shapes = _tiny()
    _write(folder / "taesd" / "diffusion_pytorch_model.bin", shapes, ("config.json", config))
    write_network(folder / "s3fd" / "s3fd-619a316812.pth", S3FD)
    write_network(folder / "face-parse-bisent" / "79999_iter.pth", BiSeNet)
    hearing = WhisperConfig()  # its defaults are Whisper-tiny's sizes
    write_network(folder / "whisper" / "pytorch_model.bin", lambda: WhisperEncoder(hearing), prefix="model.encoder.")
    hearing.save_pretrained(folder / "whisper")
    WhisperFeatureExtractor().save_pretrained(folder / "whisper")


def write_latentsync(folder: Path) -> None:
    """Write LatentSync's network, with motion modules at all levels, about 5 GB.

    Args:
        folder: Where to; becomes a folder of models.

    Raises:
        OSError: The disk has too little room.
    """
    _check_room(folder, 6)
    keys = _keys("latentsync_unet3d")
    _write(folder / "latentsync-1.5" / "latentsync_unet.pt", keys["state_dicts"]["stage2"])


def write_network(
    path: Path,
    build: Callable[[], nn.Module],
    config: tuple[str, Mapping[str, Any]] | None = None,
    prefix: str = "",
) -> None:
    """Write a network of any size with random values.

    Args:
        path: The file.
        build: Makes the network, whose shapes alone count.
        config: The name of a file beside it, and what that says.
        prefix: Before each name of a tensor.
    """
    _write(path, {f"{prefix}{name}": shape for name, shape in _shapes(build).items()}, config)


def write_vae(folder: Path) -> None:
    """Write the autoencoder, 0.3 GB."""
    vae = _keys("musetalk_unet")["vae"]
    _write(folder / "sd-vae" / "diffusion_pytorch_model.bin", vae["state_dict"], ("config.json", vae["config"]))


def claim_models(folder: Path) -> None:
    """Record the files as the user's own: a backend takes files that are not the published ones only then."""
    paths = sorted(path for path in folder.glob("*/*") if path.is_file())
    with ThreadPoolExecutor() as threads:
        for path, digest in zip(paths, threads.map(_digest, paths), strict=True):
            entry = entry_of(digest, path.stat().st_size, "benchmarks.full_size", own=True)
            record(folder, PurePosixPath(*path.relative_to(folder).parts), entry)


def random_values(shapes: Shapes) -> Iterator[tuple[str, Tensor]]:
    """Values that keep activations near unit size through any depth: float32, by name.

    Uniform weights of variance 1 / fan-in, biases of 0, gains and variances of 1.
    """
    drawn = torch.empty(_DRAWN).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    for name, shape in shapes.items():
        leaf = name.rpartition(".")[2]
        if leaf == "num_batches_tracked":
            yield name, torch.zeros(tuple(shape), dtype=torch.int64)
        elif len(shape) > 1:
            values = torch.empty(tuple(shape))
            for part in torch.split(values.view(-1), _DRAWN):
                torch.mul(drawn[: len(part)], math.sqrt(3 / math.prod(shape[1:])), out=part)
            yield name, values
        else:
            yield name, torch.full(tuple(shape), float(leaf in {"weight", "running_var"}))


def random_network(build: Callable[[], _Network]) -> _Network:
    """Build a network, on the CPU, with random values of its own."""
    network = build()
    network.load_state_dict(dict(random_values(_shapes(build))))
    return network


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _check_room(folder: Path, gigabytes: int) -> None:
    if shutil.disk_usage(folder).free < gigabytes * 10**9:
        raise OSError(f"{folder} has less than {gigabytes} GB of free disk: set TMPDIR to a roomier folder")


def _keys(network: str) -> dict[str, Any]:
    keys: dict[str, Any] = json.loads((_GOLDEN / f"{network}_keys.json").read_text(encoding="utf-8"))
    return keys


def _write(path: Path, shapes: Shapes, config: tuple[str, Mapping[str, Any]] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (path.parent / config[0]).write_text(json.dumps(dict(config[1])), encoding="utf-8")
    torch.save(dict(random_values(shapes)), path)


def _shapes(build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in build().state_dict().items()}


def _tiny() -> tuple[dict[str, Any], Shapes]:
    """TAESD's configuration, which is diffusers' default, and its shapes."""
    with torch.device("meta"):
        tiny = AutoencoderTiny()
    config = {name: value for name, value in tiny.config.items() if name != "block_out_channels"}  # derived
    return config, {name: tuple(value.shape) for name, value in tiny.state_dict().items()}
