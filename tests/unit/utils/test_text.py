"""Fonts for texts of any script."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest

from musetalk.utils import text


@pytest.fixture
def fonts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder, the only one in which fonts are looked for."""

    def forget() -> None:
        text._installed_fonts.cache_clear()
        text._file_for.cache_clear()

    monkeypatch.setattr(text, "_FONT_FOLDERS", (str(tmp_path), str(tmp_path / "nowhere")))
    forget()
    yield tmp_path
    forget()


def test_letters_that_no_font_has_are_told(fonts: Path) -> None:
    assert text.unwritable("abc 字幕 字") == "字幕"
    assert text.unwritable("abc äß Ω Ж שלום مرحبا") == ""


def test_installed_fonts_are_used_where_others_lack_letters(fonts: Path) -> None:
    assert text.unwritable("x の") == "の"
    text._installed_fonts.cache_clear()
    text._file_for.cache_clear()
    (fonts / "a.ttf").write_bytes(b"no font")
    shutil.copy(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "STIXGeneral.ttf", fonts / "b.ttf")
    assert text.unwritable("x の") == ""
    assert text.font_for("x の", 20).getlength("の") > 0


def test_nothing_to_see_is_blank() -> None:
    assert text.is_blank(" \u200b")
    assert not text.is_blank("a")
