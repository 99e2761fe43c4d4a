"""Make the two pictures that explain bbox_shift: one moment of speech with the mouth opened less, and more.

Run as `python -m tools.make_help_pictures [--out DIR]` from the project's folder. Needs nothing beyond the project's
own requirements. The pictures come from the portrait and the voice that ship; what is said of these in
musetalk/assets/README.md holds for them too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from musetalk.assets import PORTRAIT, VOICE
from musetalk.errors import MuseTalkError
from musetalk.inspection.frame import FramePreview
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings

UInt8Array = NDArray[np.uint8]

PAGE = Path(__file__).parents[1] / "musetalk" / "webui" / "assets"
SHIFTS = {"bbox_shift_less.jpg": -9, "bbox_shift_more.jpg": 9}
MOMENT = 3.72  # seconds of the voice: loud, and the mouth neither rounded nor spread
SIDE = 320  # pixels
# The part of the face that is shown, in sides of its box around the middle of the mouth.
REACH, RISE = 0.47, 0.06
QUALITY = 88


def preview(shift: int) -> FramePreview:
    """Return the portrait at the moment, with the mouth opened as `shift` says."""
    settings = RenderSettings(bbox_shift=shift)
    return LipSync().preview_frame(PORTRAIT, VOICE, settings, at=MOMENT)


def mouth_region(found: FramePreview) -> UInt8Array:
    """Cut the square around the mouth out of the result: uint8 RGB [SIDE, SIDE, 3].

    Raises:
        ValueError: There is no face, or nothing that it says.
    """
    if found.result is None or not found.chosen:
        raise ValueError("the portrait has no face that could speak")
    [face] = found.chosen
    reach = REACH * face.box.width
    x, y = round(face.mouth.cx - reach), round(face.mouth.cy - RISE * face.box.width - reach)
    side = round(2 * reach)
    region = found.result[y : y + side, x : x + side]
    return np.asarray(cv2.resize(region, (SIDE, SIDE), interpolation=cv2.INTER_LANCZOS4), np.uint8)


def make_pictures(folder: Path) -> list[Path]:
    """Make both pictures in `folder`, which is created if need be, and return their paths.

    Raises:
        MuseTalkError: The portrait or the voice cannot be used.
        ValueError: OpenCV could not encode a picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, shift in SHIFTS.items():
        region = mouth_region(preview(shift))
        encoded, jpeg = cv2.imencode(".jpg", region[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        if not encoded:
            raise ValueError("OpenCV could not encode a picture as JPEG")
        (folder / name).write_bytes(jpeg.tobytes())
        paths.append(folder / name)
    return paths


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the pictures that explain bbox_shift again.")
    parser.add_argument("--out", type=Path, default=PAGE, help="folder to write to (default: the page's own)")
    try:
        paths = make_pictures(parser.parse_args().out)
    except (MuseTalkError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path in paths:
        sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
