"""What an avatar keeps of the settings, and what may still be said over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.avatars.settings import check_decided, decided, kept_values, settings_of
from musetalk.errors import SettingsError
from musetalk.settings import RenderSettings, setting_fields
from tests.helpers.errors import raises_kind


def test_the_look_is_kept_and_nothing_of_the_machine() -> None:
    said = {"mask": {"shape": "jaw"}, "models_dir": "/elsewhere", "fps": "30000/1001", "network": {"device": "cpu"}}
    settings = RenderSettings.parse({**said, "voice_track": 2, "limits": {"max_seconds": 5}})
    kept = settings_of(kept_values(settings), {})
    assert (kept.mask.shape, str(kept.fps)) == ("jaw", "30000/1001")
    usual = RenderSettings()
    for name in ("models_dir", "network", "voice_track", "limits"):
        assert getattr(kept, name) == getattr(usual, name)
    assert settings_of(kept_values(settings), {"mask": {"shape": "raw"}}).mask.shape == "raw"


def test_what_preparation_depends_on_cannot_be_changed() -> None:
    own, same = RenderSettings().by_name(), RenderSettings.parse({"mask": {"shape": "jaw"}, "length": "loop"})
    assert {"fps", "face", "detector.name", "tracker.smoothing_seconds"} <= set(decided())
    check_decided(same.by_name(), own, "anna")
    other = RenderSettings.parse({"face": "all", "tracker": {"bridge_frames": 3}})
    with raises_kind(SettingsError, names=("face", "tracker.bridge_frames")):
        check_decided(other.by_name(), own, "anna")


@pytest.mark.parametrize("name", [field.name for field in setting_fields(RenderSettings) if field.server_only])
def test_what_a_server_decides_is_refused_in_an_avatar(name: str, tmp_path: Path) -> None:
    tree: dict[str, object] = {
        name.split(".", maxsplit=1)[0]: {name.split(".")[1]: 1} if "." in name else str(tmp_path)
    }
    with raises_kind(SettingsError):
        settings_of(tree, {})
