"""Errors a user can act on: each says what is wrong and what to do about it."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

Subject: TypeAlias = Literal["source", "voice", "backend", "settings", ""]  # of a request; empty: none of these


class MuseTalkError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        problem: What is wrong, in the user's words, without a trailing full stop.
        remedy: What to do about it; empty where the problem already says it.

    Attributes:
        subject: What of the request it is about, for those who tell it there; see `about`.
    """

    subject: Subject = ""

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}: {remedy}" if remedy else problem)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        # Exceptions are rebuilt by calling their class with `args`, which is the sentence here and not the two parts;
        # so this makes one without calling `__init__`. Backends may run in a process of their own.
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class MediaError(MuseTalkError):
    """A source video, picture or voice cannot be read."""


class VoiceError(MediaError):
    """The voice is missing, empty or too short."""

    subject = "voice"


class LimitError(MediaError):
    """An input is larger or longer than the settings allow."""


class FaceError(MuseTalkError):
    """No face to work on was found."""

    subject = "source"


class CoordsError(MuseTalkError):
    """A saved face plan cannot be used."""


class SettingsError(MuseTalkError):
    """A setting has a value that cannot work."""

    subject = "settings"


class BackendError(MuseTalkError):
    """A backend is unknown, lacks something, or failed."""

    subject = "backend"


class GeneratorError(BackendError):
    """A generator could not paint a clip, for want of memory or of numbers that are numbers: another one may."""


class EnhancerError(MuseTalkError):
    """A restorer could not restore faces, for want of memory or of numbers that are numbers; they stay as painted."""


class OutputError(MuseTalkError):
    """The output cannot be written."""


class JobError(MuseTalkError):
    """A job does not exist for whoever asks, or is not in a state for what was asked."""


class Cancelled(MuseTalkError):
    """The user stopped the work."""

    def __init__(self) -> None:
        super().__init__("cancelled; nothing was written")


@contextmanager
def about(subject: Subject) -> Iterator[None]:
    """Errors that leave the `with` block are about this part of the request, unless a block inside said of what."""
    try:
        yield
    except MuseTalkError as error:
        if "subject" not in vars(error):
            error.subject = subject
        raise
