"""Errors a user can act on: each says what is wrong and what to do about it."""

from __future__ import annotations


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


class OutputError(MuseTalkError):
    """The output cannot be written."""


class Cancelled(MuseTalkError):
    """The user stopped the work."""

    def __init__(self) -> None:
        super().__init__("cancelled; nothing was written")
