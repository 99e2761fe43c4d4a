"""MuseTalk's flags, with its names and defaults, as tasks for this pipeline. Heavy imports wait until flags are read.

Names, defaults and their meaning: TMElyralab/MuseTalk, scripts/inference.py, as of version 1.5.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetalk.errors import SettingsError
from musetalk.settings import AUTO, RenderSettings, merge_settings, setting_fields

if TYPE_CHECKING:
    from musetalk.batch.rows import Row

BACKENDS = {"v15": "musetalk-v15", "v1": "musetalk-v1"}
_CHECKPOINTS = {"v15": Path("musetalkV15", "unet.pth"), "v1": Path("musetalk", "pytorch_model.bin")}
_VAE = "sd-vae"
# Flags that are settings, by the settings' dotted names; what else they are called there.
_SETTINGS = {
    "bbox_shift": "bbox_shift",
    "extra_margin": "extra_margin",
    "mask.shape": "parsing_mode",
    "mask.left_cheek_width": "left_cheek_width",
    "mask.right_cheek_width": "right_cheek_width",
    "speech.audio_padding_length_left": "audio_padding_length_left",
    "speech.audio_padding_length_right": "audio_padding_length_right",
    "fps": "fps",
    "network.batch_size": "batch_size",
}
# What upstream's defaults and choices are, where they are not those here.
_THEIRS: dict[str, dict[str, Any]] = {
    "parsing_mode": {"default": "jaw", "choices": ("jaw", "neck", "raw"), "help": "shape of the painted region"},
    "batch_size": {"default": 8},
}
_MASKS = tuple(flag for name, flag in _SETTINGS.items() if name.startswith("mask."))
_V15_ONLY = ("extra_margin", *_MASKS)


@dataclass(frozen=True, slots=True)
class Request:
    """What a command line asks for.

    Attributes:
        rows: What to render; the flags are among their settings.
        notices: What the user should know of flags that have no effect here, a line each.
        config: The file of tasks.
    """

    rows: tuple[Row, ...]
    notices: tuple[str, ...]
    config: Path


def read_request(argv: Sequence[str] | None = None, *, gpus: int | None = None) -> Request:
    """Read a command line and the file of tasks that it names.

    What a task says wins over the flags, as in MuseTalk.

    Args:
        argv: The arguments; None: this program's.
        gpus: How many GPUs there are; None: asks torch.

    Raises:
        SettingsError: A flag, a path or a task cannot work here.
        BackendError: There is no such backend.
        SystemExit: The flags make no command line, or help was asked for.
    """
    parser = _parser()
    flags = parser.parse_args(argv)
    values, notices = values_of(flags, gpus)
    if flags.backend not in (None, AUTO):
        from musetalk.backends.registry import BackendRegistry  # noqa: PLC0415

        BackendRegistry().get(flags.backend)
    RenderSettings.parse(values)  # before any task: a flag that cannot work is no task's fault
    rows = _rows(flags, values)
    notices += without_effect(parser, flags)
    if flags.version == "v15" and (flags.bbox_shift or any(row.settings["bbox_shift"] for row in rows)):
        notices.append("bbox_shift has no effect with --version v15, as in MuseTalk; python -m musetalk heeds it")
        rows = [replace(row, settings={**row.settings, "bbox_shift": 0}) for row in rows]
    return Request(tuple(rows), tuple(notices), flags.inference_config)


def values_of(flags: argparse.Namespace, gpus: int | None = None) -> tuple[dict[str, Any], list[str]]:
    """Return what flags ask for, as settings; and what the user should know of them.

    Args:
        flags: As a parser with `add_shared_flags` has read them.
        gpus: How many GPUs there are; None: asks torch.

    Raises:
        SettingsError: A path, or a GPU, is not where it can be.
    """
    models_dir, notices = _models_dir(flags)
    network, more = _network(flags, count_gpus() if gpus is None else gpus)
    values = _values(flags)
    return values | {"models_dir": models_dir, "network": {**values["network"], **network}}, [*notices, *more]


def count_gpus() -> int:
    """How many GPUs torch can use."""
    import torch  # noqa: PLC0415

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.inference",
        description="MuseTalk's command line, over this project's pipeline.",
        epilog="More can be chosen with: python -m musetalk render --help",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--inference_config", type=Path, default="configs/inference/test_img.yaml", help="YAML file of tasks")
    add(
        "--result_dir",
        type=Path,
        default="./results",
        help="results go to a folder in it, named as --version or --backend",
    )
    add("--output_vid_name", help="name of the result, where the task gives none")
    add("--backend", help="paints instead of MuseTalk's version: latentsync-1.5, any other of this project's, or auto")
    add_shared_flags(parser)
    add("--use_float16", action="store_true", help="on a GPU: half precision")
    add("--use_saved_coord", action="store_true", help="use the faces found earlier, and keep them")
    add("--saved_coord", action="store_true", help="the same")
    return parser


def add_shared_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that all of MuseTalk's scripts have."""
    add = parser.add_argument
    add("--version", choices=tuple(BACKENDS), default="v15", help="of MuseTalk")
    add("--unet_model_path", type=Path, default="./models/musetalkV15/unet.pth", help="the version's checkpoint")
    add("--unet_config", type=Path, default="./models/musetalk/config.json", help="lies beside the checkpoint here")
    add("--vae_type", default=_VAE, help="only this one")
    add("--whisper_dir", type=Path, default="./models/whisper", help="whisper/ of the checkpoint's models folder")
    fields = {field.name: field for field in setting_fields(RenderSettings)}
    for name, flag in _SETTINGS.items():
        field = fields[name]
        told = {"type": field.kind, "default": field.default, "help": field.text, **_THEIRS.get(flag, {})}
        version = "v15: " if flag in _V15_ONLY else "v1: " if flag == "bbox_shift" else ""
        add(f"--{flag}", **{**told, "help": version + str(told["help"])})
    add("--gpu_id", type=int, default=0, help="which GPU")
    add("--ffmpeg_path", default="./ffmpeg-4.4-amd64-static/", help="not used: ffmpeg comes with a package")


def _values(flags: argparse.Namespace) -> dict[str, Any]:
    """What the flags say of the picture and the voice, as settings."""
    first = flags.version == "v1"
    values: dict[str, Any] = {
        "backend": flags.backend or BACKENDS[flags.version],
        "use_saved_coords": flags.use_saved_coord or flags.saved_coord,
    }
    for name, flag in _SETTINGS.items():
        group, _, leaf = name.rpartition(".")
        (values.setdefault(group, {}) if group else values)[leaf] = getattr(flags, flag)
    values["bbox_shift"] = flags.bbox_shift if first else 0
    values["mask"]["shape"] = "auto" if flags.backend else "raw" if first else flags.parsing_mode
    return values


def _models_dir(flags: argparse.Namespace) -> tuple[Path, list[str]]:
    """The folder in which all the weights lie, from paths that MuseTalk takes one by one; and notices."""
    notices = []
    wanted = _CHECKPOINTS[flags.version]
    given: Path = flags.unet_model_path
    if flags.version == "v1" and given == Path("models", _CHECKPOINTS["v15"]):  # the flag's default, whatever version
        given = Path("models", wanted)
        notices.append(f"--version v1 reads {given}")
    tail = Path(*given.parts[-2:])
    if tail != wanted:
        other = next((version for version, place in _CHECKPOINTS.items() if place == tail), None)
        raise SettingsError(
            f'--unet_model_path "{given}" is not where --version {flags.version} has its checkpoint',
            f"give --version {other}"
            if other
            else f"place or link the file at models/{wanted.as_posix()}, give that "
            f"path, and say that it is yours: python -m musetalk weights adopt {wanted.as_posix()}",
        )
    models_dir = given.parents[1]
    if flags.vae_type != _VAE:
        raise SettingsError(
            f'there is no --vae_type "{flags.vae_type}" here', f"leave it out: {models_dir / _VAE} is read"
        )
    whisper = models_dir / "whisper"
    if not _same(flags.whisper_dir, Path("models", "whisper"), whisper):
        raise SettingsError(
            f'--whisper_dir "{flags.whisper_dir}" is not beside the checkpoint\'s folder',
            f"place or link it at {whisper}, and leave out the flag",
        )
    config = given.with_name("musetalk.json")
    if not _same(flags.unet_config, Path("models", "musetalk", "config.json"), config):
        notices.append(f"--unet_config has no effect: {config} is read")
    return models_dir, notices


def _same(path: Path, *others: Path) -> bool:
    return path.resolve() in (other.resolve() for other in others)


def _network(flags: argparse.Namespace, gpus: int) -> tuple[dict[str, Any], list[str]]:
    """How the networks run, as settings; and notices."""
    if not gpus:
        notices = ["no GPU was found: this runs on the CPU, which takes long"]
        if flags.use_float16:
            notices.append("--use_float16 has no effect: it is for GPUs")
        return {"device": "cpu", "dtype": "fp32"}, notices
    if not 0 <= flags.gpu_id < gpus:
        raise SettingsError(f"there is no GPU {flags.gpu_id}", f"give --gpu_id 0 to {gpus - 1}")
    dtype = "fp16" if flags.use_float16 else "fp32"
    return {"device": f"cuda:{flags.gpu_id}", "dtype": dtype}, []


def without_effect(
    parser: argparse.ArgumentParser, flags: argparse.Namespace, further: Mapping[str, str] | None = None
) -> list[str]:
    """Return notices of the flags that were given and do nothing.

    Args:
        parser: What has read them.
        flags: As it has.
        further: Flags of this command that do nothing, and the end of a sentence that says why.
    """
    why = {"ffmpeg_path": ": ffmpeg comes with a package", **(further or {})}
    if flags.backend:
        why |= dict.fromkeys(_MASKS, " with --backend: the mask is the backend's own")
    if flags.version == "v1":
        why |= dict.fromkeys(_V15_ONLY, " with --version v1, as in MuseTalk")
    given = (name for name in why if getattr(flags, name) != parser.get_default(name))
    return [f"--{name} has no effect{why[name]}" for name in given]


def _rows(flags: argparse.Namespace, values: dict[str, Any]) -> list[Row]:
    """The file's tasks, with the flags below what they say themselves, and results where MuseTalk puts them."""
    from musetalk.batch.manifest import read_manifest  # noqa: PLC0415

    place = flags.result_dir / (flags.backend or flags.version)
    rows = read_manifest(flags.inference_config, place, result_name=flags.output_vid_name)
    return [replace(row, settings=merge_settings(values, row.settings)) for row in rows]
