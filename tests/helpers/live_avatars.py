"""Small avatars that speak live, told apart by their brightness."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from musetalk.avatars.store import AvatarStore
from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.registry import BackendRegistry
from musetalk.lipsync import LipSync
from musetalk.settings import RenderSettings
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.media import write_video

SIDE, FRAMES = 64, 20
LEVELS = {"anna": 80, "ben": 180}


def live_avatars(folder: Path) -> tuple[LipSync, AvatarStore]:
    """An engine, and a store with one avatar for each of `LEVELS`."""
    engine = LipSync(BackendRegistry((PREVIEW,)), EverywhereAFace())
    for name, level in LEVELS.items():
        picture = np.random.default_rng(level).integers(level - 20, level + 20, (SIDE, SIDE, 3), np.uint8)
        film = write_video(folder / f"{name}.mp4", np.stack([picture] * FRAMES), 25)
        engine.create_avatar(film, folder / "store" / name, RenderSettings.parse({"backend": "preview"}), name=name)
    return engine, AvatarStore(folder / "store")
