"""`FacePlan`: the shots of a video and the faces of each frame; saved and loaded as coords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import dist, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from musetalk.errors import PATH, CoordsError, OutputError, write_error
from musetalk.faces.types import FaceBox, FaceSample, MouthShape
from musetalk.settings import FaceChoice
from musetalk.utils.array_files import read_arrays
from musetalk.utils.arrays import Float32Array, Int32Array, Int64Array
from musetalk.utils.files import whole_file

_ARRAYS = ("shots", "frame", "track", "boxes", "mouths")
_LARGEST = 2**31  # bytes that a file of coords may unpack to: far beyond the longest video, short of harm
_REMEDY = "delete it, or leave out the request to use saved coords, and the faces are looked for again"
_BRIEF = 1 / 3  # tracks shorter than this share of a shot's longest are not chosen by their place


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """One track at a glance.

    Attributes:
        track: Its number in the plan.
        shot: The one shot it lies in.
        first, last: First and last frame.
        frames: Frames that have the face.
        box: Mean box, in source pixels, with the mean score.
    """

    track: int
    shot: int
    first: int
    last: int
    frames: int
    box: FaceBox


@dataclass(frozen=True, slots=True, eq=False)
class FacePlan:
    """Every face of every source frame, in source pixels; frames without one pass through. Not to be written to.

    Attributes:
        frame_count: Source frames N.
        width, height: Size of the source's frames, in pixels.
        shots: int32 [N], the shot of each frame: 0, then the same or one more.
        frame: int64 [M], the frame of each face sample; sorted by (frame, track), no pair twice.
        track: int32 [M], its track; a track lies in one shot.
        boxes: float32 [M, 5] as (x0, y0, x1, y1, score).
        mouths: float32 [M, 4] as (cx, cy, half_width, angle).
    """

    frame_count: int
    width: int
    height: int
    shots: Int32Array
    frame: Int64Array
    track: Int32Array
    boxes: Float32Array
    mouths: Float32Array

    def __post_init__(self) -> None:
        """Guard the arrays against being written to.

        Raises:
            ValueError: The arrays do not fit together.
        """
        _check(self)
        for name in _ARRAYS:
            getattr(self, name).setflags(write=False)

    def faces(self, frame: int) -> tuple[FaceSample, ...]:
        """Faces of one frame, by track; empty where the frame passes through.

        Raises:
            IndexError: The plan has no such frame.
        """
        self._check_frame(frame)
        first, last = np.searchsorted(self.frame, (frame, frame + 1))
        return tuple(
            FaceSample(int(track), FaceBox(*box), MouthShape(*mouth))
            for track, box, mouth in zip(
                self.track[first:last], self.boxes[first:last].tolist(), self.mouths[first:last].tolist(), strict=True
            )
        )

    def shot(self, frame: int) -> int:
        """Shot of one frame.

        Raises:
            IndexError: The plan has no such frame.
        """
        self._check_frame(frame)
        return int(self.shots[frame])

    @property
    def shot_count(self) -> int:
        """Number of shots."""
        return int(self.shots[-1]) + 1 if self.frame_count else 0

    @property
    def face_frames(self) -> int:
        """Number of frames that have a face."""
        return len(np.unique(self.frame))

    @property
    def tracks(self) -> tuple[TrackSummary, ...]:
        """Summary of each track, by number."""
        order = np.argsort(self.track, kind="stable")
        numbers, starts = np.unique(self.track[order], return_index=True)
        return tuple(
            self._summary(int(number), rows) for number, rows in zip(numbers, np.split(order, starts[1:]), strict=False)
        )

    def select(self, choice: FaceChoice) -> FacePlan:
        """Keep one track per shot, or all.

        Args:
            choice: "all"; "largest", by mean area times frames; "leftmost", "rightmost" or nearest to a point (x, y)
                in source pixels, by the middle of the mean box, among tracks that are not brief beside the longest.

        Returns:
            A plan in which the frames of a shot that lack the chosen track pass through.
        """
        if choice == "all":
            return self
        shots: dict[int, list[TrackSummary]] = {}
        for summary in self.tracks:
            shots.setdefault(summary.shot, []).append(summary)
        chosen = [choose(summaries, choice).track for summaries in shots.values()]
        rows = np.isin(self.track, chosen)
        return replace(
            self, frame=self.frame[rows], track=self.track[rows], boxes=self.boxes[rows], mouths=self.mouths[rows]
        )

    def placed(self, first: int, frame_count: int) -> FacePlan:
        """The same faces in a source of `frame_count` frames, of which this plan's are those from `first` on.

        Raises:
            ValueError: The plan is empty or reaches beyond the source.
        """
        around = (first, frame_count - first - self.frame_count)  # frames without a face, in the nearest shot
        shots = np.pad(self.shots, around, "edge")
        return replace(self, frame_count=frame_count, shots=shots, frame=self.frame + first)

    def save(self, path: Path, key: str) -> None:
        """Write the plan as `.npz`; the file appears whole or not at all.

        Args:
            path: Where to; its folder is there.
            key: What the plan belongs to; asked for again by `load`.

        Raises:
            OutputError: It cannot be written.
        """
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        size = np.array([self.frame_count, self.width, self.height], dtype=np.int64)
        with whole_file(path, _unwritable) as partial, partial.open("wb") as file:
            np.savez_compressed(file, key=np.array(key), size=size, **arrays)

    @classmethod
    def load(cls, path: Path, key: str) -> FacePlan:
        """Read a plan that `save` wrote under the same key. Nothing in the file is ever executed.

        Raises:
            CoordsError: There is no such file, it belongs to another source or other settings, or it is no plan.
        """
        try:
            stored, size, arrays = _read(path)
        except FileNotFoundError as error:
            problem, remedy = f"there are no saved coords at {PATH}", "render once without asking for them"
            raise CoordsError(problem, remedy, path=path) from error
        except (OSError, ValueError) as error:
            raise CoordsError(f"the coords file {PATH} is damaged or no coords file", _REMEDY, path=path) from error
        if stored != key:
            raise CoordsError(f"the coords file {PATH} belongs to another video or other settings", _REMEDY, path=path)
        try:
            return cls(*size, **arrays)
        except ValueError as error:
            raise CoordsError(f"the coords file {PATH} contradicts itself ({error})", _REMEDY, path=path) from error

    def _summary(self, number: int, rows: Int64Array) -> TrackSummary:
        frames = self.frame[rows]
        return TrackSummary(
            track=number,
            shot=int(self.shots[frames[0]]),
            first=int(frames[0]),
            last=int(frames[-1]),
            frames=len(rows),
            box=FaceBox(*self.boxes[rows].mean(axis=0, dtype=np.float64).tolist()),
        )

    def _check_frame(self, frame: int) -> None:
        if not 0 <= frame < self.frame_count:
            raise IndexError(f"no frame {frame} in a plan of {self.frame_count}")


def _read(path: Path) -> tuple[str, tuple[int, int, int], dict[str, Any]]:
    """Read key, (frame count, width, height) and arrays without trusting any of it."""
    stored = read_arrays(path, ("key", "size", *_ARRAYS), _LARGEST)
    count, width, height = (int(value) for value in stored["size"])
    return str(stored["key"]), (count, width, height), {name: stored[name] for name in _ARRAYS}


def choose(summaries: Sequence[TrackSummary], choice: FaceChoice) -> TrackSummary:
    """Of the tracks of one shot that which a choice means; see `FacePlan.select`.

    Args:
        summaries: At least one.
        choice: Any but "all".
    """
    if choice == "largest":
        return max(summaries, key=lambda item: item.box.area * item.frames)
    longest = max(item.frames for item in summaries)
    lasting = [item for item in summaries if item.frames >= _BRIEF * longest]
    return min(lasting, key=lambda item: rank(item.box, choice))


def rank(face: FaceBox, choice: FaceChoice) -> float:
    """Return how near a face of one frame comes to what a choice means, in pixels: the least is it.

    Args:
        face: The face, in source pixels.
        choice: Any but "all".
    """
    if choice == "largest":
        return -sqrt(face.area)
    if choice == "leftmost":
        return face.center[0]
    if choice == "rightmost":
        return -face.center[0]
    x, y = (float(value) for value in choice)
    return dist(face.center, (x, y))


def _check(plan: FacePlan) -> None:
    """Check that the arrays fit together.

    Raises:
        ValueError: They do not; the text says where.
    """
    count, rows = plan.frame_count, len(plan.frame)
    wanted = {
        "shots": (np.int32, (count,)),
        "frame": (np.int64, (rows,)),
        "track": (np.int32, (rows,)),
        "boxes": (np.float32, (rows, 5)),
        "mouths": (np.float32, (rows, 4)),
    }
    for name, (dtype, shape) in wanted.items():
        values = getattr(plan, name)
        if values.dtype != dtype or values.shape != shape:
            raise ValueError(f"{name} is {values.dtype}{list(values.shape)} instead of {np.dtype(dtype)}{list(shape)}")
    if plan.width <= 0 or plan.height <= 0:
        raise ValueError("the frames have no size")
    if count and (plan.shots[0] != 0 or not np.isin(np.diff(plan.shots), (0, 1)).all()):
        raise ValueError("shots are not numbered in order")
    if rows:
        _check_rows(plan)


def _check_rows(plan: FacePlan) -> None:
    if plan.frame[0] < 0 or plan.frame[-1] >= plan.frame_count or (plan.track < 0).any():
        raise ValueError("faces lie outside the video")
    frame_step, track_step = np.diff(plan.frame), np.diff(plan.track)
    if not ((frame_step > 0) | ((frame_step == 0) & (track_step > 0))).all():
        raise ValueError("faces are not in order")
    owner = np.unique(np.stack([plan.track.astype(np.int64), plan.shots[plan.frame].astype(np.int64)]), axis=1)
    if len(np.unique(owner[0])) != owner.shape[1]:
        raise ValueError("a track crosses a cut")
    if not (np.isfinite(plan.boxes).all() and np.isfinite(plan.mouths).all()):
        raise ValueError("a face has no place")
    if (plan.boxes[:, 2:4] <= plan.boxes[:, :2]).any():
        raise ValueError("a box is empty")


def _unwritable(path: Path, error: OSError) -> OutputError:
    return write_error(error)(f"cannot write the coords file {PATH} ({error.strerror})", path=path)
