"""`FrameStepSpec`: the description of a frame step, light to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel

from musetalk.settings import Settings
from musetalk.utils.arrays import UInt8Array
from musetalk.weights.part_spec import PartSpec, Place

# From a finished frame, uint8 RGB [H, W, 3], and its number in the output, from 0, to what goes on: uint8 RGB
# [H', W', 3]. A pure function of the two, and called from several threads: any range of frames comes out the same. The
# frame that is given must not be written to.
FrameStep: TypeAlias = Callable[[UInt8Array, int], UInt8Array]
# The same of a step that goes by time: instead of the number it is given the frame's time in the output, in seconds.
TimedFrameStep: TypeAlias = Callable[[UInt8Array, float], UInt8Array]
Size: TypeAlias = tuple[int, int]  # (width, height) in pixels
Options = TypeVar("Options", bound=BaseModel)


class NoOptions(Settings):
    """Of a step that has none."""


@dataclass(frozen=True, slots=True)
class FrameStepSpec(PartSpec, Generic[Options]):
    """A way to change finished frames.

    Attributes:
        summary: One line for people who choose.
        done: What it does to every frame, for reports, as in "enlarged"; empty: it is called by its name.
        load: Makes the step with its options, where it runs; it is kept until one of both changes.
        options: The model of its options: frozen, with a default for each, so that the name alone is enough, and none
            called "name", which is the step's own. Visitors of the app may set them.
        size: How large frames come out of it that go into it so large, with its options. None: as they were.
        check: Looks at what its options name, before anything is rendered; returns what users should know, a sentence
            each, and raises where the step cannot work. None: there is nothing to look at.
        timed: Whether it goes by time: what it loads is a `TimedFrameStep`.
        server_only: Whether visitors of the app may not choose it: it reads files.
    """

    summary: str
    load: Callable[[Options, Place], FrameStep | TimedFrameStep]
    options: type[Options] = NoOptions  # type: ignore[assignment]  # whoever names no model is given that one
    done: str = ""
    size: Callable[[Options, Size], Size] | None = None
    check: Callable[[Options], tuple[str, ...]] | None = None
    timed: bool = False
    server_only: bool = False

    def __post_init__(self) -> None:
        """Refuse options that could not be said.

        Raises:
            ValueError: One is called as the step's name is, or has no default.
        """
        fields = self.options.model_fields
        if "name" in fields:
            raise ValueError('none of its options may be called "name"')
        if needed := [name for name, field in fields.items() if field.is_required()]:
            raise ValueError(f"its options have no default: {', '.join(needed)}")


AnyFrameStep: TypeAlias = FrameStepSpec[Any]
