"""The setting `frame_steps`: steps by name, each with options of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from musetalk.settings.fields import NamesOf
from musetalk.utils.extensions import FRAME_STEPS

_NEXT_OPTION = re.compile(r",(?=\s*\w+\s*=)")  # a comma inside a value is followed by anything else


class FrameStepChoice(BaseModel):
    """A step by its name, and beside that its options, which only the step knows: it holds them against its own."""

    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    name: str = Field(min_length=1)

    @property
    def options(self) -> Mapping[str, Any]:
        """Return what was said of it, as plain values."""
        return self.model_extra or {}

    @property
    def text(self) -> str:
        """Return it as it is written in one line."""
        said = ",".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{said}" if said else self.name


def parse_frame_steps(value: object) -> object:
    """Turn one step into a list, and steps written in one line into names and options.

    Everything else is left to the validator.
    """
    if isinstance(value, str | Mapping):
        value = [value]
    if isinstance(value, Sequence):
        return tuple(_parse_step(each) if isinstance(each, str) else each for each in value)
    return value


def _parse_step(text: str) -> dict[str, str]:
    """Read a step: "NAME" or "NAME:key=value,key=value".

    Raises:
        ValueError: It is not of that form.
    """
    name, colon, said = text.partition(":")
    options: dict[str, str] = {}
    for part in _NEXT_OPTION.split(said) if colon else ():
        key, equals, value = part.partition("=")
        if not (equals and key.strip().isidentifier()) or key.strip() in ("name", *options):
            raise ValueError(f'"{text}" is not of the form NAME:key=value,key=value')
        options[key.strip()] = value.strip()
    return {"name": name.strip(), **options}


FrameSteps = Annotated[tuple[FrameStepChoice, ...], BeforeValidator(parse_frame_steps), NamesOf(FRAME_STEPS)]
