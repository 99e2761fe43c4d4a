"""Writes lean copies of checkpoints: what is used of them, as safetensors, in fp16 or fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, TypeAlias

from musetalk.errors import PATH, CheckpointError, WeightsError
from musetalk.progress import CancelToken
from musetalk.utils.files import whole_file
from musetalk.weights.disk import unwritable
from musetalk.weights.lock import entry_of, guarded, record
from musetalk.weights.variants import DTYPE, FROM_SIZE, FROM_TIME, MADE_FROM, is_checkpoint, lean_path
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


def _export_one(file: WeightFile, models_dir: Path, dtype: LeanType) -> PurePosixPath:
    from safetensors.torch import save_file  # noqa: PLC0415 - imports torch

    from musetalk.runtime.checkpoint import load_state_dict  # noqa: PLC0415 - imports torch

    original = models_dir / file.path
    made_of = original.stat()
    tensors = _lean(load_state_dict(original), file.used, dtype)
    if not tensors:
        raise CheckpointError(f"{PATH} has none of the tensors that are used", "download it again", path=original)
    target = lean_path(original)
    said = {
        MADE_FROM: original.name,
        FROM_SIZE: str(made_of.st_size),
        FROM_TIME: str(made_of.st_mtime_ns),
        DTYPE: dtype,
    }
    with whole_file(target, unwritable) as partial:
        save_file(tensors, partial, metadata=said)
    place = file.path.with_name(target.name)
    record(models_dir, place, entry_of(digest(target), target.stat().st_size, f"made from {original.name}"))
    return place


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
