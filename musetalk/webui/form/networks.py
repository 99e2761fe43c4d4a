"""The folds of settings that only networks have: MuseTalk's, LatentSync's, and what both share.

Which of them show is decided by the style sheet; what it hides, `form.read` leaves out.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from musetalk.settings import RenderSettings

_MOST_AT_ONCE = 32
_MOST_STEPS, _MOST_SHARED = 100, 12


def build_networks(default: RenderSettings) -> dict[str, Any]:
    """Build all of them where this is called; by the names of `SettingsForm`."""
    return {**_musetalk(default), **_latentsync(default), **_network(default)}


def _musetalk(default: RenderSettings) -> dict[str, Any]:
    with gr.Accordion("MuseTalk's crop", open=False, elem_classes="when-margin"):
        extra_margin = gr.Slider(
            0,
            40,
            value=default.extra_margin,
            step=1,
            label="Extra margin",
            info="How many pixels under the chin the network sees as well: more for chins that are cut off.",
        )
    return {"extra_margin": extra_margin}


def _latentsync(default: RenderSettings) -> dict[str, Any]:
    own = default.latentsync
    with gr.Accordion("LatentSync", open=False, elem_classes="when-latentsync"):
        sampler = gr.Radio(
            [("Published: DDIM, 20 steps", "published"), ("Fast: DPM++, 8 steps", "fast")],
            value=own.preset,
            label="Preset",
            info="Fast takes less than half the time, and is a little less exact.",
        )
        steps = gr.Number(
            value=own.steps or 0,
            precision=0,
            minimum=0,
            maximum=_MOST_STEPS,
            label="Steps",
            info="How often each picture is refined, which takes as many times as long; 0 takes the preset's.",
        )
        guidance = gr.Slider(
            1,
            5,
            value=own.guidance,
            step=0.1,
            label="Guidance",
            info="How strongly the mouth follows the voice; 1 takes half the time.",
        )
        overlap = gr.Slider(
            0,
            _MOST_SHARED,
            value=own.overlap,
            step=1,
            label="Overlap",
            info="How many of each 16 pictures are shared with the ones before, so that no jump shows between them.",
        )
        framing = gr.Radio(
            [("Aligned: turned upright, as it was trained", "aligned"), ("MuseTalk's crops", "musetalk")],
            value=own.framing,
            label="Framing",
            info="How faces are cut out: upright suits tilted heads, MuseTalk's follows the mouth opening above.",
            elem_classes="framing",
        )
        fallback = gr.Radio(
            [("MuseTalk, if its weights are there", "musetalk"), ("Nobody: end with an error", "error")],
            value=own.fallback,
            label="Who paints what LatentSync cannot",
            info="What happens where LatentSync finds no way to paint a face.",
        )
    return {
        "sampler": sampler,
        "steps": steps,
        "guidance": guidance,
        "overlap": overlap,
        "framing": framing,
        "fallback": fallback,
    }


def _network(default: RenderSettings) -> dict[str, Any]:
    network = default.network
    with gr.Accordion("Network", open=False, elem_classes="when-network"):
        decoder = gr.Radio(
            [("Exact", "sd"), ("Tiny (TAESD): far quicker, softer", "tiny")],
            value=network.decoder,
            label="Decoder",
            info="What turns the network's result into pixels; tiny needs a download of its own.",
        )
        dtype = gr.Radio(
            [("Auto", "auto"), ("fp32", "fp32"), ("fp16", "fp16"), ("bf16", "bf16")],
            value=network.dtype,
            label="Precision",
            info="How exactly the network calculates; auto takes what suits this machine.",
        )
        batch_size = gr.Number(
            value=network.batch_size or 0,
            precision=0,
            minimum=0,
            maximum=_MOST_AT_ONCE,
            label="Batch size",
            info="How many pictures are painted at once; 0 takes as many as help and fit into memory.",
        )
        seed = gr.Textbox(
            value="" if network.seed is None else str(network.seed),
            label="Seed",
            placeholder="a whole number, or empty",
            info="Another number gives a slightly different result; empty always gives the same one.",
        )
    return {"decoder": decoder, "dtype": dtype, "batch_size": batch_size, "seed": seed}
