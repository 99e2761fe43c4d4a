"""Writes lean copies of checkpoints, beside them or elsewhere: what is used, as safetensors, in fp16 or fp32."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, TypeAlias

from musetalk.errors import PATH, CheckpointError, OutputError, WeightsError
from musetalk.progress import CancelToken
from musetalk.utils.files import whole_file, whole_folder
from musetalk.weights.disk import unwritable
from musetalk.weights.lock import entry_of, guarded, read_lock, record
from musetalk.weights.variants import DTYPE, FROM_SIZE, FROM_TIME, MADE_FROM, is_checkpoint, lean_path, preferred
from musetalk.weights.verify import digest
from musetalk.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from torch import Tensor

LeanType: TypeAlias = Literal["fp16", "fp32"]


def export(
    files: Iterable[WeightFile],
    models_dir: Path,
    dtype: LeanType,
    on_file: Callable[[PurePosixPath], None] | None = None,
    cancel: CancelToken | None = None,
) -> tuple[PurePosixPath, ...]:
    """Write a lean copy beside each checkpoint that is there, in place of the one before.

    Args:
        files: Of which; those without tensors, and those that are missing, are passed over.
        models_dir: Where they are.
        dtype: Of kernels and matrices. Whatever is one-dimensional (norms, biases) stays as it is, for it weighs
            nothing; so do tensors with values that fp16 cannot hold.
        on_file: Called with each file before its copy is made.
        cancel: Ends it between two files.

    Returns:
        The copies, below the folder of models.

    Raises:
        WeightsError: None of the files is there.
        CheckpointError: One is damaged.
        OutputError: A copy cannot be written.
        Cancelled: Through `cancel`.
    """
    token = cancel or CancelToken()
    present = [file.present(models_dir) for file in dict.fromkeys(files)]
    chosen = [file for file in present if file is not None and is_checkpoint(Path(file.path))]
    if not chosen:
        raise WeightsError("there is nothing to export", "python -m musetalk weights download")
    copies: list[PurePosixPath] = []
    with guarded(models_dir, token):
        for file in chosen:
            token.check()
            if on_file is not None:
                on_file(file.path)
            copies.append(_export_one(file, models_dir, dtype))
    return tuple(copies)


def export_streaming(
    files: Iterable[WeightFile], models_dir: Path, folder: Path, dtype: LeanType, cancel: CancelToken | None = None
) -> tuple[PurePosixPath, ...]:
    """Write a folder of models of its own: lean copies of checkpoints, and the files without tensors as they are.

    Args:
        files: Which; each has to be there, as itself, as what serves instead, or as a lean copy.
        models_dir: Where they are.
        folder: The folder to make; appears whole or not at all.
        dtype: See `export`.
        cancel: Ends it between two files.

    Returns:
        The files, below `folder`.

    Raises:
        WeightsError: A file is missing.
        CheckpointError: One is damaged.
        OutputError: There is something at `folder`, or it cannot be written.
        Cancelled: Through `cancel`.
    """
    token = cancel or CancelToken()
    places: list[PurePosixPath] = []
    known = read_lock(models_dir)
    with whole_folder(folder, _taken) as made, guarded(made, token):
        for file in dict.fromkeys(files):
            token.check()
            served, found = _found(file, models_dir)
            if is_checkpoint(found):
                place = file.path.with_name(lean_path(Path(file.path)).name)
                said = {MADE_FROM: served.path.name, DTYPE: dtype}
                _write_lean(found, made / place, file.used, dtype, said)
            else:
                place = file.path
                _copy(found, made / place)
            places.append(place)
            before = known.get(str(place))  # one of the user's own is of any size
            source = f"made from {served.path.name} of {file.source}, {file.licence}"
            size, own = (made / place).stat().st_size, before is not None and before.own
            record(made, place, entry_of(digest(made / place), size, source, own=own))
    return tuple(places)


def _found(file: WeightFile, models_dir: Path) -> tuple[WeightFile, Path]:
    """Return what serves as a file, and where its tensors are read: there, or in its lean copy."""
    for one in (file, *file.alternatives):
        path = preferred(models_dir / one.path)
        if path.is_file():
            return one, path
    raise WeightsError(f"there is no file {PATH}", "python -m musetalk weights download", path=models_dir / file.path)


def _copy(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    except OSError as error:
        raise unwritable(target, error) from error


def _taken(folder: Path) -> OutputError:
    problem = f'there is something at "{PATH}" already'
    return OutputError(problem, "name a folder that is not there, or delete it first", path=folder)


def _export_one(file: WeightFile, models_dir: Path, dtype: LeanType) -> PurePosixPath:
    original = models_dir / file.path
    made_of = original.stat()
    target = lean_path(original)
    said = {
        MADE_FROM: original.name,
        FROM_SIZE: str(made_of.st_size),
        FROM_TIME: str(made_of.st_mtime_ns),
        DTYPE: dtype,
    }
    _write_lean(original, target, file.used, dtype, said)
    place = file.path.with_name(target.name)
    record(models_dir, place, entry_of(digest(target), target.stat().st_size, f"made from {original.name}"))
    return place


def _write_lean(original: Path, target: Path, used: tuple[str, ...], dtype: LeanType, said: Mapping[str, str]) -> None:
    """Write what is used of a checkpoint.

    Args:
        original: The checkpoint.
        target: The copy.
        used: See `WeightFile`.
        dtype: See `export`.
        said: What the copy says of itself.
    """
    from safetensors.torch import save_file  # noqa: PLC0415 - imports torch

    from musetalk.runtime.checkpoint import load_state_dict  # noqa: PLC0415 - imports torch

    tensors = _lean(load_state_dict(original), used, dtype)
    if not tensors:
        raise CheckpointError(f"{PATH} has none of the tensors that are used", "download it again", path=original)
    try:
        target.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(target, error) from error
    with whole_file(target, unwritable) as partial:
        save_file(tensors, partial, metadata=dict(said))


def _lean(state: Mapping[str, Tensor], used: tuple[str, ...], dtype: LeanType) -> dict[str, Tensor]:
    """Return the tensors that are used, each with memory of its own, which the format asks for."""
    return {
        name: _narrowed(value) if dtype == "fp16" else value.float().clone() if value.is_floating_point() else value
        for name, value in state.items()
        if not used or name.startswith(used)
    }


def _narrowed(value: Tensor) -> Tensor:
    import torch  # noqa: PLC0415 - heavy

    if not value.is_floating_point() or value.ndim < 2:
        return value.clone()
    half = value.half()
    return half.contiguous() if bool(torch.isfinite(half).all()) else value.clone()
