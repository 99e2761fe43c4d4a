"""What a comparison shows: results side by side, whose they are, the table, the plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from PIL import Image

from musetalk.comparison.grid import WIDEST, Grid
from musetalk.comparison.plots import draw_plots
from musetalk.comparison.side_by_side import Panel, write_side_by_side
from musetalk.comparison.source_in_step import write_source_in_step
from musetalk.comparison.table import NOTHING, Row, remarks, rows
from musetalk.comparison.types import Compared, Comparison
from musetalk.errors import MediaError
from musetalk.media.types import Source
from musetalk.metrics.types import Figures, Outside
from musetalk.pipeline.report import Fallback, Span
from musetalk.progress import CancelToken
from tests.helpers.compared import FRAMES, RATE, SETTINGS, curves, finished, report_of, some_measures
from tests.helpers.media import (
    decode,
    decode_sound,
    numbered_frames,
    picture_size,
    read_number,
    stream_seconds,
    write_video,
)

pytestmark = pytest.mark.slow


def together(folder: Path, panels: Sequence[Panel]) -> Path:
    out = folder / "together.mp4"
    told = list[tuple[int, int]]()
    write_side_by_side(
        panels,
        out,
        folder=folder,
        wanted=SETTINGS.source,
        encoder=SETTINGS.encoder,
        on_frame=lambda done, total: told.append((done, total)),
        cancel=CancelToken(),
    )
    assert told[-1][0] == told[-1][1] == len(told)
    return out


@pytest.mark.parametrize(("count", "columns", "lines"), [(2, 2, 1), (3, 2, 2), (5, 2, 3)])
def test_panels_show_the_same_frame_at_the_same_moment(tmp_path: Path, count: int, columns: int, lines: int) -> None:
    panels = [Panel(finished(tmp_path / f"{k}.mp4", 480, 46), f"backend-{k}", "") for k in range(count)]
    out = together(tmp_path, panels)
    width, height = picture_size(out)
    assert width % 2 == height % 2 == 0
    pitch, drop = (width + 2) // columns, (height + 2) // lines
    label = drop - 2 - 46
    frames = decode(out)
    assert len(frames) == FRAMES
    for k, frame in enumerate(frames):
        for number in range(count):
            row, column = divmod(number, columns)
            panel = frame[row * drop + label :, column * pitch :][:46, :480]
            assert read_number(panel) == k
    assert abs(stream_seconds(out, "v:0") - FRAMES / RATE) < Fraction(1, 1000)
    assert abs(stream_seconds(out, "a:0") - FRAMES / RATE) <= 1 / RATE


def grid(width: int, height: int, *remarks: str) -> Grid:
    return Grid.of(cast("Source", SimpleNamespace(width=width, height=height)), remarks)


def test_a_panel_is_wide_enough_to_see_a_mouth() -> None:
    for width, height in ((64, 48), (240, 240), (1080, 1920), (1920, 1080), (3840, 2160)):
        for count in range(2, 6):
            laid = grid(width, height, *[""] * count)
            assert 480 <= laid.width <= max(480, width)
            assert laid.size[0] <= WIDEST
            assert abs(laid.width / laid.height - width / height) < 0.01
    assert [grid(1920, 1080, *[""] * count).columns for count in (2, 3, 4, 5)] == [2, 2, 2, 2]
    assert [grid(1080, 1920, *[""] * count).columns for count in (2, 3, 4, 5)] == [2, 3, 4, 3]


@pytest.mark.parametrize("size", [(240, 240), (512, 512), (1080, 1920), (1920, 1080), (3840, 2160)])
def test_labels_can_be_read_where_the_video_is_as_wide_as_a_page(size: tuple[int, int]) -> None:
    laid = grid(*size, "", "")
    page = 1200  # pixels
    assert 0.7 * laid.line * min(1.0, page / laid.size[0]) >= 16


def test_small_results_are_enlarged(tmp_path: Path) -> None:
    panels = [Panel(finished(tmp_path / f"{k}.mp4", 96, 72), str(k), "") for k in range(2)]
    out = together(tmp_path, panels)
    assert picture_size(out)[0] == 962
    frame = decode(out)[5]
    panel = frame[-360:, :480]
    assert read_number(panel[::5, ::5]) == 5


def test_the_sound_is_that_of_the_results_at_the_same_moment(tmp_path: Path) -> None:
    panels = [Panel(finished(tmp_path / f"{k}.mp4"), str(k), "") for k in range(2)]
    before, after = decode_sound(panels[0].video), decode_sound(together(tmp_path, panels))
    length = min(len(before), len(after))
    delays = {d: float(before[800 : length - 800] @ after[800 + d : length - 800 + d]) for d in range(-400, 401, 8)}
    assert max(delays, key=lambda each: delays[each]) == 0


def test_large_panels_are_shrunk_to_fit(tmp_path: Path) -> None:
    panels = [Panel(finished(tmp_path / f"{k}.mp4", 2000, 200, 2), str(k), "") for k in range(2)]
    width, height = picture_size(together(tmp_path, panels))
    assert WIDEST - 6 <= width <= WIDEST
    assert 192 + 60 <= height <= 192 + 100


def test_results_that_are_not_of_one_render_are_refused(tmp_path: Path) -> None:
    panels = [Panel(finished(tmp_path / f"{k}.mp4", frames=k), str(k), "") for k in (5, 6)]
    with pytest.raises(MediaError, match=r"differ in length \(\[5, 6\] frames\)"):
        together(tmp_path, panels)


FELL_BACK = {"fallbacks": (Fallback(2, 6, "no memory", "musetalk-v15"),), "fallback_frames": 4}


def test_a_panel_says_whose_result_it_is(tmp_path: Path) -> None:
    own, partly, wholly = (
        Panel.of(tmp_path / "x.mp4", report_of(tmp_path, SETTINGS, **changes))
        for changes in ({}, FELL_BACK, {**FELL_BACK, "fallback_frames": FRAMES, "instead": "musetalk-v15"})
    )
    assert (own.name, own.remark) == ("preview", "")
    assert partly.remark == "4 of 12 frames by musetalk-v15"
    assert wholly.remark == "this is musetalk-v15's result"
    called = Panel.of(tmp_path / "x.mp4", report_of(tmp_path, SETTINGS, **FELL_BACK), lambda name: f"<{name}>")
    assert (called.name, called.remark) == ("<preview>", "4 of 12 frames by <musetalk-v15>")


def test_the_remark_is_written_in_the_picture(tmp_path: Path) -> None:
    video = finished(tmp_path / "x.mp4")
    plain = together(tmp_path, [Panel(video, "a", ""), Panel(video, "b", "")])
    size, before = picture_size(plain), decode(plain)[0]
    marked = together(tmp_path, [Panel(video, "a", ""), Panel(video, "b", "this is musetalk-v15's result")])
    after = decode(marked)[0]
    assert picture_size(marked)[1] > size[1]
    line = after.shape[0] - before.shape[0]
    second = after[line : 2 * line].astype(int)
    assert (second[:, :480, 0] < 80).all()
    assert (second[:, 482:, 0] - second[:, 482:, 2] > 40).any()  # in a warm color


def test_the_source_shows_what_the_same_frame_of_a_result_was_painted_over(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", numbered_frames(5), RATE)
    result, out = finished(tmp_path / "result.mp4"), tmp_path / "source.mp4"
    told = list[tuple[int, int]]()
    write_source_in_step(
        film,
        result,
        out,
        folder=tmp_path,
        wanted=SETTINGS.source,
        length=SETTINGS.length,
        encoder=SETTINGS.encoder,
        on_frame=lambda done, total: told.append((done, total)),
        cancel=CancelToken(),
    )
    assert [read_number(frame) for frame in decode(out)] == [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3]
    assert told[-1] == (FRAMES, FRAMES)
    assert abs(stream_seconds(out, "v:0") - FRAMES / RATE) < Fraction(1, 1000)
    before, after = decode_sound(result), decode_sound(out)
    length = min(len(before), len(after)) - 800
    assert np.corrcoef(before[800:length], after[800:length])[0, 1] > 0.9


def by_label(found: Sequence[Row]) -> dict[str, Row]:
    return {row.label.strip(): row for row in found}


def test_the_table_says_it_in_words(tmp_path: Path) -> None:
    measure = SETTINGS.model_copy(update={"measure": True})
    first = report_of(tmp_path, measure, warnings=("it is cold",))
    second = report_of(tmp_path, measure, **FELL_BACK)
    assert second.measures is not None
    lost = Figures(None, None, None, None, None, None)
    second = replace(second, measures=replace(second.measures, picture=lost, outside=Outside(9, 30, 2)))
    parts = (Compared("one", "one.mp4", first), Compared("two", "two.mp4", second))
    plain = json.loads(json.dumps(Comparison("a", "b", parts).to_dict()))
    table = by_label(rows(plain))
    assert {label: (*row.texts, row.source) for label, row in table.items()} == {
        "seconds per face frame": ("0.500", "0.500", ""),
        "seconds in all": ("0.1", "0.1", ""),
        "mouth sharpness": ("20.0", NOTHING, "40.0"),
        "relative to the source": ("0.50", "0.50", "1.00"),
        "jitter in the mouth": ("3.25", NOTHING, "1.00"),
        "jitter around it": ("0.75", NOTHING, "0.50"),
        "jump at clip borders": ("1.50", NOTHING, "1.01"),
        "change outside the mask": ("0", "up to 9 levels: 30 pixels in 2 frames", ""),
        "fallback frames": ("0", "4 of 12 frames by musetalk-v15", ""),
        "voice/mouth correlation": ("0.88 (2 late)", NOTHING, NOTHING),
    }
    assert all(row.about and row.better for row in table.values())
    assert remarks(plain) == ("one: it is cold",)


def has(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - color).max(axis=2) <= 2).any())


def test_plots_show_each_backend_the_source_and_fallbacks(tmp_path: Path) -> None:
    measure = SETTINGS.model_copy(update={"measure": True})
    whole = report_of(tmp_path, measure)
    spans = (Span(0, 4, "face"), Span(4, FRAMES, "fallback"))
    partly = replace(whole, spans=spans, measures=some_measures(30.0))
    empty = curves([None] * FRAMES)
    assert whole.measures is not None
    nothing = replace(whole.measures, series=replace(whole.measures.series, picture=empty, source=empty))
    pictures = []
    for other in (whole, partly, replace(whole, measures=nothing)):
        parts = (Compared("one", "one.mp4", whole), Compared("two", "two.mp4", other), Compared("three", error="no"))
        draw_plots(Comparison("film.mp4", "words.wav", parts), tmp_path / "plots.png")
        pictures.append(np.asarray(Image.open(tmp_path / "plots.png").convert("RGB")))
    for picture in pictures:
        assert picture.shape[1] == 1320
        assert has(picture, (0x00, 0x72, 0xB2))
        assert has(picture, (0x8A, 0x8A, 0x8A))
        assert has(picture, (0xD5, 0x5E, 0x00))
    assert [has(picture, (0xB0, 0x00, 0x20)) for picture in pictures] == [False, True, False]
