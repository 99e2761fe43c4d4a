"""Errors a user can act on: each says what is wrong and what to do about it."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from typing import Any


class MuseTalkError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        problem: What is wrong, in the user's words, without a trailing full stop.
        remedy: What to do about it; empty where the problem already says it.
    """

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


class LimitError(MediaError):
    """An input is larger or longer than the settings allow."""


class FaceError(MuseTalkError):
    """No face to work on was found."""


class CoordsError(MuseTalkError):
    """A saved face plan cannot be used."""


class SettingsError(MuseTalkError):
    """A setting has a value that cannot work."""


class BackendError(MuseTalkError):
    """A backend is unknown, lacks something, or failed."""


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
