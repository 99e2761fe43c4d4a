from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.compositing.masks import face_mask
from musetalk.compositing.outline import mask_outline
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.labels import LABEL_SIDE, FaceLabel
from musetalk.faces.parsing.parsed_faces import ParsedFace
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.inspection.frame import FramePreview
from musetalk.settings import MaskSettings
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.lru_cache import LRUCache
from musetalk.webui.drawing.label_colors import GROUPS, legend
from musetalk.webui.drawing.overlays import USUAL, Overlay, OverlayBase, draw, show_result, sketch_of, to_source_point
from musetalk.webui.texts import preview_note
from tests.helpers.html_page import Page

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
    return FramePreview(0, 0.0, 0, frame, tuple(boxes), tuple(samples), outlines, None, ())


def drawn(preview: FramePreview, *overlays: Overlay, max_side: int = 1280) -> UInt8Array:
    return draw(sketch_of(preview, max_side=max_side), overlays or USUAL)


def changed(picture: UInt8Array, level: int) -> np.ndarray:
    """Where a picture of one grey was drawn into: bool [h, w]."""
    return np.asarray((picture != level).any(axis=2))


def contrast(picture: UInt8Array, level: int, x: int, y: int) -> int:
    """The strongest change within a few pixels of a place."""
    near = picture[y - 3 : y + 4, x - 3 : x + 4].astype(int)
    return int(np.abs(near - level).max())


@pytest.mark.parametrize("level", [0, 16, 128, 245, 255])
def test_everything_shows_on_dark_and_light(level: int) -> None:
    picture = drawn(preview_of(level))
    assert picture.shape == (300, 400, 3)
    assert picture.dtype == np.uint8
    for x, y in ((60, 100), (140, 100), (100, 140), (240, 130), (340, 130), (290, 180)):  # sides of both boxes
        assert contrast(picture, level, x, y) > 90
    assert contrast(picture, level, 290, 208) > 90  # below the chin: the outline's lower end
    assert (picture[20:45, 160:220] == level).all()  # and nothing where there is nothing


def test_the_chosen_face_stands_out() -> None:
    first, second = drawn(preview_of(128, chosen=(FIRST,))), drawn(preview_of(128))
    for box in (FIRST, SECOND):
        part = np.s_[int(box.y0) - 8 : int(box.y1) + 30, int(box.x0) - 8 : int(box.x1) + 8]
        with_mark, without = (first, second) if box is FIRST else (second, first)
        assert (with_mark[part] != 128).any(axis=2).sum() > 1.3 * (without[part] != 128).any(axis=2).sum()


def test_lines_grow_with_the_picture_and_large_frames_shrink() -> None:
    large = preview_of(128, scale=8)
    pictures = [drawn(large, max_side=side) for side in (640, 1280, 2560)]
    assert [picture.shape for picture in pictures] == [(480, 640, 3), (960, 1280, 3), (1920, 2560, 3)]
    touched = [(picture != 128).any(axis=2).mean() for picture in pictures]
    assert max(touched) < 2 * min(touched)  # lines of one width in pixels would make it four
    assert drawn(large).shape == (960, 1280, 3)


def test_the_preview_itself_stays_clean() -> None:
    preview = preview_of(128)
    drawn(preview, "faces", "crop")
    show_result(preview)[:] = 0
    assert (preview.frame == 128).all()


def test_faces_beyond_the_edges_and_none_at_all_are_drawn() -> None:
    frame = np.full((120, 90, 3), 128, np.uint8)
    box = FaceBox(-30.0, -20.0, 130.0, 150.0, 1.0)
    sample = FaceSample(0, box, MouthShape(40.0, 100.0, 9.0, 0.0))
    outline = mask_outline(face_mask(box, MaskSettings()))
    picture = drawn(FramePreview(0, 0.0, 0, frame, (box,), (sample,), (outline,), frame, ()))
    assert (picture != 128).any()
    nothing = drawn(FramePreview(0, 0.0, 0, frame, (), (), (), frame, ()))
    np.testing.assert_array_equal(nothing, frame)


def test_a_result_is_scaled_as_the_frame_is() -> None:
    frame, result = np.zeros((200, 100, 3), np.uint8), np.full((200, 100, 3), 200, np.uint8)
    shown = show_result(FramePreview(0, 0.0, 0, frame, (), (), (), result, ()), max_side=50)
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


def cropped(preview: FramePreview, crop: BoxCropTransform, line: float | None = None) -> FramePreview:
    return replace(preview, crops=(crop,), lines=(line,))


def test_a_crop_has_four_sides_and_the_line_that_halves_it() -> None:
    picture = drawn(cropped(preview_of(128), BoxCropTransform(240, 60, 100, 140, 256), 130.0), "crop")
    for x, y in ((240, 100), (340, 100), (290, 60), (290, 200), (290, 130)):
        assert contrast(picture, 128, x, y) > 90
    assert not changed(picture, 128)[:, :230].any()  # no boxes, no numbers
    assert not changed(picture, 128)[70:120, 250:330].any()
    assert not changed(picture, 128)[140:190, 250:330].any()
    plain = drawn(cropped(preview_of(128), BoxCropTransform(240, 60, 100, 140, 256)), "crop")
    assert not changed(plain, 128)[70:190, 250:330].any()


def test_a_crop_may_leave_the_frame() -> None:
    touched = changed(drawn(cropped(preview_of(128), BoxCropTransform(-50, 100, 200, 900), 250.0), "crop"), 128)
    assert touched[250, :145].any()
    assert touched[100:295, 150].all()
    beyond = drawn(cropped(preview_of(128), BoxCropTransform(-900, -900, 100, 100), -850.0), "crop")
    assert (beyond == 128).all()


def test_lines_of_a_crop_grow_with_the_picture() -> None:
    large = cropped(preview_of(128, scale=8), BoxCropTransform(1920, 480, 800, 1120), 1040.0)
    widths = [
        np.flatnonzero(changed(drawn(large, "crop", max_side=side), 128)[:, side * 290 // 400]) for side in (640, 2560)
    ]
    assert [len(rows) > 0 for rows in widths] == [True, True]
    assert 2 * len(widths[0]) < len(widths[1]) < 6 * len(widths[0])  # four times as large a picture


def parsed(preview: FramePreview, labels: UInt8Array, seen: BoxCropTransform) -> FramePreview:
    return replace(preview, parsed=(ParsedFace(labels, seen), None))


def test_labels_are_tinted_where_they_are_and_background_stays() -> None:
    labels = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
    labels[:, : LABEL_SIDE // 2] = FaceLabel.SKIN
    labels[LABEL_SIDE // 2 :, : LABEL_SIDE // 2] = FaceLabel.HAIR
    picture = drawn(parsed(preview_of(128), labels, BoxCropTransform(100, 50, 200, 100)), "parsing")
    touched = changed(picture, 128)
    assert touched[50:150, 100:200].all()
    assert touched.sum() == 100 * 100
    skin, hair = picture[50:100, 100:200].reshape(-1, 3), picture[100:150, 100:200].reshape(-1, 3)
    assert len(np.unique(skin, axis=0)) == len(np.unique(hair, axis=0)) == 1
    assert np.abs(skin[0].astype(int) - hair[0]).max() > 60


def test_what_lies_under_the_labels_shows_through() -> None:
    labels = np.full((LABEL_SIDE, LABEL_SIDE), FaceLabel.NOSE, np.uint8)
    dark, light = (
        drawn(parsed(preview_of(level), labels, BoxCropTransform(0, 0, 400, 300)), "parsing") for level in (0, 255)
    )
    assert (light[10, 10].astype(int) - dark[10, 10]).min() > 80


@pytest.mark.parametrize("place", [(-100, -80, 300, 300), (350, 250, 200, 200), (-900, 0, 300, 300), (0, 400, 9, 9)])
def test_labels_beyond_the_edges_are_cut_off(place: tuple[int, int, int, int]) -> None:
    x, y, width, height = place
    labels = np.full((LABEL_SIDE, LABEL_SIDE), FaceLabel.SKIN, np.uint8)
    touched = changed(drawn(parsed(preview_of(128), labels, BoxCropTransform(*place)), "parsing"), 128)
    expected = np.zeros((300, 400), bool)
    expected[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = True
    np.testing.assert_array_equal(touched, expected)


def test_labels_lie_where_the_shrunk_picture_shows_them() -> None:
    labels = np.full((LABEL_SIDE, LABEL_SIDE), FaceLabel.SKIN, np.uint8)
    large = parsed(preview_of(128, scale=8), labels, BoxCropTransform(800, 400, 1600, 800))
    touched = changed(drawn(large, "parsing", max_side=400), 128)
    assert touched[50:150, 100:300].all()
    assert touched.sum() == 100 * 200


def test_every_label_but_background_has_a_color_of_its_kind() -> None:
    colored = [label for group in GROUPS for label in group.labels]
    assert sorted(colored) == [label for label in FaceLabel if label != FaceLabel.BACKGROUND]
    colors = np.array([group.color for group in GROUPS])
    apart = np.abs(colors[:, None] - colors[None]).max(axis=2) + 255 * np.eye(len(colors), dtype=int)
    assert apart.min() > 60


def test_the_legend_names_what_is_seen() -> None:
    labels = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
    labels[:9], labels[9:20] = FaceLabel.RIGHT_BROW, FaceLabel.HAIR
    assert Page(legend([labels])).text == "brows hair"
    assert Page(legend([labels, np.full_like(labels, FaceLabel.SKIN)])).text == "skin brows hair"
    assert legend([np.zeros_like(labels)]) == legend([]) == ""


def test_a_sketch_offers_what_there_is_to_draw() -> None:
    preview = preview_of(128)
    assert sketch_of(preview).offers == {"faces"}
    assert sketch_of(cropped(preview, BoxCropTransform(0, 0, 9, 9))).offers == {"faces", "crop"}
    assert sketch_of(replace(preview, parsed=(None,))).offers == {"faces"}
    labels = np.zeros((LABEL_SIDE, LABEL_SIDE), np.uint8)
    assert "parsing" in sketch_of(parsed(preview, labels, BoxCropTransform(0, 0, 9, 9))).offers


def test_nothing_chosen_is_the_plain_frame_and_the_sketch_can_be_drawn_again() -> None:
    sketch = sketch_of(cropped(preview_of(128), BoxCropTransform(240, 60, 100, 140), 130.0))
    first = draw(sketch, ("crop", "faces"))
    assert (draw(sketch, ()) == 128).all()
    np.testing.assert_array_equal(draw(sketch, ("faces", "crop")), first)


def test_only_the_last_sketches_are_kept() -> None:
    kept, sketches = LRUCache[str, OverlayBase](most=2), [sketch_of(preview_of(level)) for level in (1, 2, 3, 4)]
    kept.keep("ann", sketches[0])
    kept.keep("bob", sketches[1])
    kept.keep("ann", sketches[2])
    assert kept.get("ann") is sketches[2]
    kept.keep("cid", sketches[3])
    assert kept.get("bob") is None  # quiet longest
    assert kept.get("ann") is sketches[2]
    kept.drop("ann")
    kept.drop("nobody")
    assert kept.get("ann") is None
    assert kept.get("cid") is sketches[3]


def test_the_note_says_which_shifts_are_useful_where_a_line_is_shifted() -> None:
    preview = replace(preview_of(128), seconds=2.5, notes=("The voice is silent here.",), shift_range=(-9, 8))
    said = preview_note(preview)
    assert said.startswith("Frame at 2.50 s of the source. The voice is silent here.")
    assert said.endswith("bbox_shift is useful from -9 to 8 here ([-9~8]).")
    assert "bbox_shift" not in preview_note(replace(preview, shift_range=None))
    assert "bbox_shift" not in preview_note(replace(preview, chosen=()))
