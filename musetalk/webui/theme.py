"""The colors, sizes and fonts of the page, in Gradio's terms; what Gradio has no term for is in style.css."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes import sizes
from gradio.themes.utils.colors import Color

STYLE = Path(__file__).with_name("style.css")

# Fonts of the machine itself: nothing is fetched.
_TEXT = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
_CODE = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

_ACCENT = Color(
    name="accent",
    c50="#eff4fb",
    c100="#dee9f6",
    c200="#c0d5ee",
    c300="#94b8e2",
    c400="#7fb0ea",
    c500="#3d77c2",
    c600="#2a5fa5",
    c700="#224e89",
    c800="#1c3f6e",
    c900="#182f50",
    c950="#121f33",
)
_NEUTRAL = Color(
    name="neutral",
    c50="#f6f6f7",
    c100="#eeeff1",
    c200="#e2e3e7",
    c300="#cfd1d7",
    c400="#878c97",
    c500="#5c616b",
    c600="#4a4e57",
    c700="#2c2f36",
    c800="#1e2126",
    c900="#16181c",
    c950="#0f1113",
)
_SETTINGS = {
    # surfaces
    "body_background_fill": "*neutral_50",
    "body_background_fill_dark": "*neutral_950",
    "background_fill_secondary": "*neutral_50",
    "background_fill_primary_dark": "*neutral_900",
    "background_fill_secondary_dark": "*neutral_950",
    "block_background_fill": "white",
    "block_background_fill_dark": "*neutral_900",
    "border_color_primary": "*neutral_200",
    "border_color_primary_dark": "*neutral_700",
    "block_shadow": "none",
    "layout_gap": "12px",
    "block_padding": "12px 14px",
    "block_radius": "*radius_md",
    "container_radius": "*radius_md",
    "form_gap_width": "1px",
    # text
    "body_text_color": "#1b1d22",
    "body_text_color_dark": "#e6e7ea",
    "body_text_color_subdued": "*neutral_500",
    "body_text_color_subdued_dark": "#a0a5af",
    "block_label_text_color": "*neutral_500",
    "block_label_text_color_dark": "#a0a5af",
    "block_title_text_color": "*body_text_color",
    "block_title_text_color_dark": "*body_text_color",
    "block_title_text_weight": "500",
    "block_title_text_size": "13px",
    "block_info_text_size": "12px",
    "block_label_background_fill_dark": "*neutral_900",
    "link_text_color": "*primary_600",
    "link_text_color_dark": "*primary_400",
    "link_text_color_visited": "*primary_600",
    "link_text_color_visited_dark": "*primary_400",
    # the one accent
    "color_accent": "*primary_600",
    "color_accent_soft": "*primary_50",
    "color_accent_soft_dark": "*primary_950",
    "border_color_accent": "*primary_300",
    "border_color_accent_dark": "*primary_800",
    "slider_color": "*primary_600",
    "slider_color_dark": "*primary_500",
    "loader_color": "*primary_600",
    "loader_color_dark": "*primary_400",
    "stat_background_fill": "*primary_600",
    "stat_background_fill_dark": "*primary_600",
    # inputs: edges at 3:1 against what surrounds them
    "input_background_fill": "white",
    "input_background_fill_dark": "*neutral_950",
    "input_border_color": "*neutral_400",
    "input_border_color_dark": "#6b717c",
    "input_border_color_focus": "*primary_600",
    "input_border_color_focus_dark": "*primary_400",
    "input_border_width": "1px",
    "input_placeholder_color": "#6b707b",
    "input_placeholder_color_dark": "#9095a0",
    "input_shadow": "none",
    "input_shadow_focus": "0 0 0 1px *primary_600",
    "input_shadow_focus_dark": "0 0 0 1px *primary_400",
    "checkbox_border_color": "*neutral_400",
    "checkbox_border_color_dark": "#6b717c",
    "checkbox_background_color": "white",
    "checkbox_background_color_dark": "*neutral_950",
    "checkbox_background_color_selected_dark": "*primary_500",
    "checkbox_border_color_selected_dark": "*primary_500",
    "checkbox_label_background_fill": "white",
    "checkbox_label_background_fill_dark": "*neutral_900",
    "checkbox_label_background_fill_hover": "*neutral_100",
    "checkbox_label_background_fill_hover_dark": "*neutral_800",
    "checkbox_label_background_fill_selected": "*primary_50",
    "checkbox_label_background_fill_selected_dark": "*primary_950",
    "checkbox_label_border_color_selected": "*primary_600",
    "checkbox_label_border_color_selected_dark": "*primary_400",
    "checkbox_label_border_width": "1px",
    "checkbox_label_padding": "5px 10px",
    "checkbox_label_text_size": "13px",
    # buttons
    "button_border_width": "1px",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_dark": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_hover_dark": "*primary_500",
    "button_primary_border_color": "*primary_600",
    "button_primary_border_color_dark": "*primary_600",
    "button_primary_border_color_hover": "*primary_700",
    "button_primary_border_color_hover_dark": "*primary_500",
    "button_secondary_background_fill": "white",
    "button_secondary_background_fill_dark": "*neutral_800",
    "button_secondary_background_fill_hover": "*neutral_100",
    "button_secondary_background_fill_hover_dark": "*neutral_700",
    "button_secondary_border_color": "*neutral_300",
    "button_secondary_border_color_dark": "#3d414a",
    "button_secondary_border_color_hover": "*neutral_400",
    "button_secondary_border_color_hover_dark": "*neutral_500",
    "button_secondary_text_color": "*body_text_color",
    "button_secondary_text_color_dark": "*body_text_color",
    "button_cancel_background_fill": "white",
    "button_cancel_background_fill_dark": "*neutral_800",
    "button_cancel_background_fill_hover": "#fdf1f0",
    "button_cancel_background_fill_hover_dark": "#3a1f1e",
    "button_cancel_border_color": "*neutral_300",
    "button_cancel_border_color_dark": "#3d414a",
    "button_cancel_border_color_hover": "#a3302a",
    "button_cancel_border_color_hover_dark": "#f0938d",
    "button_cancel_text_color": "#a3302a",
    "button_cancel_text_color_dark": "#f0938d",
    "button_cancel_text_color_hover": "#a3302a",
    "button_cancel_text_color_hover_dark": "#f0938d",
    "button_large_text_size": "14px",
    "button_large_text_weight": "500",
    "button_large_padding": "8px 14px",
    "button_medium_text_weight": "500",
    "button_transition": "background-color 0.12s ease, border-color 0.12s ease",
    # errors
    "error_text_color": "#a3302a",
    "error_text_color_dark": "#f0938d",
    "table_border_color": "*neutral_200",
    "table_border_color_dark": "*neutral_700",
}


def theme() -> gr.themes.Base:
    """Return one calm theme for both schemes; goes to `launch(theme=...)` together with `css_paths=STYLE`."""
    base = gr.themes.Base(
        primary_hue=_ACCENT,
        secondary_hue=_ACCENT,
        neutral_hue=_NEUTRAL,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_md,
        text_size=sizes.text_md,
        font=_TEXT,
        font_mono=_CODE,
    )
    base.name = "musetalk"
    return base.set(**_SETTINGS)
