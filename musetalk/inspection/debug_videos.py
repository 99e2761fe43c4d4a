"""A whole render's crops and masks as videos: written beside it, frame by frame, never held in memory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from musetalk.faces.crops.crop import BoxCropTransform
from musetalk.inspection.contact_sheet import letterboxed
from musetalk.inspection.panels import mask_picture
from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.frames import Frame, FrameLayout, frame_of
from musetalk.media.types import ColorTags, Source
from musetalk.media.writer import VideoWriter
from musetalk.pipeline.cropping import crop_from
from musetalk.pipeline.file_uses import debug_files
from musetalk.pipeline.generate import FaceSteps
from musetalk.pipeline.render import OutputFrame
from musetalk.progress import CancelToken
from musetalk.settings import EncoderSettings
from musetalk.utils.arrays import UInt8Array
from musetalk.utils.files import make_room_for, temporary_folder

_SIDE = 256  # pixels of a panel
_MOST_FACES = 4  # in one frame; more are left out
_LONGEST = 960  # pixels of the masks' video


class DebugVideos:
    """Writes `NAME-crops.mp4` and `NAME-masks.mp4` into a folder.

    In the first each row is a face: the crop that its painter saw, what that made of it, what an enhancer made of that,
    and where it shows; a frame without a painted face is empty. In the second there are the masks, in grey, where they
    lie in the frame. Both have the render's rate, length and sound. Use it as a context manager: leaving it without
    `finish` leaves no file.

    Args:
        folder: Where they go; is made.
        name: Of the render.
        source: Its source.
        faces: Most faces in a frame.
        sound: What is heard.
        cancel: Ends the encoders.
    """

    def __init__(
        self, folder: Path, name: str, *, source: Source, faces: int, sound: SoundTrack, cancel: CancelToken
    ) -> None:
        self._outs = debug_files(folder, name)
        self._rows = min(max(1, faces), _MOST_FACES)
        scale = min(1.0, _LONGEST / max(source.width, source.height))
        self._size = (round(source.width * scale), round(source.height * scale))
        self._source, self._sound, self._cancel = source, sound, cancel
        self._stack = ExitStack()
        self._writers: list[VideoWriter] = []

    def __enter__(self) -> DebugVideos:
        sizes = ((4 * _SIDE, self._rows * _SIDE), self._size)
        with ExitStack() as stack:
            for out, size in zip(self._outs, sizes, strict=True):
                make_room_for(out)
                work = stack.enter_context(temporary_folder(out.parent))
                self._writers.append(stack.enter_context(self._writer(out, work, size)))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, frame: OutputFrame) -> None:
        """Take in the next frame of the render; it has to have its source.

        Raises:
            OutputError: It cannot be written.
        """
        source = frame.picture if frame.source is None else frame.source
        crops, masks = self._writers
        faces = {steps.face.track: steps for steps in frame.steps}  # of a face painted twice the later one
        rows = [_row(source, steps) for steps in list(faces.values())[: self._rows]]
        empty = [np.zeros((_SIDE, 4 * _SIDE, 3), np.uint8)] * (self._rows - len(rows))
        crops.write(frame_of(np.concatenate([*rows, *empty])))
        masks.write(frame_of(self._masks(frame)))

    def finish(self) -> None:
        """Give both files their names.

        Raises:
            OutputError: They cannot be completed.
        """
        for writer in self._writers:
            writer.finish()

    def _writer(self, out: Path, work: Path, size: tuple[int, int]) -> VideoWriter:
        return VideoWriter(
            out,
            folder=work,
            layout=FrameLayout(*size),
            fps=self._source.fps,
            sound=self._sound,
            color=ColorTags(),
            settings=EncoderSettings(),
            comment="MuseTalk Hybrid, for debugging",
            cancel=self._cancel,
        )

    def _masks(self, frame: OutputFrame) -> UInt8Array:
        """Return the masks of all faces in a frame, as large as the video: uint8 RGB [h, w, 3]."""
        whole = BoxCropTransform(0, 0, self._source.width, self._source.height)
        grey = mask_picture(frame.masks, whole)
        return np.asarray(cv2.resize(grey, self._size, interpolation=cv2.INTER_AREA), np.uint8)


def _row(source: Frame, steps: FaceSteps) -> UInt8Array:
    """Return one face: uint8 RGB [_SIDE, 4 * _SIDE, 3]."""
    crop = steps.transform
    enhanced = None if steps.enhanced is None else steps.enhanced.face
    rectangle = BoxCropTransform(crop.x, crop.y, crop.width, crop.height)
    pictures = (crop_from(source, crop), steps.generated, enhanced, mask_picture(steps.shown, rectangle))
    return np.concatenate([letterboxed(picture, _SIDE, _SIDE) for picture in pictures], axis=1)
