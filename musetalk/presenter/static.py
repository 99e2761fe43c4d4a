"""A still with sound, where lips cannot be moved and the user said that this will do."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

from musetalk.media.ffmpeg_commands import SoundTrack
from musetalk.media.frames import FrameLayout, frame_of
from musetalk.media.probe import probe_wanted
from musetalk.media.reader import read_frames
from musetalk.media.types import ColorTags
from musetalk.media.writer import VideoWriter
from musetalk.presenter.step import TalkPicture
from musetalk.presenter.talk_files import TalkFiles
from musetalk.progress import CancelToken
from musetalk.settings import EncoderSettings, SourceSettings

LABEL = "Still picture: the lips do not move"


def write_static(
    source: Path,
    sound: SoundTrack,
    out: Path,
    files: TalkFiles,
    *,
    reading: SourceSettings,
    encoder: EncoderSettings,
    why: str,
    cancel: CancelToken,
) -> None:
    """Write a talk in which the presenter is the first frame of the source, and say so in the file's metadata.

    Args:
        source: A video, a picture, or a folder of pictures.
        sound: The voice.
        out: The file to make; it is written beside the voice until it is whole.
        files: What is drawn beside the presenter, and the captions.
        reading: How the source is read.
        encoder: Codec and quality.
        why: Why the lips do not move.
        cancel: Ends the work.

    Raises:
        MediaError: The source cannot be read.
        OutputError: The file cannot be written.
    """
    talk = files.talk
    probed = probe_wanted(source, reading, cancel)
    with closing(read_frames(probed, 0, 1, cancel=cancel)) as frames:
        still = next(frames)
    draw, fps = TalkPicture(talk), probed.fps
    first = draw(still, 0.0)
    writer = VideoWriter(
        out,
        folder=sound.voice.parent,
        layout=FrameLayout(first.shape[1], first.shape[0]),
        fps=fps,
        sound=sound,
        color=ColorTags(),
        settings=encoder,
        comment=f"MuseTalk Hybrid. {LABEL} ({why})",
        captions=files.srt,
        cancel=cancel,
    )
    with writer:
        for number in range(math.ceil(sound.seconds * fps)):
            cancel.check()
            writer.write(frame_of(draw(still, float(number / fps))))
        writer.finish()
