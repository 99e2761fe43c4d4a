"""Detector against detector over clips whose faces are known: found, missed, false, how much they shake, and the time.

python -m benchmarks.detectors FOLDER [--models-dir DIR]

FOLDER holds the clips that `TRUTH` names; those that it lacks are passed over. S3FD and YuNet take part where their
weights are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import hypot, inf, sqrt
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import ASSETS, machine, publish, table
from musetalk.backends.registry import BackendRegistry
from musetalk.faces.detection.five_points import mouth_of
from musetalk.faces.detection.registry import DetectorRegistry
from musetalk.faces.tracking.face_plan import FacePlan
from musetalk.faces.tracking.following import look_through
from musetalk.faces.tracking.mouth import locate_mouth
from musetalk.faces.tracking.planner import LOOK_SECONDS, plan_faces
from musetalk.faces.tracking.shots import ShotFinder
from musetalk.faces.types import FaceBox, FaceDetector
from musetalk.media.pictures.decoding import read_image
from musetalk.media.probe import probe_source
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.pipeline.components import ComponentLoader
from musetalk.settings import DetectorSettings, Limits, RenderSettings
from musetalk.utils.arrays import UInt8Array

MOST = 200  # frames of a clip
NAMES = ("haar", "mtcnn", "yunet", "s3fd")
STILL_FRAMES = 12  # of a picture or a made clip


@dataclass(frozen=True)
class Face:
    """One face that a clip shows: in frames from `first` to before `stop`, within (x0, y0, x1, y1) of the frame."""

    where: tuple[float, float, float, float]
    first: int = 0
    stop: float = inf


_WOMAN = (Face((0.25, 0.12, 0.7, 0.45)),)  # of the clips that are copies of one
TRUTH: dict[str, tuple[Face, ...]] = {
    "address_512.mp4": (Face((0.1, 0.05, 0.95, 0.95)),),
    "cutaways_29.97fps.mp4": (Face((0.3, -0.05, 0.7, 0.5), 0, 60), Face((0.3, 0, 0.75, 0.6), 105, 181)),
    "demo1_video.mp4": (Face((0.35, 0.27, 0.75, 0.5)),),
    "hevc_10bit.mp4": (Face((0.35, 0.27, 0.75, 0.5)),),
    "non_square_pixels.mp4": _WOMAN,
    "odd_size_444.mp4": _WOMAN,
    "rotated_metadata.mp4": _WOMAN,
    "sun.mp4": _WOMAN,
    "talk_1080.mp4": (Face((0.25, 0.08, 0.75, 0.38)),),
    "two_faces.mp4": (Face((0.1, 0.12, 0.4, 0.5)), Face((0.6, 0.12, 0.9, 0.5))),
    "variable_rate.mp4": _WOMAN,
    "yongen.mp4": (Face((0.15, 0.12, 0.75, 0.5)),),
    "faults/alpha.webm": _WOMAN,
    "faults/fps1.mp4": _WOMAN,
    "faults/gap.mp4": (Face((0.2, 0.1, 0.75, 0.45)),),
    "faults/inter.mpg": (Face((0.2, 0.1, 0.9, 0.7)),),
    "faults/og.mp4": (Face((0.2, 0.1, 0.75, 0.45)),),
    "faults/reschg.ts": (Face((0.2, 0.1, 0.75, 0.45)),),
    "faults/small.mp4": _WOMAN,
    "bad/no_face.mp4": (),
    "monalisa.png": (Face((0.2, 0.05, 0.8, 0.8)),),
    "sit.jpeg": (Face((0.1, 0.05, 0.9, 0.8)),),
}
SHIPPED = {"sample.mp4": (Face((0.25, 0.12, 0.65, 0.75), 0, 60), Face((0.25, 0.12, 0.65, 0.75), 101))}
_PORTRAIT = (0.2, 0.02, 0.7, 0.45)


@dataclass
class Score:
    """What one detector made of one clip.

    Attributes:
        found, missed: Faces that are there, over all frames, before anything is bridged or smoothed.
        false: Boxes where there is no face.
        planned: Of the faces, the share that the plan has, in which gaps are bridged and what is doubtful is dropped.
        astray: Faces in the plan where there is none.
        raw, smooth: How much the mouth shakes, as found and in the plan, in thousandths of the face's size: its change
            from frame to frame, but for even motion; the middle one of all frames.
        box: The same of the middle of the box, as found.
        milliseconds: Of the processor for each frame: whole searches every 0.4 s, faces followed in between.
    """

    found: int = 0
    missed: int = 0
    false: int = 0
    planned: float = 0.0
    astray: int = 0
    raw: float = 0.0
    smooth: float = 0.0
    box: float = 0.0
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Clip:
    """Frames with a name and faces; a real one's are read anew for each detector, as large as it likes them."""

    name: str
    faces: tuple[Face, ...]
    path: Path | None = None
    pictures: tuple[UInt8Array, ...] = ()

    def frames(self, longest: int) -> Iterator[UInt8Array]:
        """The frames, at most so many pixels long."""
        if self.path is None:
            yield from (_shrunk(picture, longest) for picture in self.pictures)
        else:
            source = self.source()
            yield from read_frames(source, 0, min(MOST, source.frame_count), max_side=longest)

    def source(self) -> Source:
        """What is known of the file."""
        return probe_source(self.path or Path(), Limits())


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models-dir", type=Path, default=Path("models"))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    registry = DetectorRegistry()
    wanted = [name for name in NAMES if not registry.get(name).lacks(options.models_dir)]
    detectors = {name: _load(name, options.models_dir) for name in wanted}
    for detector in detectors.values():
        detector.detect([np.zeros((240, 320, 3), np.uint8)])  # loads what is loaded late
    clips = [*_real(options.folder), *_made()]
    scores = {clip.name: {name: _score(clip, detector) for name, detector in detectors.items()} for clip in clips}
    publish("detectors.md", _page(wanted, clips, scores))


def _load(name: str, models_dir: Path) -> FaceDetector:
    wanted = DetectorSettings.model_validate({"name": name})
    with ComponentLoader(BackendRegistry()).detector(wanted, "cpu", models_dir) as detector:
        return detector


def _real(folder: Path) -> Iterator[Clip]:
    for name, faces in TRUTH.items():
        if (folder / name).exists():
            yield Clip(name, faces, folder / name)
    for name, faces in SHIPPED.items():
        yield Clip(name, faces, ASSETS / name)


def _made() -> Iterator[Clip]:
    """The portrait that ships, made hard: drifting by half a pixel a frame."""
    picture = read_image(ASSETS / "portrait.png")
    dice = np.random.default_rng(0)

    def made(name: str, change: UInt8Array, turn: float = 0.0, scale: float = 1.0, *, empty: bool = False) -> Clip:
        matrix = cv2.getRotationMatrix2D((224, 122), turn, scale)
        frames = []
        for step in range(STILL_FRAMES):
            moved = matrix + np.array([[0, 0, 1], [0, 0, 1]]) * step / 2
            frame = cv2.warpAffine(change, moved, change.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
            frames.append(np.asarray(frame, np.uint8))
        x0, y0, x1, y1 = _PORTRAIT
        return Clip(name, () if empty else (Face((x0 - 0.1, y0 - 0.05, x1 + 0.1, y1 + 0.1)),), None, tuple(frames))

    for turn in (15, 30, 45, 60):
        yield made(f"portrait, tilted by {turn} degrees", picture, turn)
    for share in (0.3, 0.15, 0.08):
        yield made(f"portrait, {share:.0%} of its light", np.asarray(picture * share, np.uint8))
    for sigma in (3, 6):
        yield made(
            f"portrait, blurred by {sigma} pixels", np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
        )
    noisy = np.clip(picture + dice.normal(0, 50, picture.shape), 0, 255)
    yield made("portrait, noise of 50 levels", np.asarray(noisy, np.uint8))
    masked = picture.copy()
    masked[121:165, 185:268] = (150, 190, 210)
    yield made("portrait, nose and mouth covered", masked)
    yield made("portrait, half its size", picture, 0, 0.5)
    yield made("portrait without its head", np.ascontiguousarray(picture[185:]), empty=True)
    noise = dice.integers(0, 256, (36, 48, 3), dtype=np.uint8)
    for name, how in (("coarse", cv2.INTER_CUBIC), ("blocks of", cv2.INTER_NEAREST)):
        grown = np.asarray(cv2.resize(noise, (480, 360), interpolation=how), np.uint8)
        yield made(f"{name} noise", grown, empty=True)


def _score(clip: Clip, detector: FaceDetector) -> Score:
    frames = [frame.copy() for frame in clip.frames(detector.max_side)]
    score = Score()
    height, width = frames[0].shape[:2]
    fps = clip.source().fps if clip.path else Fraction(25)
    boxes = _looked(detector, frames, max(1, round(LOOK_SECONDS * fps)))
    tracked: dict[int, list[tuple[int, FaceBox, tuple[float, float] | None]]] = {}
    for index, (frame, found) in enumerate(zip(frames, boxes, strict=True)):
        left = list(found)
        for number, face in enumerate(clip.faces):
            if not face.first <= index < face.stop:
                continue
            own = [box for box in left if _lies_in(box.center, face, width, height)]
            score.found, score.missed = score.found + bool(own), score.missed + (not own)
            if own:
                left.remove(own[0])
                tracked.setdefault(number, []).append((index, own[0], _mouth(frame, own[0])))
        score.false += len(left)
    score.box = _shake([[(at, box.center, box.width) for at, box, _ in rows] for rows in tracked.values()])
    score.raw = _shake(
        [[(at, mouth, box.width) for at, box, mouth in rows if mouth is not None] for rows in tracked.values()]
    )
    started = time.process_time()
    plan = plan_faces(
        iter(frames),
        frame_size=(width, height),
        fps=fps,
        detector=detector,
        settings=RenderSettings().tracker,
    )
    score.milliseconds = (time.process_time() - started) * 1000 / len(frames)
    _judge_plan(score, plan, clip, width, height)
    return score


def _judge_plan(score: Score, plan: FacePlan, clip: Clip, width: int, height: int) -> None:
    shown = 0
    rows: list[list[tuple[int, tuple[float, float], float]]] = [[] for _ in clip.faces]
    for index in range(plan.frame_count):
        left = list(plan.faces(index))
        for face, seen in zip(clip.faces, rows, strict=True):
            if face.first <= index < face.stop:
                own = [sample for sample in left if _lies_in(sample.box.center, face, width, height)]
                shown += bool(own)
                if own:
                    left.remove(own[0])
                    seen.append((index, (own[0].mouth.cx, own[0].mouth.cy), own[0].box.width))
        score.astray += len(left)
    score.planned = shown / max(1, score.found + score.missed)
    score.smooth = _shake(rows)


def _looked(detector: FaceDetector, frames: Sequence[UInt8Array], span: int) -> list[list[FaceBox]]:
    """The faces of every frame, searched and followed as the planner does it."""
    finder = ShotFinder(RenderSettings().tracker.shot_threshold)
    shots = [finder.next(frame) for frame in frames]
    found: list[list[FaceBox]] = []
    for shot in sorted(set(shots)):
        own = [frame for frame, number in zip(frames, shots, strict=True) if number == shot]
        start, known = 0, None
        while start < len(own):
            stop = min(start + span + 1, len(own))
            part = look_through(detector, own[start:stop], known)
            found += [faces.every for faces in (part if known is None else part[1:])]
            known = part[-1]
            start = stop - 1 if stop < len(own) else stop
    return found


def _mouth(frame: UInt8Array, box: FaceBox) -> tuple[float, float] | None:
    mouth = locate_mouth(frame, box) if box.points is None else mouth_of(box.points)
    return None if mouth is None else (mouth.cx, mouth.cy)


def _lies_in(point: tuple[float, float], face: Face, width: int, height: int) -> bool:
    x0, y0, x1, y1 = face.where
    return x0 * width <= point[0] <= x1 * width and y0 * height <= point[1] <= y1 * height


def _shake(faces: Sequence[Sequence[tuple[int, tuple[float, float], float]]]) -> float:
    """Median of second differences over three frames in a row, in thousandths of a face, as of one frame's error.

    Args:
        faces: Of each face (frame, place, size), by frame.
    """
    bends = [
        hypot(*(a - 2 * b + c for a, b, c in zip(first[1], second[1], third[1], strict=True))) / second[2]
        for rows in faces
        for first, second, third in zip(rows, rows[1:], rows[2:], strict=False)
        if (second[0] - first[0], third[0] - second[0]) == (1, 1)
    ]
    return float(np.median(bends)) * 1000 / sqrt(6) if bends else 0.0


def _shrunk(picture: UInt8Array, longest: int) -> UInt8Array:
    scale = min(1.0, longest / max(picture.shape[:2]))
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _page(names: Sequence[str], clips: Sequence[Clip], scores: dict[str, dict[str, Score]]) -> str:
    rows = [[clip.name, *_cells([scores[clip.name][name] for name in names])] for clip in clips]
    sums = [[name, *_total([scores[clip.name][name] for clip in clips])] for name in names]
    absent = [name for name in NAMES if name not in names]
    lacking = f"\n{' and '.join(absent)}: no weights at hand.\n" if absent else ""
    return f"""# Detectors

Each detector over the same clips, one after the other in one run on one core: whole frames searched every {
        LOOK_SECONDS
    } s
and at cuts, faces followed in between; at most {MOST} frames a clip. Which faces are there was told by eye
(`detectors.py`). "Found", "missed" and "false" are frames, before anything is bridged, smoothed or dropped; "in the
plan" is what a render gets: the share of the faces it has, and faces where there is none. "Shakes" is what is left of
the mouth's change from frame to frame beside even motion, in thousandths of the face (median): as found, and in the
plan. Haar's mouth is looked for in the picture, the others' lies between their points. Milliseconds are of the
processor, a frame, with all that planning does; compare them with each other only.
{lacking}
{
        table(
            (
                "detector",
                "found",
                "missed",
                "false",
                "missed in the plan",
                "false in the plan",
                "shakes, as found",
                "shakes, in the plan",
                "box shakes",
                "ms a frame",
            ),
            sums,
        )
    }
Clip by clip, {" / ".join(names)}:

{table(("clip", "faces", *_COLUMNS), rows)}
Taken on {machine()}.
"""


_COLUMNS = ("found", "false", "missed in the plan", "shakes, as found", "shakes, in the plan", "ms a frame")


def _cells(own: Sequence[Score]) -> list[str]:
    faces = own[0].found + own[0].missed
    columns = (
        [str(score.found) for score in own],
        [str(score.false) for score in own],
        [f"{1 - score.planned:.0%}" if faces else "-" for score in own],
        [f"{score.raw:.1f}" if score.raw else "-" for score in own],
        [f"{score.smooth:.2f}" if score.smooth else "-" for score in own],
        [f"{score.milliseconds:.1f}" for score in own],
    )
    return [str(faces), *(" / ".join(column) for column in columns)]


def _total(own: Sequence[Score]) -> list[str]:
    faces = [score.found + score.missed for score in own]
    missed = sum((1 - score.planned) * count for score, count in zip(own, faces, strict=True))
    means = (
        float(np.mean([value for value in values if value]))
        for values in (
            [score.raw for score in own],
            [score.smooth for score in own],
            [score.box for score in own],
            [score.milliseconds for score in own],
        )
    )
    counts = (sum(score.found for score in own), sum(score.missed for score in own), sum(score.false for score in own))
    return [
        *map(str, counts),
        f"{missed:.0f}",
        str(sum(score.astray for score in own)),
        *(f"{mean:.2f}" for mean in means),
    ]


if __name__ == "__main__":
    main()
