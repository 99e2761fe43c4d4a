"""One place declares a setting: options, files, schema and tables are made of it."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from musetalk.cli.main import app
from musetalk.cli.setting_options import option_context, with_settings
from musetalk.errors import SettingsError
from musetalk.settings import MaskSettings, RenderSettings, SettingField, current_names, group, setting, setting_fields
from tests.helpers.errors import raises_kind

FIELDS = setting_fields(RenderSettings)


class WithGlow(MaskSettings):
    """The mask, and one setting more."""

    glow: float = setting(0.25, "how much the mouth glows", unit="lumens", old=("shine",), ge=0, le=12.5)
    halo: Literal["none", "ring"] = setting("none", "what surrounds it", flag="halo", also=("nimbus",))


class OneMore(RenderSettings):
    """All settings, and those."""

    mask: WithGlow = group(WithGlow, "Mask")


def ask(*arguments: str, model: type[RenderSettings] = OneMore, without: tuple[str, ...] = ()) -> tuple[Any, str]:
    """What a command is told by these arguments, and what it prints."""
    told: list[dict[str, Any]] = []
    command = typer.Typer()

    @command.command(context_settings=option_context(model))
    @with_settings(model=model, without=without)
    def show(*, name: str = "", settings: dict[str, Any]) -> None:
        told.append(settings)

    result = CliRunner().invoke(command, [*arguments], env={"COLUMNS": "200", "TERM": "dumb"})
    if isinstance(result.exception, SettingsError):
        raise result.exception
    return (told[0] if told else None), re.sub(r"\s+", " ", result.output)


def test_a_new_setting_is_an_option_with_its_text_bounds_and_default() -> None:
    _, said = ask("--help")
    assert "--mask-glow X How much the mouth glows (0 to 12.5 lumens; default: 0.25)." in said
    assert "--halo none|ring What surrounds it (default: none)." in said
    panel = said[said.index(" Mask ") :]
    assert panel.index("--mask-glow") < panel.index("Enhancement")


@pytest.mark.parametrize(
    ("arguments", "mask"),
    [
        (("--mask-glow", "3"), {"glow": 3}),
        (("--mask.glow=3",), {"glow": 3}),
        (("--set", "mask.glow=3"), {"glow": 3}),
        (("--mask-glow", "3", "--set", "mask.shine=4"), {"glow": 4}),
        (("--nimbus", "ring"), {"halo": "ring"}),
        (("--mask.halo", "ring", "--feather", "0.5"), {"halo": "ring", "feather": 0.5}),
    ],
)
def test_it_is_taken_by_its_names(arguments: tuple[str, ...], mask: dict[str, Any]) -> None:
    settings, _ = ask(*arguments)
    assert settings == {"mask": mask}
    assert OneMore.parse(settings).mask == WithGlow(**mask)


def test_it_is_in_files_and_schema() -> None:
    assert OneMore.parse({"mask": {"shine": 2}}).mask.glow == 2  # type: ignore[attr-defined]
    with raises_kind(SettingsError, names=("mask.glow",)):
        OneMore.parse({"mask": {"glow": 13}})
    told = OneMore.model_json_schema()["$defs"]["WithGlow"]["properties"]["glow"]
    assert told.items() >= {"description": "how much the mouth glows", "default": 0.25, "maximum": 12.5}.items()
    assert (told["minimum"], told["unit"]) == (0, "lumens")


def test_a_command_leaves_out_what_it_decides_itself() -> None:
    _, said = ask("--help", without=("backend", "mask.glow"))
    assert "--mask-glow" not in said and "--backend" not in said
    assert "--halo" in said


def test_every_setting_says_what_it_does() -> None:
    for field in FIELDS:
        assert len(field.text.split()) > 1, field.name
        assert field.panel, field.name
        assert not field.text.endswith("."), field.name


def test_no_two_settings_have_a_name_in_common() -> None:
    flags = [flag for field in FIELDS for flag in (field.flag, *field.aliases)]
    names = [name for field in FIELDS for name in (field.name, *field.old)]
    assert sorted(set(flags)) == sorted(flags)
    assert sorted(set(names)) == sorted(names)


def whole(field: SettingField, value: object) -> dict[str, Any]:
    """Settings in which one has a value."""
    group_, _, leaf = field.name.rpartition(".")
    return {group_: {leaf: value}} if group_ else {leaf: value}


@pytest.mark.parametrize("field", [each for each in FIELDS if each.low is not None], ids=lambda field: field.name)
def test_what_is_said_of_bounds_is_so(field: SettingField) -> None:
    assert field.low is not None
    if field.open_low:
        with raises_kind(SettingsError, names=(field.name,)):
            RenderSettings.parse(whole(field, field.low))
    else:
        RenderSettings.parse(whole(field, field.low))
    if field.high is not None and not field.open_high:
        RenderSettings.parse(whole(field, field.high))
        with raises_kind(SettingsError, names=(field.name,)):
            RenderSettings.parse(whole(field, field.high + 1))


@pytest.mark.parametrize("field", [each for each in FIELDS if each.choices], ids=lambda field: field.name)
def test_every_word_that_is_told_is_taken(field: SettingField) -> None:
    for word in field.choices:
        RenderSettings.parse(whole(field, word))
    with raises_kind(SettingsError, names=(field.name,)):
        RenderSettings.parse(whole(field, "no such word"))


# Options as they were called before, and as forks and upstream's programs call them.
FORMER = {
    "--enhance": ("enhance.model", "gfpgan"),
    "--pause-seconds": ("silence.min_pause_seconds", 2.0),
    "--colour": ("blend.color", "none"),
    "--sampler": ("latentsync.preset", "fast"),
    "--inference-steps": ("latentsync.steps", 3),
    "--guidance-scale": ("latentsync.guidance", 2.0),
    "--framing": ("latentsync.framing", "musetalk"),
    "--fallback": ("latentsync.fallback", "error"),
    "--mask": ("mask.shape", "jaw"),
    "--detector": ("detector.name", "haar"),
    "--device": ("network.device", "cpu"),
    "--crf": ("encoder.crf", 20),
    "--max-seconds": ("limits.max_seconds", 5.0),
    "--voice_track": ("voice_track", 2),
}


@pytest.mark.parametrize("option", FORMER)
def test_former_options_are_taken(option: str) -> None:
    name, value = FORMER[option]
    settings, _ = ask(option, str(value), model=RenderSettings)
    [field] = [each for each in FIELDS if each.name == name]
    assert settings == whole(field, value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--occlusion",), {"mask": {"occlusion": True}}),
        (("--no-occlusion",), {"mask": {"occlusion": False}}),
        (("--no-mask.occlusion",), {"mask": {"occlusion": False}}),
        (("--measure", "--use-saved-coords"), {"measure": True, "use_saved_coords": True}),
        (("--no-measure",), {"measure": False}),
        ((), {}),
    ],
)
def test_switches_are_on_off_or_unsaid(arguments: tuple[str, ...], said: dict[str, Any]) -> None:
    assert ask(*arguments, model=RenderSettings)[0] == said


def test_a_switch_is_not_on_and_off() -> None:
    with raises_kind(SettingsError, names=("mask.occlusion",)):
        ask("--occlusion", "--no-occlusion", model=RenderSettings)


def test_old_names_of_settings_give_way_to_new_ones() -> None:
    old = {"silence": {"threshold_seconds": 2, "mode": "rest"}, "mask": {"blur": 0.1}}
    assert current_names(RenderSettings, old) == {
        "silence": {"min_pause_seconds": 2, "mode": "rest"},
        "mask": {"blur_kernel_ratio": 0.1},
    }
    assert RenderSettings.parse(old).silence.min_pause_seconds == 2
    with raises_kind(SettingsError, names=("silence.threshold_seconds",)):
        RenderSettings.parse({"silence": {"threshold_seconds": 2, "min_pause_seconds": 2}})


@pytest.mark.parametrize("command", ["render", "compare", "inspect"])
def test_help_has_room_for_every_options_name(command: str) -> None:
    said = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80", "TERM": "dumb"}).output
    assert "…" not in said
    assert "--latentsync-preset" in said
    assert "LatentSync" in said
