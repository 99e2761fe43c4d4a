"""What a render is asked for: who speaks what, and how it is to look."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from musetalk.settings import RenderSettings

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """What is asked for, wherever the video goes that is made of it.

    Attributes:
        video: A video, a picture, or a folder of pictures; of an avatar, its own.
        voice: Any file with sound.
        settings: What it should look like.
        avatar: Who speaks; None: the source is looked at. See `of_avatar`.
    """

    video: Path
    voice: Path
    settings: RenderSettings = field(default_factory=RenderSettings)
    avatar: Avatar | None = None

    @classmethod
    def of_avatar(cls, avatar: Avatar, voice: Path, settings: RenderSettings | None = None) -> RenderRequest:
        """Ask for an avatar to speak.

        Args:
            avatar: The avatar.
            voice: Any file with sound.
            settings: From `Avatar.settings_with`; None: its own.

        Raises:
            SettingsError: They differ in what was decided when it was made.
        """
        settings = settings or avatar.settings
        avatar.check(settings)
        return cls(avatar.source, voice, settings, avatar)

    @property
    def avatar_id(self) -> str:
        """Of who speaks; empty: it is no avatar."""
        return "" if self.avatar is None else self.avatar.id

    def with_backend(self, name: str) -> RenderRequest:
        """Return the same, painted by another backend."""
        return replace(self, settings=self.settings.with_backend(name))
