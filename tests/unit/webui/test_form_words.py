"""What the form says of its settings."""

from __future__ import annotations

import pytest

from musetalk.webui.form.changes import fold_of
from musetalk.webui.form.settings_form import NAMES, SettingsForm
from tests.unit.webui.test_form import made_form


@pytest.fixture(scope="module")
def form() -> SettingsForm:
    return made_form()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "backend"])
def test_each_setting_has_one_plain_sentence(form: SettingsForm, name: str) -> None:
    info = form[name].info
    assert info[0].isupper()
    assert info.endswith(".")
    assert ". " not in info
    assert 20 <= len(info) <= 110
    assert not {"fp16", "fp32", "DPM++", "latents", "FWHM", "bbox_shift"} & set(info.replace(",", " ").split())


def test_settings_know_their_fold(form: SettingsForm) -> None:
    assert fold_of(form["bbox_shift"]) is None
    assert [
        fold.label
        for fold in (fold_of(form["mask.mouth_scale_factor"]), fold_of(form["encoder.crf"]))
        if fold is not None
    ] == ["Mask", "Output"]
