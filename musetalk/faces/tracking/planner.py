"""Plans the faces of a video in one pass, with few frames in memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from math import atan2, cos, hypot, sin

import numpy as np

from musetalk.faces.detection.boxes import same_face, shared_area
from musetalk.faces.detection.five_points import mouth_of
from musetalk.faces.tracking.face_plan import FacePlan, rank
from musetalk.faces.tracking.following import FrameFaces, SearchingDetector, look_through
from musetalk.faces.tracking.looks import Look
from musetalk.faces.tracking.mouth import locate_mouth, mouth_prior
from musetalk.faces.tracking.shots import ShotFinder
from musetalk.faces.tracking.tracker import Seen, ShotTracker, Track, at_rest
from musetalk.faces.types import FaceBox, FaceDetector, MouthShape, Sought
from musetalk.progress import CancelToken, never_stop, noop
from musetalk.settings import FaceChoice, TrackerSettings
from musetalk.utils.arrays import UInt8Array

LOOK_SECONDS = 0.4  # time between two searches of the whole frame; in between, known faces are followed
_LEAD = 0.1  # by how much, in sides of a face, another one has to come before it to be followed as well
_LONGER_SPANS = 3  # times as long until the next search where the last one gave no reason to search again soon,
_LONGER_BYTES = 2**26  # of the pictures that are held so long, at most
_SPARSE = 32  # of so many lines one is compared first
_SOUGHT = 6  # faces of a frame that come first by what is chosen: of a crowd the others need not be known


def plan_faces(
    frames: Iterable[UInt8Array],
    *,
    frame_size: tuple[int, int],
    fps: Fraction,
    detector: FaceDetector,
    settings: TrackerSettings,
    choice: FaceChoice = "all",
    every: bool = False,
    on_frame: Callable[[int], None] | None = None,
    cancel: CancelToken | None = None,
    known: Sequence[Look] = (),
    on_look: Callable[[Look], None] | None = None,
) -> FacePlan:
    """Find shots, faces and mouths in all frames of a source.

    Args:
        frames: uint8 RGB [h, w, 3] each, all of one size, downscaled as the detector likes them. What is kept for a
            moment is copied, so that they may share one buffer. Where looks are known, those from `Look.resume` of the
            last one on; after a final one, none.
        frame_size: (width, height) of the source's own frames, in pixels.
        fps: Frame rate of the source.
        detector: Finds the faces; one that can `follow` is asked to search whole frames only now and then.
        settings: Cuts, bridging, smoothing.
        choice: Which faces matter, as `FacePlan.select` takes it. Those that it may mean are followed from frame to
            frame; the others are known from searches only, and lie on straight ways between two of them.
        every: Whether searches show all faces, however many; else they may end at the first few that come to be chosen.
        on_frame: Told the number of frames taken in, after each.
        cancel: Asked before each frame and each piece of work on it.
        known: Looks through the first frames that were taken before, with the same arguments.
        on_look: Told of each further look as soon as it was taken, those after a cut when the next one was.
        known: Looks through the first frames that were taken before, with the same arguments.
        on_look: Told of each further look as soon as it was taken.

    Returns:
        The plan with all tracks, in source pixels.

    Raises:
        Cancelled: `cancel` was set.
        BackendError: The detector cannot run.
    """
    check = never_stop if cancel is None else cancel.check
    tell = noop if on_look is None else on_look
    planner = _Planner(frame_size, fps, detector, settings, choice, check, tell, every=every or choice == "all")
    for look in known:
        planner.replay(look)
    for index, frame in enumerate(frames, known[-1].resume if known else 0):
        if cancel is not None:
            cancel.check()
        planner.take(index, frame)
        if on_frame is not None:
            on_frame(index + 1)
    return planner.finish()


class _Planner:
    """Gathers frames into spans between two looks, and what was seen in them into shots."""

    def __init__(
        self,
        frame_size: tuple[int, int],
        fps: Fraction,
        detector: FaceDetector,
        settings: TrackerSettings,
        choice: FaceChoice,
        check: Callable[[], None],
        tell: Callable[[Look], None],
        *,
        every: bool,
    ) -> None:
        self._size = frame_size
        self._fps = fps
        self._detector = detector
        self._settings = settings
        self._choice = choice
        self._searches = isinstance(detector, SearchingDetector)
        self._check = check
        self._tell = tell
        self._every = every
        self._finder = ShotFinder(settings.shot_threshold)
        self._span_length = max(1, round(LOOK_SECONDS * fps))
        self._shots: array[int] = array("i")
        self._tracks: list[Track] = []
        self._shot = 0
        self._replayed: Look | None = None  # the last one, until a frame is taken in
        self._start_shot()

    def take(self, index: int, frame: UInt8Array) -> None:
        """Take in the next frame; behind replayed looks, the one that the last of them resumes at."""
        if self._replayed is not None:
            resumed, self._replayed = self._replayed, None
            self._finder.resume(frame, self._shot, resumed.usual)
            if not resumed.ends_shot:
                self._span.append(np.array(frame))  # seen already
                return
        elif self._finder.next(frame) != self._shot:
            self._look(index, ends_shot=True)
        repeated = bool(self._span) and _same_picture(self._span[-1], frame)
        if not repeated:
            self._span.append(np.array(frame))
        self._repeats.append(repeated)
        if len(self._repeats) + (self._known is not None) > self._span_length * self._spans():
            self._look(index + 1)

    def replay(self, look: Look) -> None:
        """Take in a look that was taken before."""
        self._apply(look)
        self._replayed = look

    def finish(self) -> FacePlan:
        """End the last shot and return the plan."""
        if self._replayed is None or not self._replayed.final:
            self._look(len(self._shots) + len(self._repeats), final=True)
        self._close_shot()
        width, height = self._size
        return _as_plan(self._tracks, np.array(self._shots, dtype=np.int32), width, height)

    def _spans(self) -> int:
        """How many times the usual time passes to the next search.

        More than once where the last one has shown the faces that were known before, or a crowd, of which each face
        that is shown has its price. Where every face is wanted, those that are there for a moment are, too.
        """
        if self._every or self._known is None or not self._searches:
            return 1
        affordable = _LONGER_SPANS * self._span_length * self._span[-1].nbytes <= _LONGER_BYTES
        return _LONGER_SPANS if affordable and (self._settled or len(self._known.every) >= _SOUGHT) else 1

    def _start_shot(self) -> None:
        self._tracker = ShotTracker()
        self._span: list[UInt8Array] = []  # its pictures: what is shown several times in a row is looked at once
        self._repeats: list[bool] = []  # of each of its frames that was not looked at yet whether it repeats a picture
        self._pictures: array[int] = array("q")  # of each frame of the shot a number that those of one picture share
        self._known: FrameFaces | None = None  # faces of the span's first frame, where it has been looked at
        self._seen: Sequence[Seen] = ()  # these in source pixels
        self._settled = False  # whether the last search has shown faces, and only those that were known before
        self._shot_start = len(self._shots)

    def _close_shot(self) -> None:
        tracks = self._tracker.finish(
            len(self._shots) - self._shot_start, fps=self._fps, settings=self._settings, prior=mouth_prior
        )
        pictures = np.array(self._pictures, dtype=np.int64)
        self._tracks += [at_rest(track, pictures[track.frames - self._shot_start]) for track in tracks]
        self._shot += 1
        self._start_shot()

    def _look(self, stop: int, *, ends_shot: bool = False, final: bool = False) -> None:
        """Find the faces of the frames before `stop` that were not looked at; the last of them starts the next span."""
        known = FrameFaces([], []) if self._known is None else self._known
        faces, settled = list[tuple[Seen, ...]](), False
        if self._repeats:
            found = self._found()
            settled = len(found) > 1 and _same_faces(found[0].every, found[-1].every)
            news = list(zip(self._span, found, strict=True))[0 if self._known is None else 1 :]
            faces, known = [tuple(self._in_source(picture, faces)) for picture, faces in news], found[-1]
        start, repeats, usual = stop - len(self._repeats), tuple(self._repeats), self._finder.usual
        look = Look(start, stop, ends_shot, final, settled, usual, repeats, tuple(faces), known).as_kept()
        del self._span[:-1]
        self._repeats = []
        self._apply(look)
        self._tell(look)

    def _found(self) -> list[FrameFaces]:
        """Look through the pictures of the span."""
        scale = self._scale(self._span[0])
        sought = None if self._every else Sought(_SOUGHT, lambda box: rank(box.scaled(*scale), self._choice))
        return look_through(
            self._detector, self._span, self._known, lambda boxes: self._to_follow(boxes, scale), self._check, sought
        )

    def _apply(self, look: Look) -> None:
        """Take over what a look has shown."""
        faces = iter(look.faces)
        for frame, repeated in enumerate(look.repeats, look.start):
            if not repeated:
                self._seen = next(faces)
            self._shots.append(self._shot)
            self._pictures.append((self._pictures[-1] if self._pictures else 0) + (not repeated))
            self._tracker.add(frame, self._seen)
        self._known, self._settled = look.known, look.settled
        if look.ends_shot:
            self._close_shot()

    def _scale(self, frame: UInt8Array) -> tuple[float, float]:
        """Pixels of the source for one of a frame, across and down."""
        return self._size[0] / frame.shape[1], self._size[1] / frame.shape[0]

    def _to_follow(self, boxes: Sequence[FaceBox], scale: tuple[float, float]) -> list[FaceBox]:
        """Of the faces of a frame those that the choice may mean: as the shot is so far, and as this frame is."""
        if self._choice == "all" or len(boxes) < 2:
            return list(boxes)
        faces = [box.scaled(*scale) for box in boxes]
        now = min(range(len(faces)), key=lambda n: rank(faces[n], self._choice))
        leader = self._tracker.leader(self._choice)
        alike = [] if leader is None else [n for n, face in enumerate(faces) if same_face(face, leader)]
        so_far = max(alike, key=lambda n: shared_area(faces[n], leader), default=now) if leader is not None else now
        ahead = rank(faces[so_far], self._choice) - rank(faces[now], self._choice)
        return [boxes[so_far]] if ahead <= _LEAD * faces[so_far].width else [boxes[so_far], boxes[now]]

    def _in_source(self, frame: UInt8Array, faces: FrameFaces) -> Iterator[Seen]:
        """Bring faces to source pixels; where the detector told no points of a near one, look for its mouth."""
        sx, sy = self._scale(frame)
        for box in faces.near:
            face = box.scaled(sx, sy)
            if face.points is not None:
                yield Seen(face, mouth_of(face.points))
            else:
                mouth = locate_mouth(frame, box)
                yield Seen(face, None if mouth is None else _stretched(mouth, sx, sy))
        yield from (_as_searched(box.scaled(sx, sy)) for box in faces.far)


def _same_picture(a: UInt8Array, b: UInt8Array) -> bool:
    """Whether two frames hold the same; a few of their lines mostly tell that they do not."""
    return np.array_equal(a[::_SPARSE], b[::_SPARSE]) and np.array_equal(a, b)


def _same_faces(before: Sequence[FaceBox], after: Sequence[FaceBox]) -> bool:
    """Whether there are faces, and each is about where it was."""
    known = (any(same_face(a, b) for a in before) for b in after)
    return len(before) == len(after) > 0 and all(known)


def _as_searched(face: FaceBox) -> Seen:
    """Return a face, in source pixels, whose mouth nobody looks for: it is known where the detector told points."""
    return Seen(face, None if face.points is None else mouth_of(face.points))


def _stretched(mouth: MouthShape, sx: float, sy: float) -> MouthShape:
    dx, dy = mouth.half_width * cos(mouth.angle) * sx, mouth.half_width * sin(mouth.angle) * sy
    return MouthShape(mouth.cx * sx, mouth.cy * sy, hypot(dx, dy), atan2(dy, dx))


def _as_plan(
    tracks: Sequence[Track], shots: np.ndarray[tuple[int], np.dtype[np.int32]], width: int, height: int
) -> FacePlan:
    frame = np.concatenate([np.zeros(0, np.int64), *(track.frames for track in tracks)])
    number = np.concatenate(
        [np.zeros(0, np.int32), *(np.full(len(track.frames), i, np.int32) for i, track in enumerate(tracks))]
    )
    boxes = np.concatenate([np.zeros((0, 5), np.float32), *(track.boxes for track in tracks)])
    mouths = np.concatenate([np.zeros((0, 4), np.float32), *(track.mouths for track in tracks)])
    order = np.lexsort((number, frame))
    return FacePlan(len(shots), width, height, shots, frame[order], number[order], boxes[order], mouths[order])
