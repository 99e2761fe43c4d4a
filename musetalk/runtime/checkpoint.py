"""Reads published checkpoints without unpickling anything but tensors, and fills modules with them."""

from __future__ import annotations

import pickle
import struct
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from musetalk.errors import PATH, CheckpointError, WeightsError
from musetalk.runtime.mapped_pages import MappedPages
from musetalk.utils.stopping import stop_point

_Network = TypeVar("_Network", bound=nn.Module)

_ZIP = b"PK\x03\x04"  # how files of torch.save begin since torch 1.6; only those can be mapped instead of read
# Training scripts save the tensors under one of these names, next to what else they keep; averaged ones come first.
_WRAPPERS = ("state_dict", "params_ema", "params")
_PREFIX = "module."  # what DistributedDataParallel puts before every name
_SHOWN = 4  # tensors an error names of each kind
_REASON = 120  # characters it tells of what a reader had to say

# What the readers raise for files that are cut short, damaged, or not checkpoints: found by damaging files.
UNREADABLE = (
    pickle.UnpicklingError,
    SafetensorError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    struct.error,
)


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's tensors; nothing that a file may carry besides is ever run.

    Files that allow it are mapped, so that tensors cost memory only once they are copied into a module. A
    `{"state_dict": ...}` around the tensors, or what BasicSR calls it, and a `module.` before all their names are taken
    off.

    Args:
        path: A .safetensors file, or one that torch.save wrote.

    Returns:
        Tensors on the CPU by name, with the dtypes of the file.

    Raises:
        WeightsError: There is no such file.
        CheckpointError: It cannot be read, is damaged, or holds other things than tensors.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {PATH}", "download it: python -m musetalk weights download", path=path)
    try:
        held = load_file(path, device="cpu") if path.suffix == ".safetensors" else load_pickled(path)
    except OSError as error:
        problem = f"{PATH} cannot be read ({error.strerror or error})"
        raise CheckpointError(problem, "make it readable", path=path) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{PATH} is damaged, or holds code, which is not run", path=path) from error
    except UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:_REASON]
        raise CheckpointError(f"{PATH} is damaged or no checkpoint ({reason})", path=path) from error
    return _tensors(held, path)


def fill(
    module: nn.Module,
    state: Mapping[str, Tensor],
    path: Path,
    *,
    optional: Collection[str] = (),
    on_unexpected: Callable[[str], None] | None = None,
) -> None:
    """Fill a module with a checkpoint's tensors, all of them and no others.

    Values become copies in the module's own dtypes, also where the module was built on the meta device, which saves
    drawing values that are thrown away at once. Copies, because a file may be overwritten while its weights are in use.

    Args:
        module: Changed in place.
        state: As `load_state_dict` returns it.
        path: Where `state` came from, for the error.
        optional: Names that may be missing; the module keeps what it has there.
        on_unexpected: Told, in a sentence, of tensors that the module has no place for, which are left out; None: such
            a checkpoint is refused.

    Raises:
        CheckpointError: Tensors are missing, left over, or of other shapes; names the first few of each.
    """
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in state and name not in optional]
    misshapen = [name for name, value in wanted.items() if name in state and state[name].shape != value.shape]
    shapes = (f"{name} {_shape(state[name])} instead of {_shape(wanted[name])}" for name in misshapen)
    wrong = [*_listed("missing", missing), *_listed("misshapen", shapes)]
    strangers = [name for name in state if name not in wanted]
    unexpected = _listed("unexpected", strangers)
    if wrong or (unexpected and on_unexpected is None):
        problem = f"{PATH} does not fit {type(module).__name__}: {'; '.join([*wrong, *unexpected])}"
        raise CheckpointError(problem, path=path, tensors=[*missing, *misshapen, *strangers])
    if unexpected and on_unexpected is not None:
        on_unexpected(f"{path.name} holds tensors that {type(module).__name__} has no place for: {unexpected[0]}")
    known = {name: value for name, value in wanted.items() if name in state}
    pages = MappedPages(path)
    copies = {}
    for name, value in known.items():
        stop_point()
        copies[name] = torch.empty_like(value, device="cpu").copy_(state[name])
        pages.release(state[name])
    on_meta = any(value.is_meta for value in known.values())
    module.load_state_dict(copies, strict=False, assign=on_meta)


def built(config: Path, make: Callable[[], _Network]) -> _Network:
    """Build a network as a configuration says, on the meta device: `fill` brings the memory.

    Args:
        config: Where the configuration came from, for the error.
        make: Builds it.

    Raises:
        CheckpointError: No network can be built like that.
    """
    try:
        with torch.device("meta"):
            return make()
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:_REASON]
        raise CheckpointError(f'"{PATH}" describes no network that can be built ({reason})', path=config) from error


def load_pickled(path: Path) -> object:
    """Read what torch.save wrote: tensors and plain containers only, everything else is refused before it is made."""
    with path.open("rb") as file:
        mapped = file.read(len(_ZIP)) == _ZIP
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strange files torch complains in its own words before it raises
        held: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    return held


def _tensors(held: object, path: Path) -> dict[str, Tensor]:
    """Take off the wrappings around a checkpoint's tensors."""
    inner: Any = None
    if isinstance(held, Mapping):
        inner = next((held[name] for name in _WRAPPERS if name in held), held)
    if not isinstance(inner, Mapping) or not inner:
        raise CheckpointError(f"{PATH} holds no tensors by name", path=path)
    named = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
    strangers = [str(name) for name in inner if name not in named]
    if strangers:
        problem = f"{PATH} holds other things than tensors ({', '.join(strangers[:_SHOWN])})"
        raise CheckpointError(problem, path=path)
    start = len(_PREFIX) if all(name.startswith(_PREFIX) for name in named) else 0
    return {name[start:]: value.detach() for name, value in named.items()}


def _listed(kind: str, items: Iterable[str]) -> list[str]:
    """Return one part of the sentence on what does not fit; empty where nothing of the kind is wrong."""
    found = list(items)
    if not found:
        return []
    rest = f", and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return [f"{kind} {', '.join(found[:_SHOWN])}{rest}"]


def _shape(value: Tensor) -> str:
    return "x".join(str(size) for size in value.shape) or "scalar"
