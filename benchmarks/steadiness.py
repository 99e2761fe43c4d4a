"""What masks and an enhancer add to a face's change from frame to frame, where the generator changes nothing.

python -m benchmarks.steadiness [VIDEO]...
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common import ASSETS, publish, table
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.backends.types import Clip, GeneratorSpec
from musetalk.lipsync import LipSync
from musetalk.pipeline.prepare import RenderPlan
from musetalk.pipeline.render import OutputFrame, output_frames
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings
from musetalk.utils.arrays import UInt8Array

FRAMES = 30
STEADINESS = (0.0, 0.7, 1.0)
SHARPEN, FLICKER = 0.7, 2.0  # amount of an unsharp mask; standard deviation of noise, in levels
KINDS = {"no enhancer": (0.0, 0.0), "sharpens": (SHARPEN, 0.0), "flickers": (0.0, FLICKER), "both": (SHARPEN, FLICKER)}


class Copier:
    """A generator that gives back what it is given."""

    crop_size, clip_length, device, spec = None, 4, "cpu", GeneratorSpec()

    def generate(self, clip: Clip) -> UInt8Array:
        """The same crops."""
        return clip.crops


@dataclass(frozen=True)
class StandIn:
    """An enhancer that sharpens, and flickers like one that sees each frame alone.

    Attributes:
        sharpen: Amount of an unsharp mask.
        flicker: Standard deviation of what changes from frame to frame, in levels: half fine, half coarse.
    """

    sharpen: float
    flicker: float
    name: str = "a stand-in"
    size: int = 512
    device: str = "cpu"
    dice: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    def enhance(self, faces: UInt8Array, check: Callable[[], None] = lambda: None) -> UInt8Array:
        """See `FaceEnhancer`."""
        check()
        return np.stack([self._enhanced(face.astype(np.float32)) for face in faces])

    def _enhanced(self, face: np.ndarray) -> UInt8Array:
        better = face + self.sharpen * (face - cv2.GaussianBlur(face, (0, 0), 2))
        if self.flicker:
            side = self.size
            coarse = cv2.resize(self.dice.normal(0, 1, (side // 32, side // 32)), (side, side))
            noise = self.dice.normal(0, 1, (side, side)) + coarse / coarse.std()
            better = better + (self.flicker / np.sqrt(2) * noise)[..., None]
        return np.asarray(np.clip(np.rint(better), 0, 255), np.uint8)


def main() -> None:
    """Measure and publish."""
    clips = [Path(name) for name in sys.argv[1:]] or [ASSETS / "sample.mp4"]
    rows = [row for clip in clips for row in measure(clip)]
    text = f"""# Steadiness

Change of the painted region from frame to frame (mean absolute difference of consecutive frames), relative to the
source's own, over at most {FRAMES} frames. The generator gives back its crops, so that all there is comes from mask,
matching and enhancer. The enhancers are stand-ins: an unsharp mask of {SHARPEN}, noise of {FLICKER:g} levels that is
new in every frame, and both; at a strength of 0.8, over the mouth's region. Clips that hardly move show most of it.

{table(("clip", "enhancer", "own change, levels", "undamped", "steadiness 0.7", "steadiness 1"), rows)}
"""
    publish("steadiness.md", text)


def measure(clip: Path) -> Iterator[tuple[str, ...]]:
    """A row for each kind of enhancer."""
    registry = BackendRegistry((BackendSpec("copier", "gives crops back", lambda _: Copier()),))
    settings = RenderSettings.parse({"backend": "copier", "detector": {"name": "haar"}, "measure": True})
    with (
        tempfile.TemporaryDirectory() as name,
        LipSync(registry).preparing(clip, ASSETS / "voice.wav", settings, Path(name)) as plan,
    ):
        own = changes(plan, lambda frame: None if frame.source is None else frame.source.rgb())
        for kind, (sharpen, flicker) in KINDS.items():
            enhancer = None if kind == "no enhancer" else StandIn(sharpen, flicker)
            ratios = []
            for steadiness in STEADINESS if enhancer else STEADINESS[:1]:
                enhance = settings.enhance.model_copy(update={"steadiness": steadiness})
                finish = replace(plan.finish, enhance=enhance)
                components = replace(plan.components, enhancer=enhancer)
                work = replace(plan, finish=finish, components=components)
                ratios.append(f"{changes(work, lambda frame: frame.picture.rgb()) / own:.2f}")
            yield (clip.name, kind, f"{own:.2f}", *ratios, *[""] * (len(STEADINESS) - len(ratios)))


def changes(plan: RenderPlan, shown: Callable[[OutputFrame], UInt8Array | None]) -> float:
    """Mean change from frame to frame in the painted region, in levels."""
    found: list[float] = []
    before: UInt8Array | None = None
    for frame in output_frames(plan, 0, min(FRAMES, plan.timeline.spoken_count), RenderRun()):
        picture = shown(frame)
        if before is not None and picture is not None and frame.steps:
            mask = frame.steps[0].mask
            rows, columns = mask.alpha.shape
            part = np.s_[max(0, mask.y) : mask.y + rows, max(0, mask.x) : mask.x + columns]
            found.append(float(np.abs(before[part].astype(np.float32) - picture[part]).mean()))
        before = picture if frame.steps else None
    return float(np.mean(found))


if __name__ == "__main__":
    main()
