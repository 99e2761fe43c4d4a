from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings


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
    with pytest.raises(SettingsError, match=named) as caught:
        RenderSettings.parse(values)
    assert caught.value.remedy


def test_settings_survive_json() -> None:
    settings = RenderSettings.parse({"face": "7,9", "models_dir": "weights", "encoder": {"crf": 20}})
    assert RenderSettings.parse(settings.model_dump(mode="json")) == settings
    assert settings.models_dir == Path("weights")


def test_the_old_name_of_a_setting_is_understood() -> None:
    assert RenderSettings.parse({"mask": {"blur": 0.1}}).mask.blur_kernel_ratio == 0.1
    both = {"mask": {"blur": 0.1, "blur_kernel_ratio": 0.07}}
    with pytest.raises(SettingsError, match=r"mask\.blur"):
        RenderSettings.parse(both)
