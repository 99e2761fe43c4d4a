"""Make docs/talks.jpg, the layouts of talks in every shape, by which docs/presenter.md shows them.

python -m docs.make_talk_picture
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from musetalk.assets import PORTRAIT
from musetalk.presenter.layout import Aspect, LayoutName
from musetalk.presenter.script import parse_script
from musetalk.presenter.step import TalkPicture
from musetalk.presenter.talk import Talk, speak_script
from musetalk.presenter.talk_file import TalkFile
from musetalk.tts.hibari import HibariVoice
from musetalk.utils.arrays import UInt8Array

ROOT = Path(__file__).parents[1]
SCRIPT = """# Lips that speak any voice

- A video, or one picture of a face
- A script, or a recorded voice
  - numbered, nested, in any script there is a font for

[slide docs/result.jpg] A slide takes the place of the words.
"""
HEIGHT, GAP = 240, 6


def row(talk: Talk, layout: LayoutName, face: UInt8Array) -> UInt8Array:
    """Return a layout in every shape, with words and with a slide: uint8 RGB."""
    moments = (talk.passages[-1].start - 1.0, talk.passages[-1].start + 0.8)
    pictures = list[UInt8Array]()
    for aspect in get_args(Aspect):
        draw = TalkPicture(TalkFile(talk=talk, layout=layout, aspect=aspect, shorter=480, captions=True))
        for moment in moments:
            drawn = Image.fromarray(draw(face, moment))
            small = drawn.resize((round(drawn.width * HEIGHT / drawn.height), HEIGHT), Image.Resampling.LANCZOS)
            pictures.append(np.pad(np.asarray(small), ((0, GAP), (0, GAP), (0, 0)), constant_values=255))
    return np.concatenate(pictures, axis=1)


def main() -> None:
    """Speak a script and draw it, the presenter at rest."""
    with tempfile.TemporaryDirectory() as folder:
        talk = speak_script(parse_script(SCRIPT, lambda name: ROOT / name), HibariVoice(), Path(folder) / "voice.wav")
        face = np.asarray(Image.open(PORTRAIT).convert("RGB"))
        picture = np.concatenate([row(talk, layout, face) for layout in get_args(LayoutName)])
    Image.fromarray(picture).save(ROOT / "docs" / "talks.jpg", quality=85)


if __name__ == "__main__":
    main()
