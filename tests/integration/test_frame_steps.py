"""What is done to finished frames, through every door; a step of another package is there by being installed."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path

import cv2
import gradio as gr
import numpy as np
import pytest

from musetalk.assets import PORTRAIT
from musetalk.comparison.compare import compare
from musetalk.comparison.types import SOURCE_IN_STEP
from musetalk.lipsync import LipSync
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.pipeline.request import RenderRequest
from musetalk.settings import Limits, RenderSettings
from musetalk.utils.arrays import UInt8Array
from musetalk.webui.form.backend_picker import backend_picker
from musetalk.webui.form.form_values import differences, fits, titles, values_of
from musetalk.webui.form.sections import build_folds
from musetalk.webui.form.settings_form import SettingsForm, build_mouth, read
from musetalk.webui.html.report import report_panel
from tests.helpers.command import musetalk
from tests.helpers.media import tone, write_wav
from tests.helpers.toys import first_example, install

pytestmark = pytest.mark.integration
QUICK = {"backend": "preview", "detector": {"name": "haar"}, "encoder": {"preset": "ultrafast", "crf": 0}}


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "voice.wav", tone(0.2))


def looked_at(video: Path) -> Source:
    return probe_source(video, Limits())


def pictures(source: Source) -> list[UInt8Array]:
    with closing(read_frames(source)) as frames:
        return list(frames)


def build_form() -> SettingsForm:
    async def build() -> SettingsForm:
        with gr.Blocks(analytics_enabled=False):
            return SettingsForm({**build_mouth(backend_picker([], "auto")), **build_folds(RenderSettings().models_dir)})

    return asyncio.run(build())


def test_an_installed_step_is_in_options_form_preview_report_and_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice: Path
) -> None:
    install(tmp_path, monkeypatch, first_example("adding_a_frame_step.md"), "border", "musetalk.frame_steps")

    out, account = tmp_path / "out.mp4", tmp_path / "report.json"
    steps = ("--frame-step", "border:width=20", "--frame-step", "label:text=Made by AI")
    quick = (
        "--backend",
        "preview",
        "--detector",
        "haar",
        "--preset",
        "ultrafast",
        "--measure",
        "--debug-dir",
        tmp_path,
    )
    code, printed, complaint = musetalk("render", PORTRAIT, voice, "-o", out, "--report", account, *steps, *quick)
    assert code == 0, complaint
    portrait, made, report = looked_at(PORTRAIT), looked_at(out), json.loads(account.read_text(encoding="utf-8"))
    size = (portrait.width + 40, portrait.height + 40)
    assert (made.width, made.height) == size == tuple(report["size"])
    assert "border" in musetalk("doctor", "--models-dir", tmp_path)[1]
    assert "every frame was then changed by the frame step &quot;border&quot; and labelled" in report_panel(report)
    assert f"and labelled: {size[0]}x{size[1]} pixels" in printed
    assert [step["name"] for step in report["frame_steps"]] == ["border", "label"]
    assert report["frame_steps"][0]["width"] == 20
    assert report["measures"]["outside"]["pixels"] == 0  # measured as large as the source is, before the steps
    crops = looked_at(tmp_path / "out-masks.mp4")
    assert crops.width / crops.height == pytest.approx(portrait.width / portrait.height, rel=0.01)

    refused = musetalk("render", PORTRAIT, voice, "-o", out, "--frame-step", "border:width=0")
    assert refused[0] == 2 and "width" in refused[2]

    form = build_form()
    widget = form["frame_steps"]
    assert [value for _, value in widget.choices] == ["upscale", "label", "border"]
    held = {name: each.value for name, each in form.by_name.items()}
    settings = read({**held, "frame_steps": ["border:width=20", "label"]}, RenderSettings.parse(QUICK))
    assert fits(widget, values_of(settings).shown["frame_steps"])
    assert ("Output: finishing", "border:width=20; label") in differences(values_of(settings), form, titles(form))

    preview = LipSync().preview_frame(PORTRAIT, voice, settings, at=0.1)
    assert preview.output is not None and preview.output.shape == (size[1], size[0], 3)
    assert not preview.output[:20].any()  # the border
    assert preview.result is not None and preview.result.shape == preview.frame.shape


def test_a_preview_shows_what_the_render_writes(tmp_path: Path, voice: Path) -> None:
    steps = ["label:height=0.1", "upscale:factor=1.5"]
    settings = RenderSettings.parse({**QUICK, "frame_steps": steps})
    engine, plain = LipSync(), settings.model_copy(update={"frame_steps": ()})
    engine.render(PORTRAIT, voice, tmp_path / "plain.mp4", plain)
    report = engine.render(PORTRAIT, voice, tmp_path / "out.mp4", settings)
    made, bare = looked_at(tmp_path / "out.mp4"), looked_at(tmp_path / "plain.mp4")
    assert (made.width, made.height) == report.size == (3 * bare.width // 2, 3 * bare.height // 2)
    shown = pictures(made)
    assert len(shown) == report.frames == len(pictures(bare))
    preview = engine.preview_frame(PORTRAIT, voice, settings, at=0.1)
    assert preview.output is not None
    off = np.abs(shown[preview.number].astype(int) - preview.output)
    assert off.mean() < 2  # what 4:2:0 takes


def test_captions_are_burned_in_where_that_is_asked_for(tmp_path: Path, voice: Path) -> None:
    captions, out = tmp_path / "a.srt", tmp_path / "out.mp4"
    captions.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n", "utf-8")
    settings = RenderSettings.parse({**QUICK, "captions": str(captions), "burn_captions": True})
    preview = LipSync().preview_frame(PORTRAIT, voice, settings, at=0.1)
    assert preview.output is not None and preview.result is not None
    rows = (preview.output != preview.result).any((1, 2)).nonzero()[0]
    assert len(rows) and rows.min() > 0.7 * len(preview.output)

    asked = ("render", PORTRAIT, voice, "-o", out, "--burn-captions")
    code, _, complaint = musetalk(*asked)
    assert code == 2 and "there are no captions to write" in complaint
    captions.write_text("1\n00:00:00,000 --> 00:00:61,000\nHello\n", "utf-8")
    code, _, complaint = musetalk(*asked, "--captions", captions)
    assert code == 1 and "line 2 of the captions" in complaint and not out.exists()


def test_a_comparison_shows_results_and_source_in_the_size_that_steps_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice: Path
) -> None:
    install(tmp_path, monkeypatch)
    settings = RenderSettings.parse({**QUICK, "frame_steps": ["upscale:factor=1.5"]})
    compared, both = tmp_path / "compared", ["preview", "red-mouth"]
    compare(LipSync(), RenderRequest(PORTRAIT, voice, settings), compared, both, source_in_step=SOURCE_IN_STEP)
    portrait = looked_at(PORTRAIT)
    videos = [looked_at(compared / name) for name in (*(f"{name}.mp4" for name in both), SOURCE_IN_STEP)]
    sizes = {(video.width, video.height) for video in videos}
    assert sizes == {(3 * portrait.width // 2, 3 * portrait.height // 2)}


def test_without_steps_frames_are_what_they_were(tmp_path: Path, voice: Path) -> None:
    settings = RenderSettings.parse(QUICK)
    preview = LipSync().preview_frame(PORTRAIT, voice, settings, at=0.1)
    assert preview.finished is None and preview.output is preview.result


def test_a_report_says_how_large_the_file_is(tmp_path: Path, voice: Path) -> None:
    source = tmp_path / "odd.png"
    cv2.imwrite(str(source), cv2.imread(str(PORTRAIT))[:399, :379])
    report = LipSync().render(source, voice, tmp_path / "out.mp4", RenderSettings.parse(QUICK))
    made = looked_at(tmp_path / "out.mp4")
    assert report.size == (made.width, made.height) == (380, 400)
