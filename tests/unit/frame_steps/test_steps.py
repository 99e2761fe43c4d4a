"""What is done to finished frames: chosen by name with options, in order, and held to the size that they announce."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from musetalk.errors import PackageError, SettingsError
from musetalk.frame_steps.label import LABEL, LabelOptions
from musetalk.frame_steps.registry import ChosenStep, FrameStepRegistry, LoadedStep, size_after
from musetalk.frame_steps.spec import FrameStepSpec, NoOptions
from musetalk.frame_steps.upscale import UPSCALE, UpscaleOptions
from musetalk.settings import Limits, RenderSettings, Settings
from musetalk.utils.arrays import UInt8Array
from musetalk.weights.part_spec import Place
from tests.helpers.errors import raises_kind

HERE = Place(Path("models"))


def noise(height: int = 90, width: int = 160) -> UInt8Array:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "said",
    [
        ["upscale:height=200", "label:text=Hello, world,corner=top-left"],
        [{"name": "upscale", "height": 200}, {"name": "label", "text": "Hello, world", "corner": "top-left"}],
    ],
)
def test_steps_are_said_in_one_line_or_as_a_file_has_them(said: list[object]) -> None:
    settings = RenderSettings.parse({"frame_steps": said})
    upscale, label = FrameStepRegistry().chosen(settings.frame_steps)
    assert upscale.options == UpscaleOptions(height=200)
    assert label.options == LabelOptions(text="Hello, world", corner="top-left")
    assert RenderSettings.parse(settings.model_dump(mode="json")) == settings
    written = RenderSettings.parse({"frame_steps": [step.text for step in settings.frame_steps]})
    assert FrameStepRegistry().chosen(written.frame_steps) == (upscale, label)


@pytest.mark.parametrize(
    "said",
    [
        "sparkle",
        "label:colour=red",
        "label:text=",
        "label:text=漢",
        "label:text= ",
        "label:text=\u200b\u2060",
        "upscale:factor=9",
        "label:red",
        "label:name=x",
    ],
)
def test_what_is_no_step_or_no_option_is_refused(said: str) -> None:
    with raises_kind(SettingsError, names=("frame_steps",)):
        FrameStepRegistry().chosen(RenderSettings.parse({"frame_steps": said}).frame_steps)


@pytest.mark.parametrize(
    ("options", "size", "made"),
    [
        (UpscaleOptions(), (160, 90), (320, 180)),
        (UpscaleOptions(factor=1.5), (101, 51), (152, 76)),
        (UpscaleOptions(height=1080), (640, 360), (1920, 1080)),
        (UpscaleOptions(height=1080), (1921, 1081), (1921, 1081)),
    ],
)
def test_frames_become_as_large_as_was_asked_and_never_smaller(
    options: UpscaleOptions, size: tuple[int, int], made: tuple[int, int]
) -> None:
    step = LoadedStep(ChosenStep(UPSCALE, options), UPSCALE.load(options, HERE))
    assert step.chosen.size_of(size) == made
    picture = noise(size[1], size[0])
    assert step.apply(picture, 0, Fraction(25)).shape == (made[1], made[0], 3)


@pytest.mark.parametrize("said", ["label:corner=top-left", {"name": "label", "corner": "top-left"}])
def test_one_step_needs_no_list(said: object) -> None:
    (label,) = FrameStepRegistry().chosen(RenderSettings.parse({"frame_steps": said}).frame_steps)
    assert label.options == LabelOptions(corner="top-left")


def test_there_are_a_few_steps_at_most() -> None:
    RenderSettings.parse({"frame_steps": ["label"] * 8})
    with raises_kind(SettingsError, names=("frame_steps",)):
        RenderSettings.parse({"frame_steps": ["label"] * 9})


def test_frames_beyond_the_limit_are_refused() -> None:
    steps = [ChosenStep(UPSCALE, UpscaleOptions(factor=4))]
    assert size_after(steps, (100, 100), Limits(max_pixels=160_000)) == (400, 400)
    with raises_kind(SettingsError, names=("frame_steps",)):
        size_after(steps, (100, 100), Limits(max_pixels=159_999))


@pytest.mark.parametrize("corner", ["top-left", "top-right", "bottom-left", "bottom-right"])
@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_label_is_read_in_its_corner_on_any_ground(corner: str, ground: int) -> None:
    options = LabelOptions.model_validate({"corner": corner, "opacity": 0.5})
    picture = np.full((360, 640, 3), ground, np.uint8)
    before = picture.copy()
    labelled = LABEL.load(options, HERE)(picture, 0)
    np.testing.assert_array_equal(picture, before)
    rows, columns = np.nonzero((labelled != picture).any(axis=2))
    assert (rows.mean() < 180, columns.mean() < 320) == (corner.startswith("top"), corner.endswith("left"))
    plate = labelled[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert int(np.percentile(plate, 99)) - int(np.percentile(plate, 20)) > 90


@pytest.mark.parametrize("corner", ["top-left", "bottom-right"])
@pytest.mark.parametrize("text", ["i", "A long line that no small picture can hold"])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 16), (300, 7), (7, 300), (40, 400)])
def test_a_label_keeps_inside_the_smallest_picture(size: tuple[int, int], text: str, corner: str) -> None:
    options = LabelOptions.model_validate({"text": text, "corner": corner, "height": 0.3})
    assert LABEL.load(options, HERE)(noise(*size), 0).shape == (*size, 3)


def test_a_label_that_nobody_could_read_is_refused_before_the_work() -> None:
    steps = FrameStepRegistry().chosen(
        RenderSettings.parse({"frame_steps": [{"name": "label", "text": "W" * 80}]}).frame_steps
    )
    with raises_kind(SettingsError, names=("frame_steps",)):
        size_after(steps, (640, 360), Limits())
    assert size_after(steps, (1920, 1080), Limits()) == (1920, 1080)


@pytest.mark.parametrize("text", ["...", "____", "gy", "\u1ea4"])
def test_letters_stand_on_their_plate(text: str) -> None:
    """Also where all of them stand low, or high: none is cut off at the plate's edge."""
    rows, plate = _rows_of_letters_and_plate(LabelOptions(text=text, height=0.2, opacity=1))
    assert rows.min() - plate.min() >= 0.1 * 72
    assert plate.max() - rows.max() >= 0.1 * 72


def test_the_plate_of_letters_that_had_to_shrink_shrinks_with_them() -> None:
    rows, plate = _rows_of_letters_and_plate(LabelOptions(text="W" * 80, height=0.3, opacity=1))
    assert np.ptp(plate) < 4 * np.ptp(rows)


def _rows_of_letters_and_plate(options: LabelOptions) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    picture = np.full((360, 640, 3), 120, np.uint8)
    gray = LABEL.load(options, HERE)(picture, 0)[..., 1]
    return np.nonzero((gray > 150).any(axis=1))[0], np.nonzero((gray < 60).any(axis=1))[0]


def test_a_step_that_makes_another_size_than_it_says_is_told_by_its_name() -> None:
    spec = FrameStepSpec("half", "half of it", load=lambda _, __: lambda picture, _number: picture[::2])
    step = LoadedStep(ChosenStep(spec, NoOptions()), spec.load(NoOptions(), HERE))
    with raises_kind(PackageError) as caught:
        step.apply(noise(), 0, Fraction(25))
    assert '"half"' in caught.value.problem


def test_a_step_that_makes_no_picture_is_told_by_its_name() -> None:
    spec = FrameStepSpec("none", "nothing", load=lambda _, __: lambda _picture, _number: None)  # type: ignore[arg-type,return-value]
    step = LoadedStep(ChosenStep(spec, NoOptions()), spec.load(NoOptions(), HERE))
    with raises_kind(PackageError) as caught:
        step.apply(noise(), 0, Fraction(25))
    assert '"none" made NoneType' in caught.value.problem


def test_a_step_that_fails_is_told_by_its_name() -> None:
    def fail(_picture: UInt8Array, _number: int) -> UInt8Array:
        raise ZeroDivisionError("division\n by zero")

    spec = FrameStepSpec("bad", "fails", load=lambda _, __: fail)
    step = LoadedStep(ChosenStep(spec, NoOptions()), spec.load(NoOptions(), HERE))
    with raises_kind(PackageError) as caught:
        step.apply(noise(), 0, Fraction(25))
    assert caught.value.problem == 'the frame step "bad" failed (division by zero)'


def test_a_step_that_runs_out_of_memory_is_told_as_that() -> None:
    def fail(_picture: UInt8Array, _number: int) -> UInt8Array:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    spec = FrameStepSpec("large", "fails", load=lambda _, __: fail)
    step = LoadedStep(ChosenStep(spec, NoOptions()), spec.load(NoOptions(), HERE))
    with pytest.raises(RuntimeError, match="out of memory"):
        step.apply(noise(), 0, Fraction(25))


@pytest.mark.parametrize("said", [None, (80.0, 45.0), (0, 90), (-160, -90), (160,)])
def test_a_step_that_says_no_size_is_told_by_its_name_before_the_work(said: Any) -> None:  # noqa: ANN401
    spec = FrameStepSpec(
        "odd", "odd sizes", load=lambda _, __: lambda picture, _number: picture, size=lambda _, __: said
    )
    with raises_kind(PackageError) as caught:
        size_after([ChosenStep(spec, NoOptions())], (160, 90), Limits())
    assert '"odd"' in caught.value.problem


class NamedOptions(Settings):
    """Of which one has the step's own name."""

    name: str = "x"


class NeededOptions(Settings):
    """Of which one has no default."""

    width: int


@pytest.mark.parametrize("options", [NamedOptions, NeededOptions])
def test_options_that_could_not_be_said_are_refused(options: type[Settings]) -> None:
    with pytest.raises(ValueError, match=r"name|width"):
        FrameStepSpec("step", "a step", load=lambda _, __: lambda picture, _number: picture, options=options)
