"""MuseTalk's cache of an avatar: read as MuseTalk leaves it, refused where its parts disagree, and written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from musetalk.avatars.upstream.cache import UpstreamAvatar, UpstreamFrame, UpstreamInfo
from musetalk.avatars.upstream.reading import read_upstream_cache
from musetalk.avatars.upstream.writing import write_upstream_cache
from musetalk.errors import AvatarError, LimitError, MediaError, MuseTalkError
from musetalk.faces.crops.crop import BoxCropTransform, square_around
from musetalk.settings import Limits
from tests.helpers.upstream_avatars import OBSERVED, latents_of, picture, write_observed

VERSIONS = ("v15", "v1")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """MuseTalk 1.5's cache of five frames."""
    return write_observed(tmp_path / "demo", "v15")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("back", [True, False])
def test_what_musetalk_prepared_is_read_once_forward(tmp_path: Path, version: str, back: bool) -> None:
    avatar = read_upstream_cache(write_observed(tmp_path / "demo", version, back=back))
    seen = OBSERVED[version]
    assert (avatar.version, avatar.info.bbox_shift, avatar.mirrored) == (
        version,
        seen["avator_info"]["bbox_shift"],
        back,
    )
    assert (avatar.width, avatar.height, len(avatar), avatar.notes) == (96, 80, 5, ())
    assert avatar.boxes.tolist() == seen["coords"]["values"][:5]
    assert avatar.mask_boxes.tolist() == seen["mask_coords"]["values"][:5]
    for number in range(5):
        frame = avatar.frame(number)
        assert np.array_equal(frame.picture, picture(number)[:, :, ::-1])
        assert torch.equal(frame.latents, latents_of(number)[0])
        x0, y0, x1, y1 = frame.mask_box
        assert frame.mask.shape == (y1 - y0, x1 - x0)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_blended_square_is_that_of_this_program_around_the_box(tmp_path: Path, version: str) -> None:
    """So what MuseTalk calls a box is the whole crop, its margin below the chin with it: 10 pixels in v1.5."""
    avatar = read_upstream_cache(write_observed(tmp_path / "demo", version))
    for box, square in zip(avatar.boxes.tolist(), avatar.mask_boxes.tolist(), strict=True):
        here = square_around(BoxCropTransform(box[0], box[1], box[2] - box[0], box[3] - box[1]), 1.5)
        assert square == [here.x, here.y, here.x + here.width, here.y + here.height]
    margin = {"v15": 10, "v1": 0}[version]
    chin = OBSERVED["v1"]["coords"]["values"][0][3]
    assert avatar.boxes[0, 3] == chin + margin


def test_caches_from_before_version_15_say_no_version(tmp_path: Path) -> None:
    cache = write_observed(tmp_path / "demo", "v1")
    facts = json.loads((cache / "avator_info.json").read_text())
    del facts["version"]
    (cache / "avator_info.json").write_text(json.dumps(facts))
    assert read_upstream_cache(cache).version == "v1"


def test_a_box_that_leaves_the_picture_ends_at_its_edge_and_that_is_said(cache: Path) -> None:
    rewrite_boxes(cache, lambda rows: [[*row[:3], 84] if row[1] == 19 else row for row in rows])
    avatar = read_upstream_cache(cache)
    assert avatar.boxes[:, 3].tolist() == [70, 70, 70, 70, 80]
    (note,) = avatar.notes
    assert "of 5 boxes 1 reached beyond the picture" in note


def rewrite_boxes(cache: Path, change: Callable[[list[list[int]]], object], name: str = "coords.pkl") -> None:
    key = name.removesuffix(".pkl")
    (cache / name).write_bytes(pickle.dumps(change([list(row) for row in OBSERVED["v15"][key]["values"]])))


def all_boxes(box: list[int]) -> Callable[[Path], object]:
    return lambda cache: rewrite_boxes(cache, lambda rows: [box for _ in rows])


def rewrite_latents(cache: Path, change: Callable[[list[torch.Tensor]], object]) -> None:
    torch.save(change([latents_of(number) for number in OBSERVED["v15"]["latents"]["order"]]), cache / "latents.pt")


def rewrite_facts(cache: Path, **facts: object) -> None:
    (cache / "avator_info.json").write_text(json.dumps({**OBSERVED["v15"]["avator_info"], **facts}))


def frame_file(cache: Path, number: int, part: str = "full_imgs") -> Path:
    return cache / part / f"{number:08d}.png"


def paint(cache: Path, *numbers: int, size: tuple[int, int] = (80, 96), part: str = "full_imgs") -> None:
    for number in numbers:
        cv2.imwrite(str(frame_file(cache, number, part)), np.full((*size, 3), 77, np.uint8))


def lead_out(cache: Path, name: str) -> None:
    outside = cache.parent / "outside"
    (cache / name).rename(outside)
    (cache / name).symlink_to(outside)


def compress(cache: Path) -> None:
    with zipfile.ZipFile(cache / "latents.pt") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(cache / "latents.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            archive.writestr(name, content)


class Bait:
    """Makes whoever unpickles it leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "there is no folder"),
    "no facts": (lambda cache: (cache / "avator_info.json").unlink(), "has no avator_info.json"),
    "no latents": (lambda cache: (cache / "latents.pt").unlink(), "has no latents.pt"),
    "no masks": (lambda cache: shutil.rmtree(cache / "mask"), "has no mask"),
    "empty": (lambda cache: [path.unlink() for path in (cache / "mask").iterdir()], "differ in their number of frames"),
    "a frame too few": (lambda cache: frame_file(cache, 9).unlink(), "full_imgs 9, mask 10"),
    "a frame missing": (lambda cache: frame_file(cache, 4).unlink(), "not that of frame 4"),
    "a frame twice": (lambda cache: shutil.copy(frame_file(cache, 4), cache / "full_imgs/4.png"), "both"),
    "a stranger": (
        lambda cache: shutil.copy(frame_file(cache, 4), cache / "full_imgs/me.png"),
        "whose name is no number",
    ),
    "boxes too few": (lambda cache: rewrite_boxes(cache, lambda rows: rows[1:-1]), "coords.pkl 8"),
    "latents too few": (lambda cache: rewrite_latents(cache, lambda held: held[1:-1]), "latents.pt 8"),
    "facts of text": (lambda cache: (cache / "avator_info.json").write_text("demo"), "no JSON"),
    "facts of nothing": (lambda cache: (cache / "avator_info.json").write_text("[]"), "no facts by name"),
    "facts too deep": (lambda cache: (cache / "avator_info.json").write_text("[" * 100_000), "no JSON"),
    "another version": (lambda cache: rewrite_facts(cache, version="v2"), "does not say"),
    "a shift of text": (lambda cache: rewrite_facts(cache, bbox_shift="5"), "does not say"),
    "a name without end": (lambda cache: rewrite_facts(cache, avatar_id="a" * 5000), "does not say"),
    "facts without end": (lambda cache: rewrite_facts(cache, avatar_id="a" * 2**21), "far larger"),
    "half pixels": (all_boxes([20, 15, 70, 70.5]), "not whole pixels"),  # type: ignore[list-item]
    "no face": (all_boxes([0, 0, 0, 0]), "frame 0 has no face"),
    "an empty box": (all_boxes([20, 15, 20, 70]), "not in its picture of 96x80"),
    "a box turned around": (all_boxes([70, 70, 20, 15]), "not in its picture"),
    "a box left of it": (all_boxes([-1, 15, 70, 70]), "not in its picture"),
    "a box right of it": (all_boxes([96, 15, 120, 70]), "not in its picture"),
    "a box mostly below": (all_boxes([20, 75, 70, 95]), "not in its picture"),
    "a square elsewhere": (
        lambda cache: rewrite_boxes(cache, lambda rows: [[x + 9, *_] for x, *_ in rows], "mask_coords.pkl"),
        "and its square",
    ),
    "a square beside": (
        lambda cache: rewrite_boxes(
            cache, lambda rows: [[a + 99, b, c + 99, d] for a, b, c, d in rows], "mask_coords.pkl"
        ),
        "elsewhere than its face",
    ),
    "a frame of another size": (lambda cache: paint(cache, 2, 7, size=(96, 80)), "the frames differ in size"),
    "a mask of another size": (lambda cache: paint(cache, 2, 7, size=(40, 40), part="mask"), "is 40x40"),
    "a frame that goes forward only": (lambda cache: paint(cache, 2), "full_imgs of"),
    "a mask that goes forward only": (lambda cache: paint(cache, 2, size=(80, 80), part="mask"), "mask of"),
    "a box that goes forward only": (
        lambda cache: rewrite_boxes(cache, lambda rows: [[21, *rows[0][1:]], *rows[1:]]),
        "9 there is not what 0 is",
    ),
    "latents that go forward only": (lambda cache: rewrite_latents(cache, lambda held: held[:5] * 2), "latents.pt of"),
    "latents that are no number": (
        lambda cache: rewrite_latents(cache, lambda held: [each * float("nan") for each in held]),
        "NaN",
    ),
    "latents of another size": (
        lambda cache: rewrite_latents(cache, lambda held: [each[:, :4] for each in held]),
        "shape",
    ),
    "latents in one": (lambda cache: rewrite_latents(cache, torch.cat), "a Tensor instead of a list"),
    "latents by name": (lambda cache: rewrite_latents(cache, lambda held: {"latents": held}), "a dict instead"),
    "latents of text": (
        lambda cache: rewrite_latents(cache, lambda held: ["latents" for _ in held]),
        "a str for frame 0",
    ),
    "latents of whole numbers": (
        lambda cache: rewrite_latents(cache, lambda held: [each.long() for each in held]),
        "torch.int64",
    ),
    "sparse latents": (
        lambda cache: rewrite_latents(cache, lambda held: [each.float().to_sparse() for each in held]),
        "latents.pt",
    ),
    "latents cut short": (lambda cache: os.truncate(cache / "latents.pt", 9000), "is damaged"),
    "latents of rubbish": (lambda cache: (cache / "latents.pt").write_bytes(b"PK\x03\x04" * 99), "is damaged"),
    "latents packed": (compress, "packed as torch packs nothing"),
    "latents pickled": (lambda cache: (cache / "latents.pt").write_bytes(pickle.dumps([1])), "is damaged, or no file"),
    "a pickle in coords": (
        lambda cache: (cache / "coords.pkl").write_bytes(pickle.dumps(Bait(cache / "bait"))),
        "mkdir",
    ),
    "a pickle in squares": (
        lambda cache: (cache / "mask_coords.pkl").write_bytes(pickle.dumps([[Bait(cache / "bait")] * 4] * 10)),
        "mkdir",
    ),
    "a pickle in latents": (
        lambda cache: rewrite_latents(cache, lambda held: [*held[:9], Bait(cache / "bait")]),
        "which are not run",
    ),
    "coords outside": (lambda cache: lead_out(cache, "coords.pkl"), "leads out of its folder"),
    "frames outside": (lambda cache: lead_out(cache, "full_imgs"), "leads out of its folder"),
    "a frame outside": (lambda cache: lead_out(cache, "full_imgs/00000003.png"), "leads out of its folder"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_damaged_or_contradicts_itself_is_refused_with_the_reason(cache: Path, name: str) -> None:
    damage, said = BROKEN[name]
    damage(cache)
    with pytest.raises(AvatarError) as caught:
        read_upstream_cache(cache)
    assert said in caught.value.problem
    assert not (cache / "bait").exists()


def test_pictures_that_are_none_or_too_large_are_refused(cache: Path) -> None:
    with pytest.raises(LimitError):
        read_upstream_cache(cache, Limits(max_pixels=1000))
    for number in range(10):
        frame_file(cache, number).write_bytes(b"no picture")
    with pytest.raises(MediaError):
        read_upstream_cache(cache)


def test_what_lies_beside_is_left_alone(cache: Path) -> None:
    (cache / "tmp").mkdir()
    (cache / "tmp/00000000.png").write_bytes(b"half a frame")
    for name in (".DS_Store", "._00000000.png", "notes.txt"):
        (cache / "full_imgs" / name).write_bytes(b"")
    assert len(read_upstream_cache(cache)) == 5


def test_a_link_within_the_cache_is_followed(cache: Path) -> None:
    frame_file(cache, 9).unlink()
    frame_file(cache, 9).symlink_to(frame_file(cache, 0))
    assert len(read_upstream_cache(cache)) == 5


def frames_of(avatar: UpstreamAvatar) -> Iterator[UpstreamFrame]:
    return (avatar.frame(number) for number in range(len(avatar)))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_written_is_what_musetalk_writes(tmp_path: Path, version: str) -> None:
    """Held against what MuseTalk was observed to write, read as MuseTalk reads it; and then read back."""
    avatar = read_upstream_cache(write_observed(tmp_path / "theirs", version))
    ours = tmp_path / "deep" / "ours"
    assert write_upstream_cache(ours, avatar.info, frames_of(avatar)) == 5
    seen = OBSERVED[version]
    assert sorted(str(path.relative_to(ours)) for path in ours.rglob("*") if path.is_file()) == [
        name for name in seen["files"] if not name.endswith("/")
    ]
    assert {path.name for path in ours.iterdir() if path.is_dir()} == {"full_imgs", "mask", "vid_output"}
    assert json.loads((ours / "avator_info.json").read_text()) == seen["avator_info"]
    boxes = [{"v1": tuple, "v15": list}[version](box) for box in seen["coords"]["values"][:5]]
    for name, rows in (("coords", boxes), ("mask_coords", seen["mask_coords"]["values"][:5])):
        assert (ours / f"{name}.pkl").read_bytes() == pickle.dumps([*rows, *reversed(rows)], protocol=4)
    held = torch.load(ours / "latents.pt", weights_only=True)
    assert [tuple(each.shape) for each in held] == [(1, 8, 32, 32)] * 10
    assert all(torch.equal(each, latents_of(at)) for each, at in zip(held, seen["latents"]["order"], strict=True))
    for part in ("full_imgs", "mask"):
        for number in range(10):
            one, other = (cv2.imread(str(frame_file(place, number, part)), -1) for place in (tmp_path / "theirs", ours))
            assert one.dtype == np.uint8 and np.array_equal(one, other)
    again = read_upstream_cache(ours)
    assert (again.info, again.mirrored) == (avatar.info, True)
    assert np.array_equal(again.boxes, avatar.boxes)


def test_an_avatar_of_one_frame_goes_there_and_back(cache: Path, tmp_path: Path) -> None:
    avatar = read_upstream_cache(cache)
    write_upstream_cache(tmp_path / "one", avatar.info, [avatar.frame(0)])
    assert len(read_upstream_cache(tmp_path / "one")) == 1


def failing(avatar: UpstreamAvatar) -> Iterator[UpstreamFrame]:
    yield avatar.frame(0)
    raise MediaError("the source ends")


def test_nothing_is_left_of_an_avatar_that_cannot_be_written(cache: Path, tmp_path: Path) -> None:
    avatar = read_upstream_cache(cache)
    inside = replace(avatar.frame(0), box=[20, 15, 97, 70])
    for frames, error in ((failing(avatar), MediaError), (iter([]), AvatarError), (iter([inside]), ValueError)):
        with pytest.raises(error):
            write_upstream_cache(tmp_path / "made", avatar.info, frames)
        assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_what_is_there_is_replaced_only_where_that_is_said_and_only_an_avatar(cache: Path, tmp_path: Path) -> None:
    avatar = read_upstream_cache(cache)
    (cache / "vid_output" / "hello.mp4").write_bytes(b"rendered")
    other = replace(avatar.info, avatar_id="other")
    with pytest.raises(AvatarError, match="there already"):
        write_upstream_cache(cache, other, [avatar.frame(1)])
    kept = tmp_path / "kept"
    shutil.copytree(cache, kept)
    write_upstream_cache(cache, other, frames_of(read_upstream_cache(kept)), replace=True)
    assert read_upstream_cache(cache).info.avatar_id == "other"
    assert (cache / "vid_output" / "hello.mp4").read_bytes() == b"rendered"
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter.txt").write_text("dear")
    with pytest.raises(AvatarError, match="is not replaced"):
        write_upstream_cache(precious, other, [avatar.frame(1)], replace=True)
    assert (precious / "letter.txt").read_text() == "dear"


def test_a_replacement_that_fails_leaves_what_was_there(cache: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    avatar = read_upstream_cache(cache)
    with pytest.raises(MuseTalkError):
        write_upstream_cache(cache, avatar.info, failing(avatar), replace=True)
    assert {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_facts_are_kept_as_they_are(tmp_path: Path, cache: Path) -> None:
    avatar = read_upstream_cache(cache)
    info = UpstreamInfo("Zoë", "films/Zoë.mp4", -7, "v1")
    write_upstream_cache(tmp_path / "v1", info, frames_of(avatar))
    assert read_upstream_cache(tmp_path / "v1").info == info
