from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from musetalk.errors import SettingsError
from musetalk.settings import BlendSettings, MaskSettings, RenderSettings, left_to_the_look
from tests.helpers.errors import raises_kind


@pytest.mark.parametrize(
    ("said", "rate"),
    [
        (25, Fraction(25)),
        ("30", Fraction(30)),
        (12.5, Fraction(25, 2)),
        ("30000/1001", Fraction(30000, 1001)),
        (29.97, Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        ("", None),
        (None, None),
    ],
)
def test_a_rate_is_a_number_or_a_fraction(said: object, rate: Fraction | None) -> None:
    settings = RenderSettings.parse({"fps": said})
    assert settings.fps == rate
    assert RenderSettings.parse(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("said", [0, -25, 241, "fast", "1/0", "nan", float("inf"), True, "1e9", "9" * 5000, [25]])
def test_what_is_no_usable_rate_is_named(said: object) -> None:
    with raises_kind(SettingsError, names=("fps",)):
        RenderSettings.parse({"fps": said})


def test_the_old_name_of_the_rate_is_taken() -> None:
    assert RenderSettings.parse({"image_fps": 30}).fps == 30
    assert RenderSettings.parse({"image_fps": 25}).fps is None  # what it was unasked
    assert RenderSettings.parse({"image_fps": 30, "fps": 20}).fps == 20
    assert RenderSettings.parse({"image_fps": 30, "fps": None}).fps == 30


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("largest", "largest"),
        ("all", "all"),
        ("120,80.5", (120.0, 80.5)),
        (" 3 , 4 ", (3.0, 4.0)),
        ((1, 2), (1.0, 2.0)),
    ],
)
def test_a_face_is_named_or_pointed_at(text: object, value: object) -> None:
    assert RenderSettings.parse({"face": text}).face == value


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"face": "prettiest"}, "face"),
        ({"face": "1,2,3"}, "face"),
        ({"encoder": {"crf": 99}}, "encoder.crf"),
        ({"length": "bounce"}, "length"),
        ({"bbox_shfit": 3}, "bbox_shfit"),
        ({"mask": {"feather": 2}}, "mask.feather"),
    ],
)
def test_a_bad_value_is_named(values: dict[str, object], named: str) -> None:
    with raises_kind(SettingsError, names=(named,)) as caught:
        RenderSettings.parse(values)
    assert caught.value.remedy


def test_settings_survive_json() -> None:
    settings = RenderSettings.parse({"face": "7,9", "models_dir": "weights", "encoder": {"crf": 20}})
    assert RenderSettings.parse(settings.model_dump(mode="json")) == settings
    assert settings.models_dir == Path("weights")


def test_the_old_name_of_a_setting_is_understood() -> None:
    assert RenderSettings.parse({"mask": {"blur": 0.1}}).mask.blur_kernel_ratio == 0.1
    both = {"mask": {"blur": 0.1, "blur_kernel_ratio": 0.07}}
    with raises_kind(SettingsError, names=("mask.blur",)):
        RenderSettings.parse(both)


@pytest.mark.parametrize("word", ["on", "off", "auto"])
def test_a_switch_may_be_written_bare_in_yaml(word: str) -> None:
    assert RenderSettings.parse(yaml.safe_load(f"deinterlace: {word}")).deinterlace == word


def test_the_published_look_turns_off_what_this_program_adds() -> None:
    settings = RenderSettings.parse({"look": "published"})
    assert (settings.tracker.smoothing_seconds, settings.mask.smoothing_seconds) == (0, 0)
    assert (settings.mask.crop_edge, settings.mask.occlusion) == ("cut", False)
    blend = settings.blend
    assert (blend.method, blend.color, blend.sharpness, blend.resampling) == ("alpha", "none", "none", "upstream")
    assert settings.latentsync.paste == "crop"
    assert settings.beside_the_look == ()
    assert RenderSettings.parse(settings.model_dump(mode="json")) == settings == RenderSettings(look="published")
    assert RenderSettings().look == "ours"
    assert RenderSettings().beside_the_look == ()


def test_what_is_set_beside_the_look_wins() -> None:
    said = {"look": "published", "blend": {"color": "match", "method": "poisson"}, "mask": {"blur": 0.1}}
    settings = RenderSettings.parse(said)
    assert said["blend"] == {"color": "match", "method": "poisson"}  # left as it was
    assert (settings.blend.color, settings.blend.method, settings.blend.sharpness) == ("match", "poisson", "none")
    assert (settings.mask.blur_kernel_ratio, settings.mask.crop_edge) == (0.1, "cut")
    assert settings.beside_the_look == ("blend.color",)
    assert RenderSettings.parse({"look": "published", "blend": {"colour": "match"}}).beside_the_look == ("blend.color",)
    built = RenderSettings(look="published", blend=BlendSettings(sharpness="match"), mask=MaskSettings(feather=0.2))
    assert built.beside_the_look == ("blend.sharpness",)
    assert (built.mask.feather, built.mask.occlusion, built.blend.color) == (0.2, False, "none")


@pytest.mark.parametrize(
    ("said", "named"), [({"look": "theirs"}, "look"), ({"look": "published", "blend": "none"}, "blend")]
)
def test_a_look_that_cannot_be_is_named(said: dict[str, object], named: str) -> None:
    with raises_kind(SettingsError, names=(named,)):
        RenderSettings.parse(said)


def test_what_a_form_leaves_as_it_is_gives_way_to_the_look() -> None:
    plain = RenderSettings().model_dump(mode="json")
    settings = RenderSettings.parse(left_to_the_look({**plain, "look": "published"}))
    assert settings == RenderSettings(look="published")
    changed = {**plain, "look": "published", "mask": {**plain["mask"], "smoothing_seconds": 0.3}}
    assert RenderSettings.parse(left_to_the_look(changed)).beside_the_look == ("mask.smoothing_seconds",)
    assert left_to_the_look(plain) == plain
