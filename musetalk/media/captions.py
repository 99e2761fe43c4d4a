"""Files of captions that go with a video."""

from __future__ import annotations

import re
from pathlib import Path

from musetalk.errors import PATH, MediaError

CAPTION_SUFFIXES = (".srt", ".vtt")
_MOST_BYTES = 20_000_000
_TIMES = re.compile(r"^\s*(?:\d+:)?\d+:\d+[.,]\d+\s*-->\s*(?:\d+:)?\d+:\d+[.,]\d+", re.MULTILINE)


def check_captions(path: Path) -> None:
    """Make sure that a file holds captions, before hours are spent on what they go with.

    Raises:
        MediaError: It holds none.
    """
    if path.suffix.lower() not in CAPTION_SUFFIXES:
        raise MediaError(f"the captions {PATH} are of no kind that is known", "give a .srt or a .vtt file", path=path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise MediaError(f"the captions {PATH} are too large", "give a .srt or a .vtt file", path=path)
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        problem = f"the captions {PATH} cannot be read ({error.strerror or error})"
        raise MediaError(problem, "check the file's name", path=path) from error
    except UnicodeDecodeError as error:
        raise MediaError(f"the captions {PATH} are no text in UTF-8", "save them as such", path=path) from error
    if not _TIMES.search(text):
        raise MediaError(f"the captions {PATH} hold no times", "give a .srt or a .vtt file", path=path)
