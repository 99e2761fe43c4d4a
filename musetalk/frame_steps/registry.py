"""Which frame steps there are, and those that settings choose, one after the other."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
from pydantic import BaseModel, ValidationError

from musetalk.errors import MuseTalkError, PackageError, SettingsError, one_line
from musetalk.frame_steps.spec import AnyFrameStep, FrameStep, FrameStepSpec, Size, TimedFrameStep
from musetalk.settings import FrameStepChoice, Limits, SettingField, problems_in, said_of, setting_fields
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.extensions import FRAME_STEPS, Registry
from musetalk.utils.units import listed

_SETTING = "frame_steps"
_REMEDY = "leave it out, or mend the package that it comes from"


@dataclass(frozen=True, slots=True)
class ChosenStep:
    """A step with its options.

    Attributes:
        spec: Which.
        options: Of its own model.
    """

    spec: AnyFrameStep
    options: BaseModel

    def size_of(self, size: Size) -> Size:
        """Return how large frames come out of it.

        Raises:
            PackageError: It failed, or says what is no size.
        """
        if self.spec.size is None:
            return size
        with naming(self.spec):
            said = self.spec.size(self.options, size)
        try:
            width, height = map(operator.index, said)
        except (TypeError, ValueError):
            width = height = 0
        if min(width, height) < 1:
            raise PackageError(
                f'the frame step "{self.spec.name}" says that frames of {size[0]}x{size[1]} pixels become {said!r}, '
                "which is no width and height in whole pixels",
                _REMEDY,
            )
        return width, height

    def check(self) -> tuple[str, ...]:
        """Make sure that it can work with its options; return what users should know, a sentence each.

        Raises:
            MuseTalkError: It cannot.
        """
        if self.spec.check is None:
            return ()
        with naming(self.spec):
            return self.spec.check(self.options)

    def account(self) -> dict[str, Any]:
        """Return it as plain values, for reports."""
        return {"name": self.spec.name, **self.options.model_dump(mode="json")}


@dataclass(frozen=True, slots=True)
class LoadedStep:
    """A chosen step that is ready to run."""

    chosen: ChosenStep
    step: FrameStep | TimedFrameStep

    def apply(self, picture: UInt8Array, number: int, fps: Fraction) -> UInt8Array:
        """Return what it makes of one frame.

        Args:
            picture: The frame, uint8 RGB [H, W, 3].
            number: Its number in the output.
            fps: Frames a second of that.

        Raises:
            PackageError: It failed, or that is no picture, or not as large as was said.
        """
        height, width = picture.shape[:2]
        with naming(self.chosen.spec):
            if self.chosen.spec.timed:
                made = cast("TimedFrameStep", self.step)(picture, float(number / fps))
            else:
                made = cast("FrameStep", self.step)(picture, number)
        wide, high = self.chosen.size_of((width, height))
        wanted = f"uint8 {[high, wide, 3]}"
        if (what := _said_of_array(made)) != wanted:
            raise PackageError(
                f'the frame step "{self.chosen.spec.name}" made {what} of a frame, and not {wanted}', _REMEDY
            )
        return made


@contextmanager
def naming(spec: AnyFrameStep) -> Iterator[None]:
    """Tell an error that a step did not mean to raise as its own, whatever package it comes from.

    Raises:
        PackageError: There was one.
    """
    try:
        yield
    except (MuseTalkError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, RuntimeError):
            from musetalk.runtime.device import is_out_of_memory  # noqa: PLC0415 - loads torch

            if is_out_of_memory(error):
                raise
        said = one_line(error) or type(error).__name__
        raise PackageError(f'the frame step "{spec.name}" failed ({said})', _REMEDY) from error


def _said_of_array(made: object) -> str:
    return f"{made.dtype} {list(made.shape)}" if isinstance(made, np.ndarray) else type(made).__name__


class FrameStepRegistry(Registry[AnyFrameStep]):
    """The frame steps that can be chosen, by name; see `Registry`."""

    extension, spec_type = FRAME_STEPS, FrameStepSpec

    def chosen(self, wanted: Sequence[FrameStepChoice]) -> tuple[ChosenStep, ...]:
        """Return the steps that settings choose, in their order.

        Raises:
            SettingsError: One is unknown, or an option of it is.
            PackageError: One is installed and broken.
        """
        return tuple(self._chosen(choice) for choice in wanted)

    def _chosen(self, choice: FrameStepChoice) -> ChosenStep:
        try:
            spec = self.get(choice.name)
        except SettingsError as error:
            raise SettingsError(error.problem, error.remedy, names=(_SETTING,)) from error
        try:
            return ChosenStep(spec, spec.options.model_validate(choice.options))
        except ValidationError as error:
            raise SettingsError(
                f'the frame step "{spec.name}" cannot work so ({said_of(problems_in(error))})',
                f"its options are: {options_text(spec)}",
                names=(_SETTING,),
            ) from error


def size_after(steps: Iterable[ChosenStep], size: Size, limits: Limits) -> Size:
    """Return how large frames are after all steps that are so large before them.

    Raises:
        SettingsError: They would be larger than frames may be.
        PackageError: One says what is no size.
    """
    for step in steps:
        size = step.size_of(size)
        if size[0] * size[1] > limits.max_pixels:
            raise SettingsError(
                f'the frame step "{step.spec.name}" would make frames of {size[0]}x{size[1]} pixels, and '
                f"{limits.max_pixels} pixels are the most that are accepted",
                "let it make smaller ones",
                names=(_SETTING,),
            )
    return size


def told_of_steps(names: Iterable[str]) -> str:
    """Return what steps of some names did to every frame, as in "enlarged and labelled"; there is one at least."""
    known = FrameStepRegistry().by_name
    done = ((known[name].done if name in known else "") or f'changed by the frame step "{name}"' for name in names)
    return listed(list(done))


def options_of(spec: AnyFrameStep) -> tuple[SettingField, ...]:
    """Return which options a step has."""
    model: type[BaseModel] = spec.options
    return setting_fields(model)


def options_text(spec: AnyFrameStep) -> str:
    """Return which options a step has and what they may be, for people."""
    return "; ".join(map(_option_text, options_of(spec))) or "none"


def _option_text(field: SettingField) -> str:
    usual = f"default: {field.usual}" if field.usual else ""
    beside = "; ".join(filter(None, [field.words, field.bounds, usual]))
    return f"{field.name} ({beside})" if beside else field.name
