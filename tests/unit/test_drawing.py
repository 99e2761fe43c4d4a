from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.arrays import UInt8Array
from musetalk.compositing.masks import face_mask
from musetalk.compositing.outline import mask_outline
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.frame_preview import FramePreview
from musetalk.settings import MaskSettings
from musetalk.webui.drawing import draw_faces, show_result, to_source_point

FIRST, SECOND = FaceBox(60.0, 60.0, 140.0, 140.0, 9.0), FaceBox(240.0, 80.0, 340.0, 180.0, 9.0)


def preview_of(level: int, *, chosen: tuple[FaceBox, ...] = (SECOND,), scale: int = 1) -> FramePreview:
    """A grey frame of 400 x 300 times `scale` with two faces."""
    frame = np.full((300 * scale, 400 * scale, 3), level, np.uint8)
    boxes = [FaceBox(*(edge * scale for edge in (b.x0, b.y0, b.x1, b.y1)), b.score) for b in (FIRST, SECOND)]
    samples = [
        FaceSample(index, box, MouthShape(*box.center, 10.0, 0.0))
        for index, (box, plain) in enumerate(zip(boxes, (FIRST, SECOND), strict=True))
        if plain in chosen
    ]
    outlines = tuple(mask_outline(face_mask(face.box, MaskSettings())) for face in samples)
    return FramePreview(0.0, 0, frame, tuple(boxes), tuple(samples), outlines, None, ())


def contrast(picture: UInt8Array, level: int, x: int, y: int) -> int:
    """The strongest change within a few pixels of a place."""
    near = picture[y - 3 : y + 4, x - 3 : x + 4].astype(int)
    return int(np.abs(near - level).max())


@pytest.mark.parametrize("level", [0, 16, 128, 245, 255])
def test_everything_shows_on_dark_and_light(level: int) -> None:
    picture = draw_faces(preview_of(level))
    assert picture.shape == (300, 400, 3)
    assert picture.dtype == np.uint8
    for x, y in ((60, 100), (140, 100), (100, 140), (240, 130), (340, 130), (290, 180)):  # sides of both boxes
        assert contrast(picture, level, x, y) > 90
    assert contrast(picture, level, 290, 208) > 90  # below the chin: the outline's lower end
    assert (picture[20:45, 160:220] == level).all()  # and nothing where there is nothing


def test_the_chosen_face_stands_out() -> None:
    first, second = draw_faces(preview_of(128, chosen=(FIRST,))), draw_faces(preview_of(128))
    for box in (FIRST, SECOND):
        part = np.s_[int(box.y0) - 8 : int(box.y1) + 30, int(box.x0) - 8 : int(box.x1) + 8]
        with_mark, without = (first, second) if box is FIRST else (second, first)
        assert (with_mark[part] != 128).any(axis=2).sum() > 1.3 * (without[part] != 128).any(axis=2).sum()


def test_lines_grow_with_the_picture_and_large_frames_shrink() -> None:
    large = preview_of(128, scale=8)
    pictures = [draw_faces(large, max_side=side) for side in (640, 1280, 2560)]
    assert [picture.shape for picture in pictures] == [(480, 640, 3), (960, 1280, 3), (1920, 2560, 3)]
    touched = [(picture != 128).any(axis=2).mean() for picture in pictures]
    assert max(touched) < 2 * min(touched)  # lines of one width in pixels would make it four
    assert draw_faces(large).shape == (960, 1280, 3)


def test_the_preview_itself_stays_clean() -> None:
    preview = preview_of(128)
    draw_faces(preview)
    show_result(preview)[:] = 0
    assert (preview.frame == 128).all()


def test_faces_beyond_the_edges_and_none_at_all_are_drawn() -> None:
    frame = np.full((120, 90, 3), 128, np.uint8)
    box = FaceBox(-30.0, -20.0, 130.0, 150.0, 1.0)
    sample = FaceSample(0, box, MouthShape(40.0, 100.0, 9.0, 0.0))
    outline = mask_outline(face_mask(box, MaskSettings()))
    picture = draw_faces(FramePreview(0.0, 0, frame, (box,), (sample,), (outline,), frame, ()))
    assert (picture != 128).any()
    nothing = draw_faces(FramePreview(0.0, 0, frame, (), (), (), frame, ()))
    np.testing.assert_array_equal(nothing, frame)


def test_a_result_is_scaled_as_the_frame_is() -> None:
    frame, result = np.zeros((200, 100, 3), np.uint8), np.full((200, 100, 3), 200, np.uint8)
    shown = show_result(FramePreview(0.0, 0, frame, (), (), (), result, ()), max_side=50)
    assert shown.shape == (50, 25, 3)
    assert (shown == 200).all()


@given(st.integers(1, 4000), st.integers(1, 4000), st.floats(0, 1), st.floats(0, 1))
def test_clicks_lead_back_to_the_source(width: int, height: int, u: float, v: float) -> None:
    scale = min(1.0, 1280 / max(width, height))
    picture = max(1, round(width * scale)), max(1, round(height * scale))
    column, row = min(int(u * picture[0]), picture[0] - 1), min(int(v * picture[1]), picture[1] - 1)
    x, y = to_source_point(column, row, picture, (width, height))
    assert 0 <= x <= width
    assert 0 <= y <= height
    assert (int(x * picture[0] / width), int(y * picture[1] / height)) == (column, row)


def test_clicks_beyond_the_picture_stay_in_the_source() -> None:
    assert to_source_point(-5, 700, (640, 480), (1280, 960)) == (0.0, 960.0)
    assert to_source_point(0, 0, (640, 480), (640, 480)) == (0.5, 0.5)
