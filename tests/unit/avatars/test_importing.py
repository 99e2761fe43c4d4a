"""MuseTalk's cache becomes an avatar: what is taken over, by numbers; and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from musetalk.avatars.bundle import Avatar, open_avatar
from musetalk.avatars.given_crops import GivenCropsFile, GivenCropsWriter
from musetalk.avatars.latents import LatentsFile
from musetalk.avatars.upstream.importing import MARGINS, face_box, import_avatar
from musetalk.avatars.upstream.reading import read_upstream_cache
from musetalk.backends.latent.generator import crop_digest
from musetalk.cli.main import app
from musetalk.errors import AvatarError
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.parsing.face_extent import halved_crop
from musetalk.faces.proportions import assumed_extent
from tests.helpers.media import decode
from tests.helpers.upstream_avatars import OBSERVED, latents_of, picture, write_observed

pytestmark = pytest.mark.slow


def imported(folder: Path, version: str, fps: Fraction = Fraction(25)) -> Avatar:
    cache = read_upstream_cache(write_observed(folder / "cache", version))
    return import_avatar(cache, folder / "avatar", "demo", fps=fps)


@pytest.mark.parametrize(("version", "shift"), [("v15", 0), ("v1", 5)])
def test_crops_masks_latents_and_pictures_are_taken_over(tmp_path: Path, version: str, shift: int) -> None:
    avatar = imported(tmp_path, version, Fraction(30000, 1001))
    backend = avatar.settings.backend
    assert (avatar.name, backend, avatar.settings.bbox_shift) == ("demo", f"musetalk-{version}", shift)
    source = avatar.manifest.source
    assert (source.width, source.height, source.fps, source.frames) == (96, 80, "30000/1001", 5)
    assert (source.name, source.sound) == ("in.mp4", False)
    pictures = decode(avatar.source)
    crops, latents = (
        avatar.given_crops(backend),
        avatar.findings(avatar.settings.network.seed, avatar.settings.face).latents(backend),
    )
    assert crops is not None and isinstance(latents, LatentsFile)
    for number in range(5):
        theirs = picture(number)[:, :, ::-1]
        assert np.array_equal(pictures[number], theirs)
        box, square = (OBSERVED[version][name]["values"][number] for name in ("coords", "mask_coords"))
        assert crops.box(number) == tuple(box)
        x0, y0, x1, y1 = box
        kept = latents.get(crop_digest(BoxCropTransform(x0, y0, x1 - x0, y1 - y0, 256, "upstream").crop(theirs)))
        assert kept is not None and np.array_equal(kept, latents_of(number)[0].float().numpy())
        mask, levels = crops.mask(number), cv2.imread(str(tmp_path / f"cache/mask/{number:08d}.png"), -1)
        assert mask is not None and np.array_equal(crops.levels(number), levels)
        height, width = mask.alpha.shape
        top, left = mask.y - square[1], mask.x - square[0]
        assert np.allclose(mask.alpha * 255, levels[top : top + height, left : left + width])
        assert y0 <= mask.y and mask.y + height <= y1 and x0 <= mask.x and mask.x + width <= x1
    assert crops.box(5) is None and crops.mask(5) is None


@pytest.mark.parametrize("version", ["v15", "v1"])
def test_the_box_of_a_face_is_that_around_which_the_same_crop_is_placed(tmp_path: Path, version: str) -> None:
    """In v1.5 ten pixels below the chin are the crop's, and not the face's; only odd heights cannot be placed here."""
    margin = MARGINS[version]  # type: ignore[index]
    avatar = imported(tmp_path, version)
    for number, (x0, y0, x1, y1) in enumerate(OBSERVED[version]["coords"]["values"][:5]):
        (face,) = avatar.faces.faces(number)
        placed = halved_crop(assumed_extent(face.box), size=256, extra_margin=margin)
        off = (y1 - y0 - margin) % 2
        assert (placed.x, placed.width, placed.y + placed.height) == (x0, x1 - x0, y1)
        assert abs(placed.y - y0) == off
        assert face.box.y1 == pytest.approx(y1 - margin)
    exact = face_box([20, 16, 70, 60 + margin], version)  # type: ignore[arg-type]
    assert (exact.x0, exact.x1) == pytest.approx((13.75, 76.25))
    extent = assumed_extent(exact)
    assert (extent.left, extent.right, extent.line, extent.chin) == pytest.approx((20, 70, 38, 60))


def test_what_is_different_is_said(tmp_path: Path) -> None:
    cache = write_observed(tmp_path / "cache", "v15")
    for number in (0, 9):
        mask = cache / "mask" / f"{number:08d}.png"
        cv2.imwrite(str(mask), np.zeros_like(cv2.imread(str(mask), -1)))
    avatar = import_avatar(read_upstream_cache(cache), tmp_path / "avatar", "demo")
    said = " ".join(avatar.manifest.notes)
    assert "bbox_shift and extra_margin do not move the crops" in said
    assert "in 1 of 5 frames the mask is empty" in said
    assert [bool(avatar.faces.faces(number)) for number in range(5)] == [False, True, True, True, True]
    assert avatar.given_crops("musetalk-v15") is not None
    assert avatar.given_crops("musetalk-v1") is None


def test_an_avatar_of_which_nothing_would_show_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    cache = write_observed(tmp_path / "cache", "v15")
    for mask in (cache / "mask").iterdir():
        cv2.imwrite(str(mask), np.zeros_like(cv2.imread(str(mask), -1)))
    with pytest.raises(AvatarError, match="all masks are empty"):
        import_avatar(read_upstream_cache(cache), tmp_path / "avatar", "demo")
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_an_imported_avatar_is_opened_as_any_other_and_its_crops_are_checked(tmp_path: Path) -> None:
    avatar = imported(tmp_path, "v15")
    assert open_avatar(avatar.folder).id == avatar.id
    masks = avatar.folder / "masks-1.bin"
    masks.write_bytes(masks.read_bytes()[:-1])
    with pytest.raises(AvatarError, match=re.escape("masks-1.bin")):
        open_avatar(avatar.folder)


def written(folder: Path, box: list[int], square: list[int], mask: np.ndarray) -> tuple[Path, Path]:
    places = folder / "crops.npz", folder / "masks.bin"
    with GivenCropsWriter(*places) as writer:
        writer.add(3, box, square, mask)
        writer.add(7, box, square, mask)
    return places


MASK = np.full((60, 60), 200, np.uint8)
WRONG: dict[str, Callable[[Path], tuple[Path, Path]]] = {
    "beyond the frame": lambda folder: written(folder, [60, 10, 97, 40], [50, 0, 110, 60], MASK),
    "empty": lambda folder: written(folder, [20, 10, 20, 40], [0, 0, 60, 60], MASK),
    "a mask beside it": lambda folder: written(folder, [20, 10, 50, 40], [21, 0, 81, 60], MASK),
    "a huge mask": lambda folder: written(folder, [20, 10, 24, 14], [0, 0, 60, 60], MASK),
}


@pytest.mark.parametrize("name", WRONG)
def test_crops_that_cannot_be_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AvatarError, match="holds no crops of this avatar"):
        GivenCropsFile(*WRONG[name](tmp_path), (96, 80))


def test_damaged_crops_are_refused(tmp_path: Path) -> None:
    places, masks = written(tmp_path, [20, 10, 50, 40], [5, 0, 65, 60], MASK)
    assert GivenCropsFile(places, masks, (96, 80)).square(7) == (5, 0, 65, 60)
    whole, packed = places.read_bytes(), masks.read_bytes()
    masks.write_bytes(b"x" * len(packed))
    with pytest.raises(AvatarError, match="cannot be read"):
        GivenCropsFile(places, masks, (96, 80)).mask(3)
    for cut in (0, 100, len(whole) - 1):
        places.write_bytes(whole[:cut])
        with pytest.raises(AvatarError):
            GivenCropsFile(places, masks, (96, 80))


def command(*said: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["avatar", *map(str, said)])
    return done.exit_code, done.output if done.exception is None else str(done.exception)


def test_the_command_imports_and_says_what_it_took(tmp_path: Path) -> None:
    cache, avatars = write_observed(tmp_path / "cache", "v15"), tmp_path / "avatars"
    code, said = command("import", cache, "--name", "demo", "--fps", "29.97", "--avatars-dir", avatars, "--quiet")
    assert code == 0, said
    assert "5 frames at 29.97 fps, for musetalk-v15" in said
    assert "note: crops, masks and latents are those of MuseTalk's" in said
    assert open_avatar(avatars / "demo").manifest.source.fps == "30000/1001"
    assert "there is something" in command("import", cache, "--name", "demo", "--avatars-dir", avatars)[1]
    for rate in ("0", "fast"):
        assert "frame rate" in command("import", cache, "--name", "other", "--fps", rate)[1]
    assert "has no avator_info.json" in command("import", tmp_path, "--name", "other", "--avatars-dir", avatars)[1]
