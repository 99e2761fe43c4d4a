"""Make docs/result.jpg, the picture that README.md opens with: source frames above, the same frames speaking below.

python -m docs.make_picture
"""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from musetalk.assets import SAMPLE, VOICE
from musetalk.lipsync import LipSync
from musetalk.media.frames import Frame
from musetalk.media.playback import play
from musetalk.pipeline.render import render_frames
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array

ROOT = Path(__file__).parents[1]
FRAMES = (3, 33, 50, 75, 118, 150)  # rest, speech, speech, the cutaway, speech closer
LEFT, RIGHT = 70, 390  # columns of the sample's 640 that are shown
WIDTH = 260  # of one frame in the picture, in pixels


def small(frame: UInt8Array) -> UInt8Array:
    """The shown part of a frame, scaled to the picture: uint8 RGB."""
    part = frame[:, LEFT:RIGHT]
    height = round(part.shape[0] * WIDTH / part.shape[1])
    return np.asarray(Image.fromarray(part).resize((WIDTH, height), Image.Resampling.LANCZOS))


def main() -> None:
    """Render single frames of the sample, as the whole render would have them, and tile them."""
    rows: tuple[list[UInt8Array], list[UInt8Array]] = ([], [])
    with (
        tempfile.TemporaryDirectory() as folder,
        LipSync().preparing(SAMPLE, VOICE, RenderSettings(), Path(folder)) as ready,
    ):
        for k in FRAMES:
            source = map(Frame.rgb, play(ready.source, ready.timeline, k, k + 1, spool_dir=ready.folder))
            for row, frames in zip(rows, (source, render_frames(ready, k, k + 1, RenderRun())), strict=True):
                row.extend(small(frame) for frame in islice(frames, 1))
    picture = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    Image.fromarray(picture).save(ROOT / "docs" / "result.jpg", quality=90)


if __name__ == "__main__":
    main()
