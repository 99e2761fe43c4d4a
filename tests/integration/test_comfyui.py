"""ComfyUI's nodes at work: what goes in and comes out, progress, Cancel, and what is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from musetalk.errors import MediaError, MuseTalkError
from musetalk.progress import STAGE_TITLES
from tests.helpers.comfyui import ComfyUI, ExecutionBlocker, InterruptProcessingException, VideoFromFile, batch, comfyui
from tests.helpers.film import FACE, FILM
from tests.helpers.media import decode, decode_sound

pytestmark = pytest.mark.integration
PREVIEW = {"backend": "preview", "more": "detector.name=haar"}


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    with comfyui(tmp_path_factory.mktemp("comfyui") / "ComfyUI") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def spoken(words: Path) -> dict[str, Any]:
    return {"waveform": torch.from_numpy(decode_sound(words).copy())[None, None], "sample_rate": 16_000}


@pytest.fixture(scope="module")
def rendered(comfy: ComfyUI, film: Path, spoken: dict[str, Any]) -> dict[str, Any]:
    """The film, as images, speaking the words, as a sound."""
    images = batch(decode(film))
    return comfy.run("MuseTalkLipSync", images=images, audio=spoken, masks=True, free_memory=True, **PREVIEW)  # type: ignore[no-any-return]


def test_images_and_a_sound_become_a_video_in_the_output_folder(
    comfy: ComfyUI, rendered: dict[str, Any], film: Path
) -> None:
    video, masks, told = rendered["result"]
    place = comfy.folder("output") / "musetalk" / "lipsync_00001_.mp4"
    assert Path(video.get_stream_source()) == place
    report = json.loads(told)
    assert (report["output"], report["frames"], report["fps"]) == (str(place), FILM, "25/1")
    assert report["face_frames"] == len(FACE)
    assert rendered["ui"]["images"] == [{"filename": place.name, "subfolder": "musetalk", "type": "output"}]
    made, source = decode(place), decode(film)
    assert made.shape == source.shape
    assert np.abs(made[FACE.start].astype(int) - source[FACE.start]).max() > 20  # somebody speaks
    assert len(decode(Path(masks.get_stream_source()))) == FILM
    assert list(comfy.folder("output").rglob("*.*")) == [place]
    assert comfy.unloaded == 1


def test_the_bar_goes_through_every_stage_and_the_node_says_what_the_result_is(
    comfy: ComfyUI, rendered: dict[str, Any]
) -> None:
    assert comfy.bars[-1][:3] != ("7", 0, 0)
    assert {node for node, *_ in comfy.bars} == {"7"}
    assert ("7", FILM, FILM) in {bar[:3] for bar in comfy.bars}
    shown = [text for text, node in comfy.texts if node == "7"]
    assert STAGE_TITLES["render"] in shown
    (label,) = rendered["ui"]["text"]
    assert label in shown
    assert "preview" in label.lower()


def test_frames_masks_and_sound_come_out_as_comfyuis_own(comfy: ComfyUI, rendered: dict[str, Any]) -> None:
    video, masks, _ = rendered["result"]
    images, masked, audio, fps = comfy.run("MuseTalkFrames", video=video, masks=masks, first=2, count=4)
    made = decode(Path(video.get_stream_source()))
    assert images.dtype == masked.dtype == torch.float32
    assert images.shape == (4, *made.shape[1:])
    assert np.abs(images.numpy() * 255 - made[2:6]).mean() < 1
    assert masked.shape == (4, *made.shape[1:3])
    assert masked[: FACE.start - 2].max() < 0.1
    assert 0.9 < masked[FACE.start - 2 :].max() <= 1.0
    assert images.max() <= 1.0
    assert fps == 25.0
    assert audio["waveform"].shape[:2] == (1, 1)
    assert audio["waveform"].shape[2] == pytest.approx(audio["sample_rate"] * 4 / 25, abs=1)
    rate = audio["sample_rate"]
    heard = decode_sound(Path(video.get_stream_source()), rate)
    assert np.allclose(audio["waveform"][0, 0], heard[2 * rate // 25 : 6 * rate // 25], atol=1e-3)


def test_what_is_not_there_says_so_where_it_is_wanted(comfy: ComfyUI, rendered: dict[str, Any]) -> None:
    video, *_ = rendered["result"]
    _, masked, _, _ = comfy.run("MuseTalkFrames", video=video, count=1)
    assert isinstance(masked, ExecutionBlocker)
    assert "masks" in str(masked.message)
    with pytest.raises(MediaError, match="16 frames"):
        comfy.run("MuseTalkFrames", video=video, first=16)


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("result_")]


def test_cancel_ends_it_in_comfyuis_way_and_leaves_nothing(comfy: ComfyUI, film: Path, words: Path) -> None:
    before = left_in(comfy.folder("output"))
    comfy.cancel_in = STAGE_TITLES["render"]
    with pytest.raises(InterruptProcessingException):
        comfy.run("MuseTalkLipSync", source_path=str(film), voice_path=str(words), **PREVIEW)
    assert left_in(comfy.folder("output")) == before
    assert left_in(comfy.folder("temp")) == []
    comfy.check()  # nobody's Cancel is left for the next node


def test_errors_are_our_own_and_leave_nothing(comfy: ComfyUI, words: Path) -> None:
    grey = torch.full((3, 96, 96, 3), 0.5)
    with pytest.raises(MuseTalkError, match="face"):
        comfy.run("MuseTalkLipSync", images=grey, voice_path=str(words), **PREVIEW)
    assert left_in(comfy.folder("temp")) == []


def test_an_avatar_speaks_and_what_nobody_saves_goes_to_the_temporary_folder(
    comfy: ComfyUI, film: Path, spoken: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.settings import RenderSettings  # noqa: PLC0415

    monkeypatch.setenv("MUSETALK_AVATARS", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    store = AvatarStore()
    store.place("ann").parent.mkdir(parents=True, exist_ok=True)
    wanted = RenderSettings.parse({"backend": "preview", "detector": {"name": "haar"}})
    LipSync().create_avatar(film, store.place("ann"), wanted)
    assert comfy.nodes["MuseTalkSpeak"].INPUT_TYPES()["required"]["avatar"][0] == ["ann"]
    done = comfy.run("MuseTalkSpeak", avatar="ann", audio=spoken, filename_prefix="")
    video, masks, told = done["result"]
    assert Path(video.get_stream_source()).is_relative_to(comfy.folder("temp"))
    assert json.loads(told)["avatar"] == "ann"
    assert isinstance(masks, ExecutionBlocker)
    assert isinstance(video, VideoFromFile)
