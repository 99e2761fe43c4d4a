"""The form's widgets and the settings that they stand for; what visitors may set, and what they may not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gradio as gr
import pytest

from musetalk.errors import SettingsError
from musetalk.settings import (
    LatentSyncSettings,
    Limits,
    MaskSettings,
    NetworkSettings,
    RenderSettings,
    SettingField,
    nested,
)
from musetalk.webui.form.backend_picker import backend_picker
from musetalk.webui.form.sections import build_folds
from musetalk.webui.form.settings_form import SettingsForm, build_mouth, read, renewed, visitors_settings
from musetalk.webui.form.table import WIDGETS
from musetalk.webui.form.widgets import FIELDS, Choose
from tests.helpers.errors import raises_kind

BASE = RenderSettings(
    models_dir=Path("weights"),
    debug_dir=Path("seen"),
    limits=Limits(max_seconds=60),
    network=NetworkSettings(device="cuda:1", compile=True),
)
NEURAL, VIDEO = "musetalk-v15", "latentsync-1.5"


def made_form() -> SettingsForm:
    async def build() -> SettingsForm:
        with gr.Blocks(analytics_enabled=False):
            return SettingsForm({**build_mouth(backend_picker([], "auto")), **build_folds(RenderSettings().models_dir)})

    return asyncio.run(build())  # Gradio would else leave an event loop of its own behind


@pytest.fixture(scope="module")
def form() -> SettingsForm:
    return made_form()


def said(form: SettingsForm, changes: Mapping[str, object] = MappingProxyType({})) -> dict[str, Any]:
    """What the form's widgets hold at first, but for these."""
    held = {name: widget.value for name, widget in form.by_name.items()}
    assert set(changes) <= set(held)
    return {**held, **changes}


@pytest.mark.parametrize("backend", ["preview", "musetalk-v1", NEURAL, VIDEO, "latentsync-1.6"])
def test_an_untouched_form_says_the_defaults(form: SettingsForm, backend: str) -> None:
    assert read(said(form, {"backend": backend}), RenderSettings()) == RenderSettings(backend=backend)


def test_what_is_set_arrives(form: SettingsForm) -> None:
    settings = read(
        said(
            form,
            {
                "backend": NEURAL,
                "bbox_shift": -7,
                "mask.shape": "jaw",
                "mask.blur_kernel_ratio": 0.1,
                "mask.left_cheek_width": 40,
                "mask.right_cheek_width": 256,
                "extra_margin": 25,
                "detector.name": "haar",
                "network.decoder": "tiny",
                "network.dtype": "bf16",
                "network.batch_size": 4,
                "network.seed": " 7 ",
            },
        ),
        BASE,
    )
    assert settings.bbox_shift == -7
    assert settings.mask == MaskSettings(shape="jaw", blur_kernel_ratio=0.1, left_cheek_width=40, right_cheek_width=256)
    assert settings.extra_margin == 25
    assert settings.detector.name == "haar"
    assert settings.network == NetworkSettings(
        device="cuda:1", compile=True, decoder="tiny", dtype="bf16", batch_size=4, seed=7
    )
    assert (settings.models_dir, settings.limits) == (BASE.models_dir, BASE.limits)


@pytest.mark.parametrize(("shown", "track"), [(None, None), (0, None), (2, 2)])
def test_the_voices_track_is_its_default_one_or_a_number(
    form: SettingsForm, shown: int | None, track: int | None
) -> None:
    assert read(said(form, {"backend": NEURAL, "voice_track": shown}), BASE).voice_track == track


def test_how_a_source_is_read_arrives_for_any_backend(form: SettingsForm) -> None:
    settings = read(
        said(form, {"fps": "29.97", "alpha_background": "black", "deinterlace": "off", "detector.name": "haar"}), BASE
    )
    assert settings.detector.name == "haar"
    assert (str(settings.fps), settings.alpha_background, settings.deinterlace) == ("30000/1001", "black", "off")


@pytest.mark.parametrize("batch_size", [None, 0])
def test_no_batch_size_is_automatic(form: SettingsForm, batch_size: int | None) -> None:
    assert read(said(form, {"backend": NEURAL, "network.batch_size": batch_size}), BASE).network.batch_size is None


LATENTSYNC_SAID = {
    "latentsync.preset": "fast",
    "latentsync.steps": 3,
    "latentsync.guidance": 1,
    "latentsync.overlap": 2,
    "latentsync.fallback": "error",
}


def test_what_is_set_for_latentsync_arrives(form: SettingsForm) -> None:
    settings = read(
        said(form, {"backend": VIDEO, "network.decoder": "tiny", "network.seed": "5", **LATENTSYNC_SAID}), BASE
    )
    assert settings.latentsync == LatentSyncSettings(preset="fast", steps=3, guidance=1, overlap=2, fallback="error")
    assert (settings.network.decoder, settings.network.seed) == ("tiny", 5)


def test_a_seed_is_a_whole_number_or_nothing(form: SettingsForm) -> None:
    assert read(said(form, {"backend": VIDEO, "network.seed": "0"}), BASE).network.seed == 0
    assert read(said(form, {"backend": VIDEO, "network.seed": " "}), BASE).network.seed is None
    with raises_kind(SettingsError, names=("network.seed",)):
        read(said(form, {"backend": VIDEO, "network.seed": "seven"}), BASE)


def test_a_comparison_takes_what_any_of_its_backends_has_use_for(form: SettingsForm) -> None:
    values = said(
        form, {"backend": "preview", "bbox_shift": 4, "extra_margin": 25, "network.decoder": "tiny", **LATENTSYNC_SAID}
    )
    settings = read(values, BASE, [VIDEO, NEURAL])
    assert settings.backend == VIDEO
    assert (settings.bbox_shift, settings.extra_margin) == (4, 25)
    assert (settings.network.decoder, settings.latentsync.preset) == ("tiny", "fast")
    assert read(values, BASE, ["preview"]) == read(values, BASE)


@pytest.mark.parametrize("steps", [None, 0])
def test_no_steps_are_the_presets(form: SettingsForm, steps: int | None) -> None:
    assert read(said(form, {"backend": VIDEO, "latentsync.steps": steps}), BASE).latentsync.steps is None


def test_what_is_hidden_says_nothing(form: SettingsForm) -> None:
    network = {"network.decoder": "tiny", "network.dtype": "fp16", "network.batch_size": 9, "network.seed": "3"}
    plain = BASE
    assert read(said(form, {"extra_margin": 25, **network, **LATENTSYNC_SAID}), BASE) == plain
    for backend in (NEURAL, "musetalk-v1"):
        assert read(said(form, {"backend": backend, **LATENTSYNC_SAID}), BASE).latentsync == LatentSyncSettings()
    assert read(said(form, {"backend": "musetalk-v1", "extra_margin": 25}), BASE).extra_margin == 10


@pytest.mark.parametrize(("framing", "shift", "margin"), [("aligned", 0, 10), ("musetalk", 9, 25)])
def test_aligned_faces_have_no_line_to_shift(form: SettingsForm, framing: str, shift: int, margin: int) -> None:
    settings = read(
        said(form, {"backend": VIDEO, "latentsync.framing": framing, "bbox_shift": 9, "extra_margin": 25}), BASE
    )
    assert (settings.bbox_shift, settings.extra_margin) == (shift, margin)


def test_a_picked_face_is_a_point_or_an_error(form: SettingsForm) -> None:
    assert read(said(form, {"face": "picked", "point": "12, 34.5"}), BASE).face == (12.0, 34.5)
    for point in ("", "  ", None):
        with raises_kind(SettingsError, names=("face",)):
            read(said(form, {"face": "picked", "point": point}), BASE)


def test_every_shape_of_the_settings_can_be_chosen(form: SettingsForm) -> None:
    for shape in ("auto", "ellipse", "box", "raw", "jaw", "neck", "mouth"):
        assert shape in [value for _, value in form["mask.shape"].choices]
        assert read(said(form, {"mask.shape": shape}), BASE).mask.shape == shape


def test_widgets_say_every_word_of_their_settings() -> None:
    for widget in WIDGETS.values():
        if isinstance(widget, Choose):
            words = widget.setting.choices or (None, True, False)
            assert sorted(map(str, widget.choices)) == sorted(map(str, words)), widget.name
            assert all(widget.said(widget.held(value)) == value for value in widget.choices)


def test_widgets_reach_no_further_than_the_settings(form: SettingsForm) -> None:
    ranged = {name: held for name, held in form.by_name.items() if isinstance(held, gr.Slider | gr.Number)}
    assert len(ranged) >= 19
    for end in ("minimum", "maximum"):
        limits = {name: getattr(widget, end) for name, widget in ranged.items()}
        for backend in (NEURAL, VIDEO):
            values = said(
                form,
                {
                    "backend": backend,
                    "latentsync.framing": "musetalk",
                    "enhance": True,
                    "silence.mode": "rest",
                    **limits,
                },
            )
            assert read(values, BASE).backend == backend


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"models_dir": "/"}, "models_dir"),
        ({"coords_dir": "/"}, "coords_dir"),
        ({"debug_dir": "/"}, "debug_dir"),
        ({"use_saved_coords": True}, "use_saved_coords"),
        ({"limits": {}}, "limits"),
        ({"network": {"device": "cpu"}}, "network.device"),
        ({"network": {"compile": False}}, "network.compile"),
        ({"network": {"dtype": "fp32", "compile": True, "device": "auto"}}, "network.device, network.compile"),
        ({"limits": {}, "network": {"device": "cuda:7"}}, "limits, network.device"),
    ],
)
def test_what_the_server_decides_is_refused_by_name(values: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        visitors_settings(values, BASE)
    assert str(caught.value) == f"{named} cannot be set from outside: leave it out"


@pytest.mark.parametrize("field", [each for each in FIELDS.values() if each.server_only], ids=lambda field: field.name)
def test_a_setting_that_is_the_servers_is_nobody_elses(field: SettingField) -> None:
    with raises_kind(SettingsError) as caught:
        visitors_settings(nested({field.name: field.default}), BASE)
    assert caught.value.names in ((field.name,), (field.name.partition(".")[0],))  # or all of its group
    kept = renewed(RenderSettings(), BASE)
    assert attrgetter(field.name)(kept) == attrgetter(field.name)(BASE)


@pytest.mark.parametrize("values", [{"network": "cpu"}, {"network": None}, {"network": ["device"]}, [1], "x", 3])
def test_what_is_no_object_is_refused_in_words(values: Any) -> None:  # noqa: ANN401 - as JSON
    with pytest.raises(SettingsError):
        visitors_settings(values, BASE)


def test_the_rest_of_the_network_is_the_visitors() -> None:
    asked = {"dtype": "fp16", "decoder": "tiny", "batch_size": 2, "seed": 5}
    assert visitors_settings({"network": asked}, BASE).network == NetworkSettings(
        **asked, device="cuda:1", compile=True
    )
    assert visitors_settings({}, BASE).network == BASE.network
