"""The form as a table: which settings it has, in which folds, and what the page calls them.

Which of them show is decided by the style sheet, which sees all choices at once: nothing waits for the server, and what
is hidden keeps what was set. What it hides, `settings_form.read` leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass

from musetalk.backends.spec import OWN, own_group
from musetalk.webui.form.widgets import (
    FIELDS,
    Choose,
    ChooseDetector,
    ChooseOrNot,
    Count,
    Made,
    Pick,
    PickSteps,
    SettingWidget,
    Slide,
    Tick,
    Write,
)


@dataclass(frozen=True, slots=True)
class Section:
    """A fold of the form.

    Attributes:
        label: What the page calls it.
        widgets: What is in it.
        shown: The style sheet's word for when it is of use; empty: always.
    """

    label: str
    widgets: tuple[SettingWidget, ...]
    shown: str = ""


SHIFT = Slide(
    "bbox_shift",
    "Mouth opening (bbox_shift)",
    "Moves where the mouth is painted, in pixels of the source: more opens it wider.",
    shown="when-shift",
    step=1,
    within=(-20, 20),
)
_CHEEK = "How far {} of the middle the mask keeps its full width, in 512ths of the square."
MASK = Section(
    "Mask",
    (
        Choose(
            "mask.shape",
            "Shape",
            "What of the face is replaced; jaw, raw, neck and mouth follow its outline, which needs a download.",
            shown="mask-shape",
            choices={
                "auto": "As published",
                "ellipse": "Ellipse",
                "box": "Box",
                "jaw": "Jaw",
                "raw": "Raw",
                "neck": "Neck",
                "mouth": "Mouth",
            },
        ),
        Slide(
            "mask.feather",
            "Soft edge of ellipse and box",
            "How wide the new mouth fades into the old face, as a share of the face's width.",
            shown="when-drawn",
        ),
        Slide(
            "mask.ellipse_padding_factor",
            "Padding (ellipse_padding_factor)",
            "Makes the mask smaller on every side, by this share of its size; below 0 larger.",
            shown="when-drawn",
        ),
        Slide("mask.left_cheek_width", "Left cheek width", _CHEEK.format("left"), shown="when-jaw", step=1),
        Slide("mask.right_cheek_width", "Right cheek width", _CHEEK.format("right"), shown="when-jaw", step=1),
        Slide(
            "mask.blur_kernel_ratio",
            "Soft edge of jaw, raw, neck and mouth",
            "How wide the new mouth fades into the old face, as a share of the square.",
            shown="when-parsed",
        ),
        Slide(
            "mask.expand_factor",
            "Blended square (expand_factor)",
            "How large the square around the face is in which anything may change, in sides of the crop.",
            shown="when-parsed",
            step=0.1,
        ),
        Slide(
            "mask.upper_boundary_ratio",
            "Kept above (upper_boundary_ratio)",
            "How much of the square, from its top, stays as in the source.",
            shown="when-parsed",
        ),
        Slide(
            "mask.smoothing_seconds",
            "Steadied over time",
            "Over how many seconds the mask's edge is evened out, so that it does not flicker.",
            shown="when-parsed",
        ),
        Slide(
            "mask.mouth_vertical_offset",
            "Moved down (mouth_vertical_offset)",
            "Moves the mask down by this share of the face's height; below 0 up.",
        ),
        Slide(
            "mask.mouth_scale_factor",
            "Scale (mouth_scale_factor)",
            "Makes the whole mask larger or smaller around its middle.",
            step=0.05,
        ),
        ChooseOrNot(
            "mask.occlusion",
            "Keep hair, hands and glasses in front",
            "Leaves alone what covers the mouth; auto does so where outlines are known, always needs a download.",
            choices={None: "Auto", True: "Always", False: "Never"},
        ),
    ),
)
BLENDING = Section(
    "Blending",
    (
        Choose(
            "look",
            "Look",
            "Theirs leaves out what this program adds, to compare with their demos; other settings stay.",
            choices={"ours": "Ours", "published": "The published programs'"},
        ),
        Choose(
            "blend.method",
            "Method",
            "How the new mouth is laid in; Poisson fits its light to the skin around it, and takes longer.",
            choices={"alpha": "Alpha", "poisson": "Poisson"},
        ),
        Tick(
            "blend.color",
            "Match the colour",
            "Gives the new mouth the colours of the skin around it.",
            on="match",
            off="none",
        ),
        Tick(
            "blend.sharpness",
            "Match the sharpness",
            "Makes the new mouth as sharp and as grainy as the rest of the picture.",
            on="match",
            off="none",
        ),
    ),
)
ENHANCEMENT = Section(
    "Enhancement",
    (
        Slide(
            "enhance.strength",
            "Strength",
            "How much of the enhanced face is taken: 0 nothing, 1 all of it.",
            shown="when-enhanced",
        ),
        Choose(
            "enhance.region",
            "Region",
            "How much of the face may change.",
            shown="when-enhanced",
            choices={"mouth": "Mouth: what was painted", "face": "Whole face"},
        ),
        Choose(
            "enhance.upscale",
            "Side of the enhanced face",
            "How large the face is enhanced: more is sharper on large faces, and slower.",
            shown="when-enhanced",
            choices={1: "256 pixels", 2: "512 pixels", 4: "1024 pixels"},
        ),
        Slide(
            "enhance.steadiness",
            "Steadiness",
            "How much of the flicker that enhancing brings is taken out again.",
            shown="when-enhanced",
        ),
    ),
)
MUSETALK = Section(
    "MuseTalk's crop",
    (
        Slide(
            "extra_margin",
            "Extra margin",
            "How many pixels under the chin the network sees as well: more for chins that are cut off.",
            step=1,
            within=(0, 40),
        ),
    ),
    "when-margin",
)
LATENTSYNC = Section(
    "LatentSync",
    (
        Choose(
            "latentsync.preset",
            "Preset",
            "Fast takes less than half the time, and is a little less exact.",
            choices={"published": "Published: DDIM, 20 steps", "fast": "Fast: DPM++, 8 steps"},
        ),
        Count(
            "latentsync.steps",
            "Steps",
            "How often each picture is refined, which takes as many times as long; 0 takes the preset's.",
        ),
        Slide(
            "latentsync.guidance",
            "Guidance",
            "How strongly the mouth follows the voice; 1 takes half the time.",
            step=0.1,
        ),
        Slide(
            "latentsync.overlap",
            "Overlap",
            "How many of each 16 pictures are shared with the ones before, so that no jump shows between them.",
            step=1,
        ),
        Choose(
            "latentsync.framing",
            "Framing",
            "How faces are cut out: upright suits tilted heads, MuseTalk's follows the mouth opening above.",
            shown="framing",
            choices={"aligned": "Aligned: turned upright, as it was trained", "musetalk": "MuseTalk's crops"},
        ),
        Choose(
            "latentsync.fallback",
            "Who paints what LatentSync cannot",
            "What happens where LatentSync finds no way to paint a face.",
            choices={"musetalk": "MuseTalk, if its weights are there", "error": "Nobody: end with an error"},
        ),
    ),
    "when-latentsync",
)
NETWORK = Section(
    "Network",
    (
        Choose(
            "network.decoder",
            "Decoder",
            "What turns the network's result into pixels; tiny needs a download of its own.",
            choices={"sd": "Exact", "tiny": "Tiny (TAESD): far quicker, softer"},
        ),
        Choose(
            "network.dtype",
            "Precision",
            "How exactly the network calculates; auto takes what suits this machine.",
            choices={"auto": "Auto", "fp32": "fp32", "fp16": "fp16", "bf16": "bf16", "int8": "int8 (CPU)"},
        ),
        Count(
            "network.batch_size",
            "Batch size",
            "How many pictures are painted at once; 0 takes as many as help and fit into memory.",
        ),
        Write(
            "network.seed",
            "Seed",
            "Another number gives a slightly different result; empty always gives the same one.",
            placeholder="a whole number, or empty",
        ),
    ),
    "when-network",
)
FACES = Section(
    "Faces",
    (
        ChooseDetector(
            "detector.name",
            "Face detector",
            "What looks for faces: try another where none is found; S3FD and YuNet need a download.",
        ),
    ),
)
PAUSES = Section(
    "Pauses",
    (
        Choose(
            "silence.mode",
            "While the voice pauses",
            "What the mouth does meanwhile; at rest it closes, then the source's own is shown.",
            shown="silence",
            choices={"generate": "As painted", "keep": "Keep the source's mouth", "rest": "Come to rest"},
        ),
        Slide(
            "silence.min_pause_seconds",
            "Shortest pause",
            "How many seconds of silence count as a pause; in shorter ones the mouth goes on.",
            shown="when-resting",
            step=0.1,
        ),
        Slide(
            "silence.fade_seconds",
            "Cross-fade",
            "How many seconds one mouth takes to become the other.",
            shown="when-resting",
        ),
    ),
)
LENGTH = Section(
    "Length",
    (
        Choose(
            "length",
            "Where the voice is longer than the video",
            "How the picture goes on when the video is over and the voice is not.",
            choices={"pingpong": "Back and forth", "loop": "Start over", "hold": "Hold the last frame"},
        ),
        Choose(
            "tail",
            "Where it is shorter",
            "Whether the result ends with the voice or shows the rest of the video.",
            choices={"cut": "End with the voice", "keep": "Let the video go on"},
        ),
        Pick(
            "fps",
            "Frame rate",
            "Pictures a second in the result; one that is not listed can be typed, like 29.97.",
            choices={"": "As the source; of pictures 25", **{rate: rate for rate in ("24", "25", "30", "50", "60")}},
            free=True,
        ),
        Count(
            "voice_track",
            "Sound track of the voice",
            "Which one is heard where the voice's file has several, from 1; 0 takes its default one.",
        ),
    ),
)
OUTPUT = Section(
    "Output",
    (
        Slide(
            "encoder.crf",
            "Compression (CRF)",
            "How much the result is squeezed: lower looks better and makes a larger file.",
            step=1,
            within=(10, 35),
        ),
        Pick(
            "encoder.preset",
            "Encoder's speed",
            "How long is spent on squeezing: slower makes smaller files.",
            choices={speed: speed for speed in ("ultrafast", "veryfast", "fast", "medium", "slow")},
        ),
        PickSteps(
            "frame_steps",
            "Finishing",
            "What is done to each finished picture, in this order; options are typed, as in label:text=Made by AI.",
        ),
        Choose(
            "alpha_background",
            "Behind transparent parts of the source",
            "The colour that shows where a picture has none.",
            choices={"white": "White", "black": "Black"},
        ),
        Choose(
            "deinterlace",
            "Deinterlace",
            "Mends moving edges that look like combs, as in recordings of television and older cameras.",
            choices={"auto": "What looks interlaced", "on": "Everything", "off": "Nothing"},
        ),
    ),
)


def _own_sections() -> tuple[Section, ...]:
    """Return a fold for each backend of another package that brings settings of its own, those for visitors."""
    own: dict[str, list[SettingWidget]] = {}
    for name, field in FIELDS.items():
        if name.startswith(f"{OWN}.") and not field.server_only:
            label = name.rpartition(".")[2].replace("_", " ")
            info = f"{field.text[:1].upper()}{field.text[1:]}."
            own.setdefault(field.panel, []).append(Made(name, f"{label[:1].upper()}{label[1:]}", info))
    return tuple(Section(key, tuple(widgets), f"when-{own_group(key)}") for key, widgets in own.items())


OWN_SECTIONS = _own_sections()
# Which fold shows is the style sheet's to say; it cannot know those of other packages, so their part of it is made.
OWN_STYLE = "\n".join(
    f'.dub:not(:has(.mt-picker input[data-groups~="{each.shown.removeprefix("when-")}"]:checked)) .{each.shown} '
    "{ display: none !important; }"
    for each in OWN_SECTIONS
)
SECTIONS = (MASK, BLENDING, ENHANCEMENT, MUSETALK, LATENTSYNC, *OWN_SECTIONS, NETWORK, FACES, PAUSES, LENGTH, OUTPUT)
WIDGETS: dict[str, SettingWidget] = {
    widget.name: widget for widget in (SHIFT, *(widget for section in SECTIONS for widget in section.widgets))
}
