"""Avatars as MuseTalk's own preparation leaves them, from what was observed of it (`golden/avatar_cache.json`)."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from tests.golden.read import GOLDEN

OBSERVED: dict[str, Any] = json.loads((GOLDEN / "avatar_cache.json").read_text(encoding="utf-8"))["observed"]
NUMPY = {"int": int, "int32": np.int32}  # what MuseTalk's boxes are made of


def picture(number: int) -> np.ndarray[Any, Any]:
    """uint8 [80, 96, 3]: grey noise that tells frames apart."""
    return np.random.default_rng(number).integers(0, 255, (80, 96, 3), np.uint8)


def latents_of(number: int) -> torch.Tensor:
    """float16 [1, 8, 32, 32] that tell frames apart."""
    return torch.full((1, 8, 32, 32), 0.25 * number, dtype=torch.float16)


def write_observed(folder: Path, version: str, *, back: bool = True) -> Path:
    """Write the avatar that MuseTalk was observed to make of a clip of five frames, by the calls that it makes."""
    seen = OBSERVED[version]
    count = len(seen["latents"]["order"]) if back else seen["source_frames"]
    for part in ("full_imgs", "mask", "vid_output"):
        (folder / part).mkdir(parents=True)
    row = list if version == "v15" else tuple
    boxes = [
        row(NUMPY[kind](value) for kind, value in zip(("int32", "int", "int32", "int32"), box, strict=True))
        for box in seen["coords"]["values"][:count]
    ]
    squares = [[np.int32(value) for value in square] for square in seen["mask_coords"]["values"][:count]]
    for number in range(count):
        source = seen["latents"]["order"][number]
        cv2.imwrite(str(folder / "full_imgs" / f"{number:08d}.png"), picture(source))
        x0, y0, x1, y1 = (int(value) for value in squares[number])
        mask = np.random.default_rng(source + 50).integers(0, 255, (y1 - y0, x1 - x0), np.uint8)
        cv2.imwrite(str(folder / "mask" / f"{number:08d}.png"), mask)
    (folder / "coords.pkl").write_bytes(pickle.dumps(boxes))
    (folder / "mask_coords.pkl").write_bytes(pickle.dumps(squares))
    torch.save([latents_of(number) for number in seen["latents"]["order"][:count]], folder / "latents.pt")
    (folder / "avator_info.json").write_text(json.dumps(seen["avator_info"]), encoding="utf-8")
    return folder
