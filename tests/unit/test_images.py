from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from musetalk.errors import LimitError, MediaError
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.settings import Limits


def test_a_picture_is_a_source_of_one_frame(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (31, 45, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    source = probe_source(tmp_path / "picture.png", Limits(), image_fps=30)
    assert (source.width, source.height, source.frame_count, source.fps) == (45, 31, 1, 30)
    np.testing.assert_array_equal(next(iter(read_frames(source))), pixels)


def test_a_folder_is_ordered_by_the_numbers_in_its_names(tmp_path: Path) -> None:
    for number in (10, 9, 1, 2):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    source = probe_source(tmp_path, Limits(), image_fps=25)
    assert [int(frame[0, 0, 0]) for frame in read_frames(source)] == [1, 2, 9, 10]


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10), "black")
    image.paste((255, 255, 255), (0, 0, 5, 10))  # a light left edge
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise
    image.save(tmp_path / "phone.png", exif=exif)
    source = probe_source(tmp_path / "phone.png", Limits(), image_fps=25)
    frame = next(iter(read_frames(source)))
    assert (source.width, source.height) == (10, 20)
    assert frame.shape == (20, 10, 3)
    assert frame[:5].mean() == 255
    assert frame[5:].mean() == 0


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(tmp_path / "cut.png")
    source = probe_source(tmp_path / "cut.png", Limits(), image_fps=25)
    assert next(iter(read_frames(source))).min() == 255


def test_pictures_of_different_size_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    Image.new("RGB", (9, 8)).save(tmp_path / "2.png")
    with pytest.raises(MediaError, match="differ in size"):
        probe_source(tmp_path, Limits(), image_fps=25)


def test_damaged_and_huge_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (300, 300)).save(tmp_path / "large.png")
    with pytest.raises(MediaError, match="cannot be read as a picture"):
        probe_source(tmp_path / "text.png", Limits(), image_fps=25)
    with pytest.raises(LimitError, match="300x300"):
        probe_source(tmp_path / "large.png", Limits(max_pixels=10_000), image_fps=25)
