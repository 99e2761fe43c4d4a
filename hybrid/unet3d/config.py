"""What LatentSync's network is made of, and how a checkpoint's tensors tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Literal, TypeAlias

Motion: TypeAlias = Literal["none", "decoder", "all"]
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

IN_CHANNELS = 13  # noise 4, mask 1, masked image 4, reference 4, in this order
OUT_CHANNELS = 4
AUDIO_STEPS, AUDIO_CHANNELS = 50, 384  # ten encoder steps of Whisper-tiny's five hidden states


@dataclass(frozen=True, slots=True)
class UNet3DConfig:
    """The sizes of a network. The defaults are those of every published one, save for its motion modules.

    Attributes:
        channels: Of each level, from the full resolution down; each next level has half of it.
        layers: Residual blocks of a level on the way down; on the way up there is one more.
        heads: Of attention, at every level. LatentSync's own configuration calls it `attention_head_dim`.
        groups: Of the group norms in residual blocks and transformers; the motion modules always have 32.
        motion: Where motion modules are: "all" levels (stage 2, LatentSync 1.5 and 1.6), on the way up alone
            ("decoder", stage2_efficient), or nowhere ("none", stage 1).
        positions: Most frames in a clip, which is how many the motion modules have positions for.
    """

    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2
    heads: int = 8
    groups: int = 32
    motion: Motion = "all"
    positions: int = 24


def config_of(shapes: Shapes) -> UNet3DConfig:
    """Tell a network's sizes from the names and the shapes of its tensors.

    Heads and groups leave no trace in them: they are taken as published. What makes no sense is taken as published,
    too, so that the tensors that are wrong can be named one by one when they are loaded. The networks for 256 and for
    512 pixels have the same sizes.

    Args:
        shapes: Name to shape.
    """
    published = UNet3DConfig()
    widths = takewhile(bool, (_width(shapes, f"down_blocks.{level}.resnets.0.norm2.weight") for level in count()))
    channels = tuple(widths)
    layers = sum(1 for _ in takewhile(bool, (_width(shapes, _layer(index)) for index in count())))
    fits = all(width % published.groups == 0 and width % published.heads == 0 for width in channels)
    known = len(channels) > 1 and layers > 0 and fits
    return UNet3DConfig(
        channels if known else published.channels,
        layers if known else published.layers,
        motion=_motion(shapes),
        positions=_positions(shapes) or published.positions,
    )


def _layer(index: int) -> str:
    return f"down_blocks.0.resnets.{index}.norm2.weight"


def _width(shapes: Shapes, name: str) -> int:
    """Return the first size of a tensor; 0 where there is no such tensor."""
    shape = shapes.get(name, ())
    return shape[0] if shape else 0


def _motion(shapes: Shapes) -> Motion:
    moving = [name for name in shapes if ".motion_modules." in name]
    if any(name.startswith("down_blocks.") for name in moving):
        return "all"
    return "decoder" if moving else "none"


def _positions(shapes: Shapes) -> int:
    tables = (shape for name, shape in shapes.items() if name.endswith(".pos_encoder.pe"))
    return next((shape[1] for shape in tables if len(shape) == 3), 0)
