"""Where the painting of one call, or of one clip inside it, passes into that of the next: there a jump might show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from musetalk.backends.types import GeneratorSpec
from musetalk.pipeline.segments import Segment
from musetalk.progress import FellBack


def painted_borders(
    segments: Sequence[Segment], spec: GeneratorSpec, stride: int, replaced: Iterable[FellBack] = ()
) -> tuple[int, ...]:
    """Output frames k such that k - 1 and k were not painted by the same clip alone, though they show the same faces.

    Clips of every n-th frame lie in between each other; those that cover the same time count as one.

    Args:
        segments: Of the whole output.
        spec: Of what paints them.
        stride: Every how many frames its clips take.
        replaced: What somebody else painted: inside it nothing of the chosen painter's meets.
    """
    others = {(each.start, each.stop) for each in replaced}
    own = [segment for segment in segments if (segment.first, segment.stop) not in others]
    return tuple(sorted({*_between(segments), *_inside(own, spec, stride)}))


def _between(segments: Iterable[Segment]) -> Iterator[int]:
    """Where segments of one stretch meet: all the frames over which they are cross-faded."""
    for before, after in pairwise(segments):
        if after.tracks and (after.lead or after.tracks == before.tracks):
            yield from range(after.first, after.start + 1)


def _inside(segments: Iterable[Segment], spec: GeneratorSpec, stride: int) -> Iterator[int]:
    for segment in segments:
        if segment.tracks:
            seams = (segment.first + seam for seam in spec.seams(segment.stop - segment.first, stride))
            yield from (seam for seam in seams if segment.start < seam < segment.stop)
