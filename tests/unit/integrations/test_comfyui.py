"""ComfyUI's nodes against its contract: how they load, what their widgets say, what they refuse."""

# ruff: noqa: ANN401 - values of ComfyUI are of any type
from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import types
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from musetalk.errors import MediaError, SettingsError, VoiceError
from musetalk.media.sound.wav import read_wav
from musetalk.progress import CancelToken
from musetalk.settings import RenderSettings, nested, setting_fields
from tests.helpers.comfyui import (
    PACK,
    ComfyUI,
    Components,
    VideoFromComponents,
    VideoFromFile,
    batch,
    comfyui,
    defaults_of,
    load_pack,
)
from tests.helpers.media import decode, numbered_frames, write_video

PANELS = 11


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    with comfyui(tmp_path_factory.mktemp("comfyui") / "ComfyUI") as loaded:
        yield loaded


def part(comfy: ComfyUI, name: str) -> Any:
    assert comfy.pack is not None
    return importlib.import_module(f"{comfy.pack.__name__}.{name}")


def settings_nodes(comfy: ComfyUI) -> dict[str, Any]:
    return {name: each for name, each in comfy.nodes.items() if name.startswith("MuseTalkSettings")}


def test_it_loads_from_a_link_with_all_that_comfyui_asks_of_nodes(comfy: ComfyUI) -> None:
    assert comfy.pack is not None
    assert set(comfy.pack.NODE_DISPLAY_NAME_MAPPINGS) == set(comfy.nodes)
    assert {"MuseTalkLipSync", "MuseTalkSpeak", "MuseTalkFrames", "MuseTalkSettingsMask"} <= set(comfy.nodes)
    for node in comfy.nodes.values():
        assert callable(getattr(node, node.FUNCTION))
        assert node.CATEGORY.startswith("MuseTalk")
        assert node.DESCRIPTION
        for kind, options in {**node.INPUT_TYPES()["required"], **node.INPUT_TYPES()["optional"]}.values():
            assert isinstance(kind, list | str)
            assert options["tooltip"]
    assert str(PACK.parents[1]) == sys.path[-1]  # behind ComfyUI's own `app` and `tests`


def test_every_setting_that_is_no_machines_is_a_widget_once(comfy: ComfyUI) -> None:
    widgets = [name for node in settings_nodes(comfy).values() for name in node.INPUT_TYPES()["required"]]
    expected = [field for field in setting_fields(RenderSettings) if not field.server_only and field.name != "backend"]
    assert sorted(widgets) == sorted(field.flag[2:].replace("-", "_") for field in expected)
    assert len(settings_nodes(comfy)) == PANELS


def test_what_nobody_touched_is_valid_and_says_nothing(comfy: ComfyUI) -> None:
    for name in settings_nodes(comfy):
        assert comfy.run(name) == ({},)


def test_all_that_a_widget_offers_is_taken(comfy: ComfyUI) -> None:
    for name, node in settings_nodes(comfy).items():
        for widget, (kind, options) in node.INPUT_TYPES()["required"].items():
            tried = kind if isinstance(kind, list) else [options[each] for each in ("min", "max") if each in options]
            if kind == "BOOLEAN":
                tried = [True, False]
            for value in tried:
                if value in (2**31 - 1, 1 - 2**31):
                    continue  # no bound of the setting's
                (said,) = comfy.run(name, **{widget: value})
                RenderSettings.parse(nested(said))
                assert len(said) == (value != options["default"]), (widget, value)


@pytest.mark.parametrize(
    ("node", "widget", "held", "name", "meant"),
    [
        ("Mask", "occlusion", "off", "mask.occlusion", False),
        ("Enhancement", "upscale", "4", "enhance.upscale", 4),
        ("HowNetworksRun", "seed", "7", "network.seed", 7),
        ("SourceAndLength", "fps", "29.97", "fps", "30000/1001"),
        ("SourceAndLength", "face", "10,20", "face", (10.0, 20.0)),
    ],
)
def test_a_widget_means_what_its_setting_does(
    comfy: ComfyUI, node: str, widget: str, held: object, name: str, meant: object
) -> None:
    (said,) = comfy.run(f"MuseTalkSettings{node}", **{widget: held})
    assert RenderSettings.parse(nested(said)).by_name()[name] == meant


def test_settings_pass_from_node_to_node_and_what_is_written_wins(comfy: ComfyUI) -> None:
    (mask,) = comfy.run("MuseTalkSettingsMask", feather=0.2)
    (both,) = comfy.run("MuseTalkSettingsOutput", settings=mask, crf=30, frame_step="label\nresize:width=64")
    tree = part(comfy, "widgets").settings_tree(both, "mask.feather = 0.3\n# a remark\n\nenhance.strength=0.5")
    parsed = RenderSettings.parse(tree)
    assert (parsed.mask.feather, parsed.encoder.crf, parsed.enhance.strength) == (0.3, 30, 0.5)
    assert [step.name for step in parsed.frame_steps] == ["label", "resize"]
    as_json = part(comfy, "widgets").settings_tree(both, '{"mask": {"blur": 0.1}, "network.seed": 3}')
    parsed = RenderSettings.parse(as_json)
    assert (parsed.mask.feather, parsed.mask.blur_kernel_ratio, parsed.network.seed) == (0.2, 0.1, 3)


def test_a_setting_that_cannot_be_is_refused_where_it_is_said(comfy: ComfyUI) -> None:
    with pytest.raises(SettingsError, match=r"network\.seed"):
        comfy.run("MuseTalkSettingsHowNetworksRun", seed="many")


def test_paths_are_looked_at_before_anything_runs(comfy: ComfyUI) -> None:
    inputs = defaults_of(comfy.nodes["MuseTalkLipSync"].INPUT_TYPES()["required"])
    (refused,) = comfy.validate("MuseTalkLipSync", {**inputs, "source_path": "nothing.mp4"})
    assert str(comfy.folder("input") / "nothing.mp4") in refused
    (refused,) = comfy.validate("MuseTalkLipSync", {**inputs, "more": "feather"})
    assert "NAME=VALUE" in refused
    assert not comfy.validate("MuseTalkLipSync", {**inputs, "source_path": ["3", 0]})  # connected


def test_what_changes_in_a_named_file_is_rendered_anew(comfy: ComfyUI) -> None:
    file, changed = comfy.folder("input") / "voice.wav", comfy.nodes["MuseTalkLipSync"].IS_CHANGED
    file.write_bytes(b"one")
    before = changed(source_path="", voice_path="voice.wav", audio=None)
    assert changed(source_path="", voice_path="voice.wav", audio=None) == before
    os.utime(file, ns=(1, 1))
    assert changed(source_path="", voice_path="voice.wav", audio=None) != before
    assert changed(source_path=None, voice_path=None) == changed()


@pytest.fixture
def written(comfy: ComfyUI, tmp_path: Path) -> Any:
    def write(video: Any = None, images: Any = None, fps: float = 25.0, path: str = "") -> Path:
        return part(comfy, "inputs").source_file(video, images, fps, path, tmp_path, CancelToken())  # type: ignore[no-any-return]

    return write


def test_a_video_in_a_file_is_not_copied_and_one_in_memory_loses_nothing(written: Any, tmp_path: Path) -> None:
    frames = numbered_frames(4)
    file = write_video(tmp_path / "clip.mp4", frames)
    assert written(video=VideoFromFile(str(file))) == file
    components = Components(batch(frames), Fraction(30000, 1001))
    made = written(video=VideoFromComponents(components))
    assert np.array_equal(decode(made), frames)
    trimmed = written(video=VideoFromFile(str(file)).as_trimmed(2 / 25))
    assert len(decode(trimmed)) == 2


def test_images_are_a_video_and_one_is_a_picture(written: Any) -> None:
    frames = numbered_frames(3)
    assert np.array_equal(decode(written(images=batch(frames))), frames)
    assert written(images=batch(frames[:1])).suffix == ".png"


def test_a_source_is_told_once(written: Any) -> None:
    for inputs in ({}, {"images": batch(numbered_frames(2)), "path": "clip.mp4"}):
        with pytest.raises(MediaError, match="one of the three"):
            written(**inputs)


def test_a_sound_is_written_with_all_its_channels(comfy: ComfyUI, tmp_path: Path) -> None:
    waveform = torch.linspace(-0.5, 0.5, 32_000).reshape(1, 2, 16_000)
    write = part(comfy, "inputs").voice_file
    path = write({"waveform": waveform, "sample_rate": 16_000}, "", tmp_path, CancelToken())
    sound = read_wav(path)
    assert (sound.rate, sound.channels, sound.samples) == (16_000, 2, 16_000)
    assert np.array_equal(np.concatenate(list(sound.blocks(9_000))).T, waveform[0].numpy())
    with pytest.raises(VoiceError, match="batch"):
        write({"waveform": torch.zeros(2, 1, 10), "sample_rate": 16_000}, "", tmp_path, CancelToken())
    with pytest.raises(VoiceError, match="one of the two"):
        write(None, "", tmp_path, CancelToken())


def test_a_copy_outside_a_checkout_takes_what_is_installed(comfy: ComfyUI, tmp_path: Path) -> None:
    copy = shutil.copytree(PACK, tmp_path / "custom_nodes" / "copied")
    assert set(load_pack(copy).NODE_CLASS_MAPPINGS) == set(comfy.nodes)


def test_another_package_of_the_name_is_refused(
    comfy: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = types.ModuleType("musetalk")
    other.__file__ = str(tmp_path / "musetalk" / "__init__.py")
    monkeypatch.setitem(sys.modules, "musetalk", other)
    with pytest.raises(ImportError, match="another package"):
        part(comfy, "reach").put_in_reach(PACK)


def test_where_nothing_is_installed_it_says_what_to_do(
    comfy: ComfyUI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "musetalk", None)  # as if there were none
    with pytest.raises(ImportError, match="link the folder"):
        part(comfy, "reach").put_in_reach(tmp_path / "custom_nodes" / "copied")


WORKFLOW = json.loads((PACK / "example_workflow.json").read_text())
REQUEST = json.loads((PACK / "example_api.json").read_text())


def test_the_example_has_the_sockets_and_widgets_of_the_nodes(comfy: ComfyUI) -> None:
    types = {link[0]: link[5] for link in WORKFLOW["links"]}
    own = [node for node in WORKFLOW["nodes"] if node["type"].startswith("MuseTalk")]
    assert {node["type"] for node in own} == {"MuseTalkSettingsMask", "MuseTalkLipSync", "MuseTalkFrames"}
    for node in own:
        made = comfy.nodes[node["type"]]
        inputs = {**made.INPUT_TYPES()["required"], **made.INPUT_TYPES()["optional"]}
        sockets = {each["name"]: each["type"] for each in node["inputs"] if "widget" not in each}
        assert sockets == {name: kind for name, (kind, told) in inputs.items() if "default" not in told}
        assert all(each["link"] is None or types[each["link"]] == each["type"] for each in node["inputs"])
        assert [(each["name"], each["type"]) for each in node["outputs"]] == [
            *zip(made.RETURN_NAMES, made.RETURN_TYPES, strict=True)
        ]
        widgets = [name for name, (_, told) in inputs.items() if "default" in told]
        assert [each["name"] for each in node["inputs"] if "widget" in each] == widgets
        held = dict(zip(widgets, node["widgets_values"], strict=True))
        assert not comfy.validate(node["type"], {**{name: ["1", 0] for name in inputs}, **held})


def test_the_example_as_a_request_is_one_that_comfyui_takes(comfy: ComfyUI) -> None:
    by_number = {str(node["id"]): node["type"] for node in WORKFLOW["nodes"]}
    assert {number: node["class_type"] for number, node in REQUEST.items()} == by_number
    for node in REQUEST.values():
        if node["class_type"] in comfy.nodes:
            assert set(node["inputs"]) <= set.union(
                *(set(each) for each in comfy.nodes[node["class_type"]].INPUT_TYPES().values())
            )
            assert not comfy.validate(node["class_type"], dict(node["inputs"]))
