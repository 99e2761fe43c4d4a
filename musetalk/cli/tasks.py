"""Many renders from one YAML file, in the form that upstream MuseTalk has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from musetalk.errors import PATH, Cancelled, MuseTalkError, SettingsError
from musetalk.pipeline.file_uses import FileUses
from musetalk.pipeline.report import RenderReport
from musetalk.settings import MaskSettings, RenderSettings, current_names, merge_settings

_INPUT_KEYS = ("video_path", "audio_path", "result_name")
# Stand beside the paths in the files of MuseTalk's forks; here they are settings of the mask.
_MASK_KEYS = tuple(name for name in MaskSettings.model_fields if name != "shape")


@dataclass(frozen=True, slots=True)
class Task:
    """One render of a batch.

    Attributes:
        name: Its key in the file.
        video, voice: Its inputs.
        out: The file to make.
        settings: Values that override the defaults.
    """

    name: str
    video: Path
    voice: Path
    out: Path
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a task ended: a report, or an error in words, and its kind."""

    task: str
    report: RenderReport | None
    error: str | None
    error_kind: str | None = None


def read_tasks(config: Path, result_dir: Path, *, result_name: str | None = None) -> list[Task]:
    """Read `task_0: {video_path, audio_path, bbox_shift, result_name}`; any setting may stand beside these.

    Args:
        config: The file.
        result_dir: Where results go.
        result_name: Of tasks that give none; None: after their inputs.

    Raises:
        SettingsError: The file cannot be read or is not of that form.
    """
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f'"{PATH}" cannot be read ({error.strerror})', "give the path of a YAML file", path=config
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f'"{PATH}" is no YAML ({error})', "see configs/inference/test.yaml", path=config) from error
    if not isinstance(content, dict) or not content:
        raise SettingsError(f'"{PATH}" holds no tasks', "see configs/inference/test.yaml", path=config)
    tasks = [_task(str(name), values, config, result_dir, result_name) for name, values in content.items()]
    outs = [task.out for task in tasks]
    twice = sorted({out.name for out in outs if outs.count(out) > 1})
    if twice:
        raise SettingsError(
            f'"{PATH}" writes {", ".join(twice)} more than once', "give each task a result_name", path=config
        )
    return tasks


def _task(name: str, values: object, config: Path, result_dir: Path, result_name: str | None) -> Task:
    if not isinstance(values, dict) or not all(isinstance(values.get(key), str) for key in _INPUT_KEYS[:2]):
        raise SettingsError(f'"{name}" in "{config}" names no video_path and audio_path', "give it both", path=config)
    video, voice = Path(values["video_path"]), Path(values["audio_path"])
    result = str(values.get("result_name") or result_name or f"{video.stem}_{voice.stem}.mp4")
    if Path(result).name != result:
        raise SettingsError(
            f'result_name "{result}" of "{name}" is no plain file name', "leave out the folders", path=config
        )
    settings = current_names(RenderSettings, {str(k): value for k, value in values.items() if k not in _INPUT_KEYS})
    mask = {key: settings.pop(key) for key in _MASK_KEYS if key in settings}
    if mask:
        settings = merge_settings({"mask": mask}, settings)
    return Task(name, video, voice, result_dir / result, settings)


def check_batch(
    tasks: Sequence[Task],
    overrides: dict[str, Any],
    files: Callable[[Path, Path, Path, RenderSettings], FileUses],
    beside: FileUses,
) -> None:
    """Make sure, before any work, that no task and nothing beside them writes over what another one reads or writes.

    What is not there yet may be made by one task for another; settings that cannot work are left to their own task.

    Args:
        tasks: What is to be done.
        overrides: As for `run_tasks`.
        files: What a render of a source and a voice to an output reads and writes; see `LipSync.files`.
        beside: What is read and written beside the tasks: their YAML file, the report.

    Raises:
        OutputError: Two files are in each other's way, or one beside the tasks cannot be made.
    """
    beside.check()
    uses = beside
    for task in tasks:
        try:
            settings = RenderSettings.parse(merge_settings(task.settings, overrides))
        except SettingsError:
            continue
        uses += files(task.video, task.voice, task.out, settings).of(task.name).present()
    uses.check_conflicts()


def run_tasks(
    tasks: list[Task], overrides: dict[str, Any], render: Callable[[Task, RenderSettings], RenderReport]
) -> Iterator[TaskResult]:
    """Render one task after the other; a failed one does not stop the rest.

    Args:
        tasks: What to do.
        overrides: Settings that win over the file's (the command line's).
        render: Does one; raises `MuseTalkError` where it fails.

    Raises:
        Cancelled: The user stopped the batch.
    """
    for task in tasks:
        try:
            report = render(task, RenderSettings.parse(merge_settings(task.settings, overrides)))
        except Cancelled:
            raise
        except MuseTalkError as error:
            yield TaskResult(task.name, None, str(error), error.kind)
        else:
            yield TaskResult(task.name, report, None)
