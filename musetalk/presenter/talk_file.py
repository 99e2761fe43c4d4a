"""A spoken talk and its layout in a file, for the frame step that draws it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from musetalk.errors import PATH, ScriptError
from musetalk.presenter.layout import Aspect, LayoutName
from musetalk.presenter.talk import Talk


class TalkFile(BaseModel):
    """What is drawn, and how.

    Attributes:
        version: Of the form of this file.
        talk: What is spoken, and when.
        layout: Where the presenter stands.
        aspect: The shape of the picture.
        shorter: Pixels of its shorter side.
        captions: Whether what is spoken is written into the picture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    talk: Talk
    layout: LayoutName = "full"
    aspect: Aspect = "16:9"
    shorter: int = Field(720, ge=144, le=4320, multiple_of=2)
    captions: bool = False

    def write(self, path: Path) -> None:
        """Write it."""
        path.write_text(self.model_dump_json(), "utf-8")


def read_talk(path: Path) -> TalkFile:
    """Return what a file says.

    Raises:
        ScriptError: It cannot be read, or is no talk.
    """
    try:
        return TalkFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ScriptError(f"the talk {PATH} cannot be read ({error.strerror})", "check its name", path=path) from error
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise ScriptError(f"{PATH} is no talk ({said})", "make it by: musetalk present", path=path) from error
