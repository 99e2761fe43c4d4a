"""Errors a user can act on: each says what is wrong and what to do about it."""

from __future__ import annotations

import copyreg
import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

PATH = "{path}"  # stands for the path in the problem of an error
_GET_AGAIN = "delete it and download it again: python -m musetalk weights download"

_Error = TypeVar("_Error", bound="MuseTalkError")
Subject: TypeAlias = Literal["source", "voice", "backend", "settings", ""]  # of a request; empty: none of these


class MuseTalkError(Exception):
    """Base of every error this package raises on purpose.

    Callers, programs and tests go by the class or its `kind`, and by `path`. Sentences are for people; none is taken
    apart.

    Args:
        problem: What is wrong, in the user's words, without a trailing full stop; `PATH` in it stands for the path.
        remedy: What to do about it; empty where the problem already says it.
        path: The file or folder that it is about; None: none, or not one alone.

    Attributes:
        kind: Of the error, for programs: one word that stays the same from version to version.
        subject: What of the request it is about, for those who tell it there; see `about`.
    """

    kind: ClassVar[str] = "error"
    subject: Subject = ""

    def __init__(self, problem: str, remedy: str = "", *, path: Path | None = None) -> None:
        self.path = path
        self._wording = problem
        self._word(problem if path is None else problem.replace(PATH, str(path)), remedy)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        # Exceptions are rebuilt by calling their class with `args`, which is the sentence here and not the two parts;
        # so this makes one without calling `__init__`. Backends may run in a process of their own.
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]

    def called(self: _Error, name: str, remedy: str | None = None) -> _Error:
        """Return the same error with `name` in place of the path, and with another remedy, if one is given."""
        return self.retold(self._wording.replace(PATH, name), remedy)

    def retold(self: _Error, problem: str, remedy: str | None = None) -> _Error:
        """Return an error of the same kind, about the same, with another problem, and remedy, if one is given."""
        again = copy(self)
        again._word(problem, self.remedy if remedy is None else remedy)
        return again

    def _word(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        self.args = (f"{problem}: {remedy}" if remedy else problem,)


class MediaError(MuseTalkError):
    """A source video, picture or voice cannot be read."""

    kind = "media"


class VoiceError(MediaError):
    """The voice is missing, empty or too short."""

    kind = "voice"
    subject = "voice"


class SpeechError(MuseTalkError):
    """A text cannot be spoken."""

    kind = "speech"
    subject = "voice"


class ScriptError(MuseTalkError):
    """A script for a talk cannot be read, or asks for what cannot be done.

    Args:
        problem: What is wrong.
        remedy: What to do about it.
        path: The file.
        line: Of the script, from 1 on; None: all of it.
    """

    kind = "script"
    subject = "source"

    def __init__(self, problem: str, remedy: str = "", *, path: Path | None = None, line: int | None = None) -> None:
        super().__init__(problem, remedy, path=path)
        self.line = line


class CaptionsError(MediaError):
    """A file of captions cannot be read, or cannot be shown.

    Args:
        problem: What is wrong.
        remedy: What to do about it.
        path: The file.
        line: Of it, from 1 on; None: all of it.
    """

    kind = "captions"
    subject = "settings"

    def __init__(self, problem: str, remedy: str = "", *, path: Path | None = None, line: int | None = None) -> None:
        super().__init__(problem, remedy, path=path)
        self.line = line


class LimitError(MediaError):
    """An input is larger or longer than the settings allow.

    Args:
        problem: What is wrong.
        remedy: What to do about it.
        path: The file.
        limit: Which of `Limits` it is beyond, by name; empty: none of these.
    """

    kind = "limit"

    def __init__(self, problem: str, remedy: str = "", *, path: Path | None = None, limit: str = "") -> None:
        super().__init__(problem, remedy, path=path)
        self.limit = limit


class FaceError(MuseTalkError):
    """No face to work on was found."""

    kind = "face"
    subject = "source"


class CoordsError(MuseTalkError):
    """A saved face plan cannot be used."""

    kind = "coords"


class AvatarError(MuseTalkError):
    """An avatar does not exist, cannot be made, or is damaged."""

    kind = "avatar"
    subject = "source"


class SettingsError(MuseTalkError):
    """A setting has a value that cannot work.

    Args:
        problem: What is wrong.
        remedy: What to do about it.
        path: The file that the settings come from.
        names: The settings' names, dotted; empty: it is about none, or about all.
    """

    kind = "settings"
    subject = "settings"

    def __init__(self, problem: str, remedy: str = "", *, path: Path | None = None, names: Iterable[str] = ()) -> None:
        super().__init__(problem, remedy, path=path)
        self.names = tuple(names)


class ManifestError(SettingsError):
    """A manifest of a batch cannot be used; nothing was done."""

    kind = "manifest"


class LedgerError(SettingsError):
    """The ledger of a batch is damaged, another batch's, or in use."""

    kind = "ledger"


class BackendError(MuseTalkError):
    """What finds, paints or enhances faces is unknown, lacks something, or failed; mostly one of the kinds below."""

    kind = "backend"
    subject = "backend"


class WeightsError(BackendError):
    """Files of weights are missing, are not those that are known, or cannot be had."""

    kind = "weights"


class DownloadError(WeightsError):
    """Files of weights cannot be downloaded, or did not arrive as they should."""

    kind = "download"


class CheckpointError(BackendError):
    """A file of weights, or of what describes a network, is damaged, unreadable, or another network's.

    Args:
        problem: What is wrong; `PATH` in it stands for the path.
        remedy: What to do about it; empty: get the file again.
        path: The file.
        tensors: Names of those that are missing, misshapen or too many; empty: it is about none, or about all.

    Attributes:
        get_again: Whether another copy of the file is the remedy.
    """

    kind = "checkpoint"

    def __init__(
        self, problem: str, remedy: str = "", *, path: Path | None = None, tensors: Iterable[str] = ()
    ) -> None:
        super().__init__(problem, remedy or _GET_AGAIN, path=path)
        self.get_again = not remedy
        self.tensors = tuple(tensors)


class PackageError(BackendError):
    """A package that the settings ask for is missing, or does not work."""

    kind = "package"


class DeviceError(BackendError):
    """There is no such device here, or it does not take such numbers."""

    kind = "device"


class ComputeError(BackendError):
    """A network could not work through what it was given, which is no mistake of the program: another one may."""

    kind = "compute"


class OutOfMemoryError(ComputeError):
    """There is not enough memory, on the device or beside it."""

    kind = "memory"


class NotFiniteError(ComputeError):
    """A network's result holds NaN or infinities."""

    kind = "not_finite"


class WorkerError(MuseTalkError):
    """What was to render is gone: it died over it, and so did others, or none is left."""

    kind = "worker_lost"


class OutputError(MuseTalkError):
    """The output cannot be written."""

    kind = "output"


class DiskSpaceError(OutputError):
    """The disk is full, or would be."""

    kind = "disk_space"


class StorageError(MuseTalkError):
    """A store of objects says no, or is not set up; nor will it be otherwise by itself."""

    kind = "storage"


class StorageUnreachableError(StorageError):
    """A store of objects cannot be reached, or is too busy: later it may."""

    kind = "storage_unreachable"


class LiveError(MuseTalkError):
    """A live session cannot be had, or not go on."""

    kind = "live"


class JobError(MuseTalkError):
    """A job cannot be made, or is not in a state for what was asked."""

    kind = "job"


class NoJobError(JobError):
    """The job does not exist, or belongs to somebody else."""

    kind = "no_job"


class QueueError(JobError):
    """There are as many jobs as may wait."""

    kind = "queue"


class DrainingError(QueueError):
    """The server is about to end, and takes no more jobs."""

    kind = "draining"

    def __init__(
        self, problem: str = "this server is about to be restarted", remedy: str = "try again in a few minutes"
    ) -> None:
        super().__init__(problem, remedy)


class Cancelled(MuseTalkError):
    """The user stopped the work."""

    kind = "cancelled"

    def __init__(self) -> None:
        super().__init__("cancelled; no result was written")


def write_error(error: OSError) -> type[OutputError]:
    """Return the kind of error that a failed write is."""
    return DiskSpaceError if error.errno in {errno.ENOSPC, errno.EDQUOT} else OutputError


def one_line(said: object) -> str:
    """Return what an error says in one line, whatever line breaks and indents it has."""
    return " ".join(str(said).split())


@contextmanager
def about(subject: Subject) -> Iterator[None]:
    """Mark errors that leave the `with` block as about this part of the request, unless an inner block did."""
    try:
        yield
    except MuseTalkError as error:
        if "subject" not in vars(error):
            error.subject = subject
        raise
