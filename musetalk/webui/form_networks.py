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
            info="Pixels of the source under the chin that the network sees, too",
        )
    return {"extra_margin": extra_margin}


def _latentsync(default: RenderSettings) -> dict[str, Any]:
    own = default.latentsync
    with gr.Accordion("LatentSync", open=False, elem_classes="when-latentsync"):
        sampler = gr.Radio(
            [("Published: DDIM, 20 steps", "published"), ("Fast: DPM++, 8 steps", "fast")],
            value=own.preset,
            label="Preset",
        )
        steps = gr.Number(
            value=own.steps or 0,
            precision=0,
            minimum=0,
            maximum=_MOST_STEPS,
            label="Steps",
            info="0: the preset's; the time grows with them",
        )
        guidance = gr.Slider(
            1,
            5,
            value=own.guidance,
            step=0.1,
            label="Guidance",
            info="How much further than the voice says; 1 takes half the time",
        )
        overlap = gr.Slider(
            0,
            _MOST_SHARED,
            value=own.overlap,
            step=1,
            label="Overlap",
            info="Frames that clips of 16 share with the one before, so that no jump shows between them",
        )
        framing = gr.Radio(
            [("Aligned: turned upright, as it was trained", "aligned"), ("MuseTalk's crops", "musetalk")],
            value=own.framing,
            label="Framing",
            info="bbox_shift moves MuseTalk's crops alone",
            elem_classes="framing",
        )
        fallback = gr.Radio(
            [("MuseTalk, if its weights are there", "musetalk"), ("Nobody: end with an error", "error")],
            value=own.fallback,
            label="Who paints what LatentSync cannot",
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
            [("Exact", "sd"), ("Tiny (TAESD): far quicker, softer", "tiny")], value=network.decoder, label="Decoder"
        )
        dtype = gr.Radio(
            [("Auto", "auto"), ("fp32", "fp32"), ("fp16", "fp16"), ("bf16", "bf16")],
            value=network.dtype,
            label="Precision",
            info="Auto: fp16 on a GPU, fp32 on the CPU",
        )
        batch_size = gr.Number(
            value=network.batch_size or 0,
            precision=0,
            minimum=0,
            maximum=_MOST_AT_ONCE,
            label="Batch size",
            info="Frames at once; 0: as many as help and fit",
        )
        seed = gr.Textbox(
            value="" if network.seed is None else str(network.seed),
            label="Seed",
            placeholder="a whole number, or empty",
            info="Empty: MuseTalk draws no noise, and LatentSync always the same",
        )
    return {"decoder": decoder, "dtype": dtype, "batch_size": batch_size, "seed": seed}
