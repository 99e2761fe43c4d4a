"""`latents.pt`: a list of one tensor a frame, read and written without holding them all."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from musetalk.avatars.upstream.cache import LATENT_SHAPE, LATENTS
from musetalk.errors import PATH, AvatarError, OutputError
from musetalk.runtime.checkpoint import UNREADABLE, load_pickled
from musetalk.runtime.mapped_pages import MappedPages
from musetalk.utils.stopping import stop_point

_DTYPES = (torch.float16, torch.bfloat16, torch.float32)
_REMEDY = "prepare the avatar again with MuseTalk"
_DIRECTORY_BYTES = 2**25  # of what the file says beside its tensors: some half a million of them


def read_latents(path: Path) -> tuple[Tensor, ...]:
    """Read the latents of an avatar's frames; only tensors are ever made of what the file holds.

    Returns:
        float [8, 32, 32] each, of the file's number type, on the CPU, mapped from the file.

    Raises:
        AvatarError: The file cannot be read, is damaged, or holds anything else; says what.
    """
    _check_archive(path)
    try:
        held = load_pickled(path)
    except OSError as error:
        raise AvatarError(
            f'"{PATH}" cannot be read ({error.strerror or error})', "check its permissions", path=path
        ) from error
    except pickle.UnpicklingError as error:
        raise _refused(path, "asks for other things than tensors, which are not run") from error
    except UNREADABLE as error:
        raise _refused(path, "is damaged") from error
    if not isinstance(held, list | tuple):
        raise _refused(path, f"holds a {type(held).__name__} instead of a list of tensors")
    pages = MappedPages(path)
    latents = []
    for number, each in enumerate(held):
        stop_point()
        latents.append(_checked(each, number, path))
        pages.release(latents[-1])
    return tuple(latents)


def same_latents(one: Tensor, other: Tensor) -> bool:
    """Return whether the latents of two frames are the same; what lies in one place is not looked at."""
    return one.data_ptr() == other.data_ptr() or bool(torch.equal(one, other))


def _check_archive(path: Path) -> None:
    """Make sure that a file unpacks to no more than it is, before anything of it is."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            items = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeError) as error:
        raise _refused(path, "is damaged, or no file of tensors as torch has written them since 1.6") from error
    if any(item.compress_type != zipfile.ZIP_STORED for item in items) or sum(item.file_size for item in items) > size:
        raise _refused(path, "is packed as torch packs nothing")
    if any(item.filename.endswith(".pkl") and item.file_size > _DIRECTORY_BYTES for item in items):
        raise _refused(path, "says more of its tensors than there can be")


def _checked(held: object, number: int, path: Path) -> Tensor:
    """Return the latents of a frame, if that is what they are."""
    if not isinstance(held, Tensor):
        raise _refused(path, f"holds a {type(held).__name__} for frame {number} instead of a tensor")
    if held.layout != torch.strided or held.is_quantized or held.dtype not in _DTYPES:
        raise _refused(path, f"holds a tensor of {held.dtype} ({held.layout}) for frame {number}")
    if tuple(held.shape) != (1, *LATENT_SHAPE):
        wanted = [1, *LATENT_SHAPE]
        raise _refused(path, f"holds a tensor of the shape {list(held.shape)} for frame {number} instead of {wanted}")
    latents = held.detach()[0]
    if not bool(torch.isfinite(latents).all()):
        raise _refused(path, f"holds latents of frame {number} that are no numbers (NaN or infinite)")
    return latents


def _refused(path: Path, problem: str) -> AvatarError:
    return AvatarError(f'"{path.name}" {problem}', _REMEDY, path=path)


class LatentsWriter:
    """Takes the latents of one frame after the other, and writes the file when all are there.

    Until then they lie in a file beside it. `torch.save` is then given tensors over that file's pages, all over one
    storage, so that nothing is held.

    Args:
        folder: Where `latents.pt` is written, and what is there until then.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._gathered = folder / LATENTS, folder / ".latents"
        self._file = self._gathered.open("wb")
        self._dtype: torch.dtype | None = None
        self._count = 0

    def add(self, latents: Tensor) -> None:
        """Take the latents of the next frame: float [8, 32, 32], all of one number type."""
        if tuple(latents.shape) != LATENT_SHAPE or latents.dtype not in _DTYPES:
            raise ValueError(f"latents are {latents.dtype}{list(latents.shape)}")
        if latents.dtype != (self._dtype or latents.dtype):
            raise ValueError(f"latents are {latents.dtype} after {self._dtype}")
        self._dtype = latents.dtype
        self._file.write(latents.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        self._count += 1

    def finish(self, order: Sequence[int]) -> None:
        """Write the file.

        Args:
            order: Which frame each entry of the list is.
        """
        self._file.close()
        if self._dtype is None:
            raise ValueError("no frame was added")
        numbers = int(np.prod(LATENT_SHAPE)) * self._count
        held = torch.from_file(str(self._gathered), shared=False, size=numbers, dtype=self._dtype)
        frames = held.view(self._count, 1, *LATENT_SHAPE)
        try:
            torch.save([frames[number] for number in order], self._path)
        except RuntimeError as error:  # what its own writer says of a full disk
            raise OutputError(f'"{PATH}" cannot be written ({error})', "write elsewhere", path=self._path) from error
        del held, frames
        self._gathered.unlink()

    def close(self) -> None:
        """Let go of the file, where it was not finished."""
        self._file.close()


@contextmanager
def latents_writer(folder: Path) -> Iterator[LatentsWriter]:
    """A `LatentsWriter` whose file is closed whatever happens."""
    writer = LatentsWriter(folder)
    try:
        yield writer
    finally:
        writer.close()
