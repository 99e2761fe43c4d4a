"""What the form says of masks, blending, pauses and enhancers, and which enhancers visitors may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.errors import SettingsError
from musetalk.settings import BlendSettings, EnhanceSettings, MaskSettings, SilenceSettings
from musetalk.webui.form.enhancement import enhancers, lacking_list
from musetalk.webui.form.settings_form import SettingsForm, read, visitors_settings
from tests.helpers.errors import raises_kind
from tests.helpers.html_page import Page
from tests.unit.webui.test_form import BASE, made_form, said


@pytest.fixture(scope="module")
def form() -> SettingsForm:
    return made_form()


def test_every_knob_of_the_mask_arrives(form: SettingsForm) -> None:
    settings = read(
        said(
            form,
            {
                "mask.shape": "mouth",
                "mask.feather": 0.3,
                "mask.ellipse_padding_factor": -0.2,
                "mask.blur_kernel_ratio": 0.1,
                "mask.expand_factor": 2,
                "mask.upper_boundary_ratio": 0.25,
                "mask.left_cheek_width": 1,
                "mask.right_cheek_width": 2,
                "mask.mouth_vertical_offset": -0.1,
                "mask.mouth_scale_factor": 1.5,
                "mask.smoothing_seconds": 0.5,
                "mask.occlusion": "always",
            },
        ),
        BASE,
    )
    assert settings.mask == MaskSettings(
        shape="mouth",
        feather=0.3,
        ellipse_padding_factor=-0.2,
        blur_kernel_ratio=0.1,
        expand_factor=2,
        upper_boundary_ratio=0.25,
        left_cheek_width=1,
        right_cheek_width=2,
        mouth_vertical_offset=-0.1,
        mouth_scale_factor=1.5,
        smoothing_seconds=0.5,
        occlusion=True,
    )


@pytest.mark.parametrize(("said_of_it", "kept"), [("auto", None), ("always", True), ("never", False)])
def test_what_lies_in_front_is_kept_or_not_or_left_open(form: SettingsForm, said_of_it: str, kept: bool | None) -> None:
    assert read(said(form, {"mask.occlusion": said_of_it}), BASE).mask.occlusion is kept


def test_blending_and_pauses_arrive(form: SettingsForm) -> None:
    values = said(
        form,
        {
            "blend.method": "poisson",
            "blend.color": False,
            "blend.sharpness": False,
            "silence.mode": "rest",
            "silence.min_pause_seconds": 1.5,
            "silence.fade_seconds": 0.5,
        },
    )
    settings = read(values, BASE)
    assert settings.blend == BlendSettings(method="poisson", color="none", sharpness="none")
    assert settings.silence == SilenceSettings(mode="rest", min_pause_seconds=1.5, fade_seconds=0.5)


def test_the_published_look_reaches_past_widgets_that_nobody_touched(form: SettingsForm) -> None:
    assert read(said(form, {"look": "published"}), BASE).beside_the_look == ()
    touched = read(said(form, {"look": "published", "mask.occlusion": "always"}), BASE)
    assert touched.mask.occlusion is True
    assert touched.beside_the_look == ("mask.occlusion",)
    assert visitors_settings({"look": "published"}, BASE).blend.color == "none"


ENHANCER_SAID = {
    "enhance.model": "other.pth",
    "enhance.strength": 0.5,
    "enhance.region": "face",
    "enhance.upscale": 4,
    "enhance.steadiness": 0.1,
}


def test_an_enhancer_says_nothing_until_it_is_switched_on(form: SettingsForm) -> None:
    assert read(said(form, {**ENHANCER_SAID}), BASE).enhance == EnhanceSettings()
    asked = EnhanceSettings(model="other.pth", strength=0.5, region="face", upscale=4, steadiness=0.1)
    assert read(said(form, {"enhance": True, **ENHANCER_SAID}), BASE).enhance == asked
    assert read(said(form, {"enhance": True}), BASE).enhance == EnhanceSettings(model="gfpgan")


@pytest.mark.parametrize("model", ["none", "gfpgan", "gfpgan-original", "RestoreFormer.pth", "x4 v1.2.safetensors"])
def test_enhancers_are_named_by_name(model: str) -> None:
    assert visitors_settings({"enhance": {"model": model}}, BASE).enhance.model == model


PATHS = [
    "/etc/passwd",
    "/models/gfpgan/GFPGANv1.4.pth",
    "../secret.pth",
    "gfpgan/../../secret.pth",
    "gfpgan/other.pth",
    "gfpgan\\other.pth",
    "C:other.pth",
    "C:\\other.pth",
    "..pth",
    "a..pth",
    ".hidden.pth",
    "~other.pth",
    "other.pth\n",
    "other.pth\0",
    "-other.pth",
    "other",
    "other.pt",
    "other.pickle",
    "https://example.org/other.pth",
    "GFPGAN",
    " ",
]


@pytest.mark.parametrize("model", PATHS)
def test_no_visitor_names_a_path(form: SettingsForm, model: str) -> None:
    with raises_kind(SettingsError, names=("enhance.model",)):
        visitors_settings({"enhance": {"model": model}}, BASE)
    with raises_kind(SettingsError, names=("enhance.model",)):
        read(said(form, {"enhance": True, "enhance.model": model}), BASE)
    assert lacking_list(model, BASE.models_dir) == ""


@pytest.mark.parametrize("enhance", [{"model": ""}, {"model": None}, {"model": ["gfpgan"]}, {"path": "x"}, "gfpgan"])
def test_what_is_no_enhancer_at_all_is_refused_in_words(enhance: object) -> None:
    with pytest.raises(SettingsError, match="enhance"):
        visitors_settings({"enhance": enhance}, BASE)


def test_enhancers_that_are_there_are_offered_by_their_names(tmp_path: Path) -> None:
    offered = enhancers(tmp_path)
    assert offered[0] == "gfpgan"
    folder = tmp_path / "gfpgan"
    folder.mkdir()
    for name in ("b.safetensors", "a.pth", "a.txt", ".a.pth", "half.pth.partial"):
        (folder / name).touch()
    assert enhancers(tmp_path) == [*offered, "a.pth", "b.safetensors"]


def test_what_an_enhancer_lacks_is_said_in_words(tmp_path: Path) -> None:
    assert "GFPGANv1.4.pth" in Page(lacking_list("gfpgan", tmp_path)).text
    assert "other.pth" in Page(lacking_list("other.pth", tmp_path)).text
    assert lacking_list(None, tmp_path) == lacking_list("none", tmp_path) == ""
