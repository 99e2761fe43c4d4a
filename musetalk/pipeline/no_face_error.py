"""The error of a source without a face: what a few closer looks say of the reason."""

from __future__ import annotations

from contextlib import closing

from musetalk.errors import Cancelled, FaceError
from musetalk.faces.absence import Absence, explain_absence, upside_down
from musetalk.faces.types import FaceDetector
from musetalk.media.reader import read_frames
from musetalk.media.types import Source
from musetalk.progress import CancelToken, Deadline
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.files import readable

_SECONDS = 10.0  # most that is spent on the reason: the search for faces was longer
_SECONDS_OF_NOTE = 2.0  # the same for a preview
_MAX_SIDE = 1920  # pixels of them: faces too small at the size that is searched may show at theirs
_TURNS = {90: "transpose=1", 270: "transpose=2", 180: "hflip,vflip"}  # ffmpeg's filters, by degrees clockwise


def no_face_error(source: Source, used: int, detector: FaceDetector, cancel: CancelToken) -> FaceError:
    """The error that says that no face was found in a source, and why, as far as that can be told in some seconds.

    Args:
        source: The source.
        used: Of its frames, those that were searched.
        detector: What searched them.
        cancel: Ends it.

    Raises:
        Cancelled: Through `cancel`.
    """
    deadline = Deadline(cancel, _SECONDS)
    absence = explain_absence(_frames(source, used, deadline), detector, lambda: not deadline.cancelled)
    cancel.check()
    name = readable(source.path.name)
    if absence is None:
        return FaceError(
            f'no face was found in "{name}"', "use a source in which a face of some size looks towards the camera"
        )
    return FaceError(f'no face was found in "{name}" ({absence.reason})', _remedy(absence, source, name))


def absence_note(frame: UInt8Array, detector: FaceDetector, cancel: CancelToken) -> str:
    """Return why one frame shows no face, as a sentence; empty where nothing is known.

    Args:
        frame: uint8 RGB [H, W, 3], as large as it is.
        detector: What searched it.
        cancel: Ends it.
    """
    deadline = Deadline(cancel, _SECONDS_OF_NOTE)
    absence = explain_absence([frame], detector, lambda: not deadline.cancelled)
    cancel.check()
    return "" if absence is None else f"{absence.reason[0].upper()}{absence.reason[1:]}: {absence.remedy}."


def upside_down_note(frame: UInt8Array) -> str:
    """That the faces in a frame (uint8 RGB [H, W, 3]) look upside down, as a sentence; empty where they do not."""
    odd = upside_down([frame])
    return "" if odd is None else f"The faces look upside down: {odd.remedy}."


def _remedy(absence: Absence, source: Source, name: str) -> str:
    if not absence.turn or source.images:
        return absence.remedy
    return f'{absence.remedy}, for instance: ffmpeg -i "{name}" -vf {_TURNS[absence.turn]} turned.mp4'


def _frames(source: Source, used: int, deadline: Deadline) -> list[UInt8Array]:
    """Some frames, the middle one first to come."""
    frames = []
    for place in dict.fromkeys((used // 2, used // 4, 3 * used // 4)):
        try:
            with closing(read_frames(source, place, place + 1, max_side=_MAX_SIDE, cancel=deadline)) as found:
                frames += list(found)
        except Cancelled:
            break
    return frames
