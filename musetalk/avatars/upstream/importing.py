"""An avatar of this program from MuseTalk's cache: nothing is looked for, and no network runs.

What MuseTalk found is kept as it is: its crops, where they show, and their latents. Its pictures become one video
without loss. Boxes of faces, which everything but MuseTalk goes by, follow from the crops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetalk.avatars.bundle import Avatar, open_avatar
from musetalk.avatars.create import complete_folder, create_folder
from musetalk.avatars.given_crops import GivenCropsWriter
from musetalk.avatars.latents import LatentsWriter
from musetalk.avatars.manifest import SOURCE, check_name
from musetalk.avatars.settings import kept_values
from musetalk.avatars.upstream.cache import CROP_SIZE, RATE, UpstreamAvatar, UpstreamFrame, Version
from musetalk.backends.latent.generator import crop_digest
from musetalk.errors import AvatarError, SettingsError
from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.faces.proportions import TYPICAL_PROPORTIONS
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.mouth import mouth_prior
from musetalk.faces.tracking.shots import ShotFinder
from musetalk.faces.types import FaceBox
from musetalk.media.lossless import LosslessWriter
from musetalk.media.probe import probe_wanted
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings, TrackerSettings

BACKENDS: Mapping[Version, str] = {"v15": "musetalk-v15", "v1": "musetalk-v1"}
MARGINS: Mapping[Version, int] = {"v15": 10, "v1": 0}  # pixels below the chin that are part of a crop, as published
DETECTOR = "as MuseTalk found them"
_CROPS, _MASKS, _LATENTS = "crops-1.npz", "masks-1.bin", "latents-1.safetensors"


def played_at(rate: str) -> Fraction:
    """Read at which rate pictures are to be played.

    Raises:
        SettingsError: It is none.
    """
    fps = RenderSettings.parse({"fps": rate}).fps
    if fps is None:
        raise SettingsError("there is no rate to play the pictures at", "give one, such as 25", names=["fps"])
    return fps


def import_avatar(
    cache: UpstreamAvatar, folder: Path, name: str, *, fps: Fraction = Fraction(RATE), run: RenderRun | None = None
) -> Avatar:
    """Make an avatar of MuseTalk's cache.

    Args:
        cache: As `read_upstream_cache` returns it.
        folder: The folder to make; appears whole or not at all.
        name: Of the avatar.
        fps: At which its pictures are played: the cache does not say.
        run: Progress, cancellation.

    Raises:
        AvatarError: There is something at `folder`, or no frame of the cache shows what is painted.
        MediaError: A picture is damaged.
        OutputError: It cannot be written.
    """
    run, name = run or RenderRun(), check_name(name)
    with create_folder(folder) as made:
        draft = _Draft(cache, made)
        video = made / f"{SOURCE}.mp4"
        with (
            LosslessWriter(video, (cache.width, cache.height), fps, run.cancel) as writer,
            LatentsWriter(made / _LATENTS) as latents,
            GivenCropsWriter(made / _CROPS, made / _MASKS) as crops,
        ):
            for number in range(len(cache)):
                run.cancel.check()
                frame = cache.frame(number)
                writer.write(frame.picture)
                latents.add([draft.digest(frame)], frame.latents.float().numpy()[None])
                crops.add(number, frame.box, frame.mask_box, frame.mask)
                draft.add(number, frame)
                run.emit("finish", number + 1, len(cache))
            writer.finish()
        settings = RenderSettings(backend=BACKENDS[cache.version], bbox_shift=cache.info.bbox_shift)
        source = probe_wanted(video, settings.source, run.cancel)
        if (source.fps, source.frame_count) != (fps, len(cache)):
            raise AvatarError(f"the pictures cannot be played at {fps} frames a second", "give another rate")
        prepared = {"name": settings.backend, "labels": False, "landmarks": False, "five": False, "parsed": None}
        prepared |= {"latents": _LATENTS, "seed": None, "crops": _CROPS, "masks": _MASKS}
        complete_folder(
            made,
            name,
            source,
            draft.faces(),
            file=video.name,
            called=Path(cache.info.video_path).name or cache.folder.name,
            detector=DETECTOR,
            backends=[prepared],
            kept=kept_values(settings),
            notes=draft.notes(),
            cancel=run.cancel,
        )
    return open_avatar(folder, run.cancel)


class _Draft:
    """What is gathered of the frames as they pass."""

    def __init__(self, cache: UpstreamAvatar, folder: Path) -> None:
        self._cache, self._folder = cache, folder
        self._finder = ShotFinder(TrackerSettings().shot_threshold)
        self._shots: list[int] = []
        self._frames: list[int] = []
        self._boxes: list[FaceBox] = []
        self._digests: set[bytes] = set()

    def digest(self, frame: UpstreamFrame) -> bytes:
        """Return what the latents of a frame's crop are kept under."""
        x0, y0, x1, y1 = frame.box
        crop = BoxCropTransform(x0, y0, x1 - x0, y1 - y0, CROP_SIZE, "upstream").crop(frame.picture)
        digest = crop_digest(crop)
        self._digests.add(digest)
        return digest

    def add(self, number: int, frame: UpstreamFrame) -> None:
        """Take in a frame; one of whose mask nothing shows has no face."""
        self._shots.append(self._finder.next(frame.picture))
        if frame.mask.any():
            self._frames.append(number)
            self._boxes.append(face_box(frame.box, self._cache.version))

    def faces(self) -> FacePlan:
        """Return the faces, one track in each shot.

        Raises:
            AvatarError: There is none.
        """
        if not self._frames:
            raise AvatarError(
                "nothing that is painted shows in any frame: all masks are empty", path=self._cache.folder
            )
        shots, frames = np.array(self._shots, np.int32), np.array(self._frames, np.int64)
        boxes = np.array([[b.x0, b.y0, b.x1, b.y1, b.score] for b in self._boxes], np.float32)
        mouths = np.array([[m.cx, m.cy, m.half_width, m.angle] for m in map(mouth_prior, self._boxes)], np.float32)
        cache = self._cache
        return FacePlan(len(shots), cache.width, cache.height, shots, frames, shots[frames], boxes, mouths)

    def notes(self) -> tuple[str, ...]:
        """Return what was taken over and what was not, a sentence each."""
        count, hidden = len(self._shots), len(self._shots) - len(self._frames)
        alike = count - len(self._digests)
        said = [
            f"crops, masks and latents are those of MuseTalk's cache of {self._cache.info.avatar_id!r}: bbox_shift and "
            "extra_margin do not move the crops, and a mask that is named is made anew",
            *self._cache.notes,
        ]
        if alike:
            said.append(f"{alike} of {count} crops are the same as others, and share their latents")
        if hidden:
            said.append(f"in {hidden} of {count} frames the mask is empty: they pass through")
        return tuple(said)


def face_box(crop: Sequence[int], version: Version) -> FaceBox:
    """Return the box of a face whose crop MuseTalk placed: that of which this program would place the same.

    Args:
        crop: x0, y0, x1, y1 in pixels; in v1.5 with the margin below the chin, which is no part of the face.
        version: Of MuseTalk.
    """
    x0, y0, x1, y1 = crop
    chin = max(y1 - MARGINS[version], y0 + 2)
    typical = TYPICAL_PROPORTIONS
    width = (x1 - x0) / (typical.right - typical.left)
    height = (chin - y0) / 2 / (typical.chin - typical.line)  # the line halves what lies above the chin
    left, bottom = x0 - typical.left * width, chin + (1 - typical.chin) * height
    return FaceBox(left, bottom - height, left + width, bottom, 1.0)
