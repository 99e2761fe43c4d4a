"""The flags and the YAML of MuseTalk's commands about avatars, as tasks. Heavy imports wait until flags are read.

Names, defaults and their meaning: TMElyralab/MuseTalk, scripts/realtime_inference.py and its configuration, as of
version 1.5; LukaDarsalia/MuseTalk, scripts/create_avatar.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musetalk.errors import PATH, SettingsError
from musetalk.settings import RenderSettings
from scripts.upstream import add_shared_flags, values_of, without_effect

_KEYS = ("preparation", "bbox_shift", "video_path", "audio_clips")
_BLUR = 0.1  # of the blended square: MuseTalk blurs the masks that it keeps twice as much as those of its other script
_BATCH = 20
_EXAMPLE = "see configs/inference/realtime.yaml"
_PAUSES = ("audio_padding_length_left", "audio_padding_length_right")


@dataclass(frozen=True, slots=True)
class AvatarTask:
    """One avatar, and what it is to say.

    Attributes:
        name: Of the avatar.
        video: What it is prepared from.
        folder: MuseTalk's cache of it.
        bbox_shift: Of its crops; v1.5 has none.
        prepare: Whether it is to be prepared.
        replace: Whether a cache that is there is made again.
        clips: The voices, by the names of their results.
    """

    name: str
    video: Path
    folder: Path
    bbox_shift: int
    prepare: bool
    replace: bool
    clips: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class AvatarRequest:
    """What a command line about avatars asks for.

    Attributes:
        avatars: The avatars.
        version: Of MuseTalk.
        values: Settings of the flags; `bbox_shift` is the avatar's.
        notices: What the user should know of flags that have no effect here, a line each.
        config: The file of avatars; None: the flags name one.
    """

    avatars: tuple[AvatarTask, ...]
    version: str
    values: Mapping[str, Any]
    notices: tuple[str, ...]
    config: Path | None


def avatar_folder(result_dir: Path, version: str, name: str) -> Path:
    """Return where MuseTalk keeps an avatar."""
    return (result_dir / version if version == "v15" else result_dir) / "avatars" / name


def read_creation(argv: Sequence[str] | None = None, *, gpus: int | None = None) -> AvatarRequest:
    """Read the command line of `scripts.create_avatar`.

    Args:
        argv: The arguments; None: this program's.
        gpus: How many GPUs there are; None: asks torch.

    Raises:
        SettingsError: A flag cannot work here.
        SystemExit: The flags make no command line, or help was asked for.
    """
    parser = _parser("create_avatar", "Prepare an avatar, and keep it as MuseTalk does.")
    add = parser.add_argument
    add("--video_path", type=Path, required=True, help="video, picture, or folder of pictures")
    add("--avatar_id", help="name of the avatar; by default that of the video")
    add("--force_recreate", action="store_true", help="replace an avatar of that name")
    flags = parser.parse_args(argv)
    name = _plain(flags.avatar_id or flags.video_path.stem, "--avatar_id")
    values, notices = _values(parser, flags, gpus, dict.fromkeys(_PAUSES, " until it speaks"))
    shift = _shift(flags.version, flags.bbox_shift, notices)
    folder = avatar_folder(flags.result_dir, flags.version, name)
    task = AvatarTask(name, flags.video_path, folder, shift, True, flags.force_recreate, {})
    return AvatarRequest((task,), flags.version, values, tuple(notices), None)


def read_speaking(argv: Sequence[str] | None = None, *, gpus: int | None = None) -> AvatarRequest:
    """Read the command line of `scripts.realtime_inference`, and the file of avatars that it names.

    Args:
        argv: The arguments; None: this program's.
        gpus: How many GPUs there are; None: asks torch.

    Raises:
        SettingsError: A flag or an avatar of the file cannot work here.
        SystemExit: The flags make no command line, or help was asked for.
    """
    parser = _parser("realtime_inference", "Let avatars speak: prepare each once, then make a video of every voice.")
    add = parser.add_argument
    add("--inference_config", type=Path, default="configs/inference/realtime.yaml", help="YAML file of avatars")
    add("--output_vid_name", help="not used: results are named as the voices are in the file")
    add("--use_saved_coord", action="store_true", help="not used: what was found is kept with the avatar")
    add("--saved_coord", action="store_true", help="not used: what was found is kept with the avatar")
    flags = parser.parse_args(argv)
    nothing = {
        "output_vid_name": ": results are named as the voices are in the file",
        **dict.fromkeys(("use_saved_coord", "saved_coord"), ": what was found is kept with the avatar"),
    }
    values, notices = _values(parser, flags, gpus, nothing)
    avatars = []
    for name, entry in _entries(flags.inference_config).items():
        video, shift, prepare, clips = _entry(name, entry, flags.inference_config)
        shift = _shift(flags.version, flags.bbox_shift if shift is None else shift, notices)
        folder = avatar_folder(flags.result_dir, flags.version, name)
        avatars.append(AvatarTask(name, video, folder, shift, prepare, False, clips))
    return AvatarRequest(tuple(avatars), flags.version, values, tuple(notices), flags.inference_config)


def _parser(script: str, said: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m scripts.{script}",
        description=said,
        epilog="More can be chosen with: python -m musetalk avatar --help",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--result_dir", type=Path, default="./results", help="avatars go to v15/avatars (or avatars) in it"
    )
    parser.add_argument("--skip_save_images", action="store_true", help="not used: no frame is saved by itself")
    add_shared_flags(parser)
    parser.set_defaults(fps=25, batch_size=_BATCH, backend=None, use_saved_coord=False, saved_coord=False)
    return parser


def _values(
    parser: argparse.ArgumentParser, flags: argparse.Namespace, gpus: int | None, nothing: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Return the flags as settings, and notices."""
    flags.use_float16 = False
    values, notices = values_of(flags, gpus)
    if values["network"]["device"] != "cpu":
        values["network"]["dtype"] = "fp16"  # as MuseTalk's avatars speak
    values["mask"]["blur_kernel_ratio"] = _BLUR
    values = {key: value for key, value in values.items() if key not in ("use_saved_coords", "bbox_shift")}
    RenderSettings.parse(values)  # before any avatar: a flag that cannot work is no avatar's fault
    nothing = {**nothing, "skip_save_images": ": no frame is saved by itself"}
    return values, [*notices, *without_effect(parser, flags, nothing)]


def _shift(version: str, shift: int, notices: list[str]) -> int:
    if version == "v1" or not shift:
        return shift
    notice = "bbox_shift has no effect with --version v15, as in MuseTalk; python -m musetalk heeds it"
    if notice not in notices:
        notices.append(notice)
    return 0


def _entries(config: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - so that --help is quick

    try:
        held = yaml.safe_load(config.read_text(encoding="utf-8"))
    except OSError as error:
        problem = f'"{PATH}" cannot be read ({error.strerror})'
        raise SettingsError(problem, "give the path of a YAML file", path=config) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f'"{PATH}" is no YAML ({error})', _EXAMPLE, path=config) from error
    if not isinstance(held, dict) or not held:
        raise SettingsError(f'"{PATH}" holds no avatars', _EXAMPLE, path=config)
    return {_plain(str(name), "an avatar", config): entry for name, entry in held.items()}


def _entry(name: str, entry: object, config: Path) -> tuple[Path, int | None, bool, dict[str, Path]]:
    """Return what an avatar of the file is: its source, its shift, whether it is to be prepared, and its voices."""

    def refused(problem: str) -> SettingsError:
        return SettingsError(f'"{name}" in "{config}" {problem}', _EXAMPLE, path=config)

    if not isinstance(entry, dict):
        raise refused("is no avatar")
    strange = sorted(str(key) for key in entry if key not in _KEYS)
    if strange:
        raise refused(f"has {strange[0]}, which means nothing here")
    video, shift, clips = entry.get("video_path"), entry.get("bbox_shift"), entry.get("audio_clips")
    prepare = entry.get("preparation")
    if not isinstance(video, str) or not isinstance(prepare, bool):
        raise refused("does not say video_path, and preparation as True or False")
    if shift is not None and (isinstance(shift, bool) or not isinstance(shift, int)):
        raise refused("has a bbox_shift that is no whole number")
    if not isinstance(clips, dict) or not all(isinstance(path, str) for path in clips.values()):
        raise refused("has no audio_clips by name")
    return (
        Path(video),
        shift,
        prepare,
        {_plain(str(key), "a result", config): Path(path) for key, path in clips.items()},
    )


def _plain(name: str, what: str, config: Path | None = None) -> str:
    if Path(name).name != name or name in ("", ".", ".."):
        raise SettingsError(f'{what} cannot be called "{name}"', "give a name without folders", path=config)
    return name
