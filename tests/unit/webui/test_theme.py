"""The page's looks: nothing fetched, and only what gradio keeps."""

from __future__ import annotations

from musetalk.webui.theme import STYLE, theme


def test_theme_fetches_no_fonts() -> None:
    chosen = theme()
    assert chosen._stylesheets == []
    assert chosen._font_css == []
    assert "gradient" not in STYLE.read_text(encoding="utf-8")
    assert "url(" not in STYLE.read_text(encoding="utf-8")


def test_style_uses_only_what_gradio_keeps() -> None:
    style = STYLE.read_text(encoding="utf-8")
    rules = style.split("*/", 1)[1]
    assert not [rule for rule in ("@container", "@supports", "@layer", "@import") if rule in rules]
    assert rules.count("{") == rules.count("}")
