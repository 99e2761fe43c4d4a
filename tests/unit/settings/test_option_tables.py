"""The tables of options in the documents are those of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.make_option_tables import DOCUMENTS, option_table, with_tables
from musetalk.settings import RenderSettings, setting_fields
from tests.unit.settings.test_fields import OneMore

FIELDS = setting_fields(RenderSettings)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_they_are_up_to_date(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert text.count("<!-- settings: ") == text.count("<!-- end of settings -->") > 0
    assert with_tables(text) == text, "run: python -m docs.make_option_tables"


def test_every_setting_is_in_the_documents() -> None:
    text = DOCUMENTS[1].read_text(encoding="utf-8")
    assert all(f"| `{field.name}` |" in text for field in FIELDS)


def test_a_new_setting_comes_into_the_tables() -> None:
    document = "before\n<!-- settings: mask -->\nold\n<!-- end of settings -->\nafter\n"
    made = with_tables(document, setting_fields(OneMore))
    assert made.startswith("before\n<!-- settings: mask -->\n| option | setting |")
    assert made.endswith("|\n<!-- end of settings -->\nafter\n")
    assert "old" not in made
    assert "| `--mask-glow` | `mask.glow` | how much the mouth glows | 0 to 12.5 lumens; default: 0.25 |\n" in made
    assert "| `--halo` | `mask.halo` | what surrounds it | `none`, `ring`; default: `none` |\n" in made


def test_the_apps_options_have_a_table() -> None:
    made = with_tables("<!-- options of the app -->\nold\n<!-- end of options -->\n")
    assert "| `--owner`, `--no-owner` | Whether" in made
    assert "| `--keep-hours` | How long, in hours, after they ended. Default: 24.0. |" in made
    assert "old" not in made


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match='"masks"'):
        with_tables("<!-- settings: masks -->\n<!-- end of settings -->")


def test_switches_that_are_neither_on_nor_off_show_both_options() -> None:
    [field] = [each for each in FIELDS if each.name == "mask.occlusion"]
    assert "`--occlusion`, `--no-occlusion`" in option_table([field])
