"""The film that MuseTalk speaks in, and settings for small checkpoints."""

from __future__ import annotations

from pathlib import Path

from musetalk.settings import RenderSettings

FACE = range(8, 24)  # frames of the film that show the portrait; the others show none
FILM = 32


def settings(models: Path, **values: object) -> RenderSettings:
    """MuseTalk 1.5 with the weights there, faces by the detector that needs none; and whatever else is asked for.

    What is painted is not matched to the source: pieces of two backends differ in length, and so in what is matched.
    """
    unmatched = {"colour": "none", "sharpness": "none"}
    base = {"backend": "musetalk-v15", "models_dir": models, "detector": {"name": "haar"}, "blend": unmatched}
    return RenderSettings.parse({**base, **values})
