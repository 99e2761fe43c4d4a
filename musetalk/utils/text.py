"""Text in pictures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from PIL import ImageFont

Font: TypeAlias = ImageFont.ImageFont | ImageFont.FreeTypeFont

_NO_LETTER = "\U0010ffff"  # which no font has
_FONTS = frozenset({".ttf", ".otf", ".ttc"})
_FONT_FOLDERS = (
    *("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts"),
    *("/System/Library/Fonts", "/Library/Fonts", "~/Library/Fonts", "C:/Windows/Fonts"),
)
_LOOKED_AT = 20.0  # pixels: height at which letters are told apart from what stands for none


def fitted_font(text: str, room: float, height: float) -> Font:
    """Return a font for a text, of a height in pixels, or smaller where the text would take more than `room`."""
    return font_for(text, fitted_height(text, room, height))


def fitted_height(text: str, room: float, height: float) -> float:
    """Return how high, in pixels, a font for a text is: as given, or less where it would take more than `room`."""
    length = font_for(text, height).getlength(text)
    return max(1.0, height * min(1.0, max(1.0, room) / max(1.0, length)))


def font_for(text: str, height: float) -> Font:
    """Return a font for a text, of a height in pixels.

    It is the one that comes with Pillow, which has the letters of English, or, for other texts, DejaVu, which comes
    with matplotlib and has all of Latin, Greek, Cyrillic, Hebrew, Arabic and more, or, where that lacks letters, one
    that is installed on this machine.
    """
    return _font(_file_for(text), height)


def is_blank(text: str) -> bool:
    """Return whether nothing of a text would be seen: it has only spaces, or signs that take no room."""
    return not any(font_for(text, _LOOKED_AT).getmask(text))


def unwritable(text: str) -> str:
    """Return the letters of a text that would come out as empty boxes, each once."""
    return _missing(text, _file_for(text))


@lru_cache(maxsize=256)
def _file_for(text: str) -> Path | None:
    """Return the font's file that has most of a text's letters; None: Pillow's own."""
    best, lacking = None, _missing(text, None)
    for file in _fonts() if lacking else ():
        missing = _missing(text, file)
        if len(missing) < len(lacking):
            best, lacking = file, missing
        if not any(letter.isalnum() for letter in lacking):
            break
    return best


def _fonts() -> Iterator[Path]:
    """Yield the files of fonts there are, those that come with the program's packages first."""
    wide = _wide_font()
    yield from () if wide is None else (wide,)
    yield from _installed_fonts()


@lru_cache(maxsize=1)
def _installed_fonts() -> tuple[Path, ...]:
    """Return the fonts that are installed on this machine, those for running text first."""
    files = {
        file
        for folder in _FONT_FOLDERS
        for file in Path(folder).expanduser().rglob("*")
        if file.suffix.lower() in _FONTS
    }
    return tuple(sorted(files, key=lambda file: ("regular" not in file.stem.lower(), file.name)))


def _missing(text: str, file: Path | None) -> str:
    return "".join(letter for letter in dict.fromkeys(text) if not letter.isspace() and not _has(file, letter))


@lru_cache(maxsize=8192)
def _has(file: Path | None, letter: str) -> bool:
    looked_at = _look_at(file)
    if looked_at is None:
        return False
    font, nothing = looked_at
    return bytes(font.getmask(letter)) != nothing


@lru_cache(maxsize=8)
def _look_at(file: Path | None) -> tuple[Font, bytes] | None:
    """Return a font, and what it draws where it has no letter; None: it is no font that can be read."""
    try:
        font = _font(file, _LOOKED_AT)
    except OSError:
        return None
    return font, bytes(font.getmask(_NO_LETTER))


def _font(file: Path | None, height: float) -> Font:
    return ImageFont.load_default(height) if file is None else ImageFont.truetype(file, height)


@lru_cache(maxsize=1)
def _wide_font() -> Path | None:
    package = find_spec("matplotlib")
    for folder in (package.submodule_search_locations or ()) if package else ():
        file = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return file
    return None
