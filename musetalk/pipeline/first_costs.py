"""What renders should cost where none was made yet: the work of networks, by the speed of this machine.

What a backend's networks have to do, it says itself. The work is counted, and seconds are measured, by the programs in
benchmarks/ (networks.md, hybrid.md, stages.md).
"""

from __future__ import annotations

from collections.abc import Callable

from musetalk.faces.detection.registry import DetectorRegistry
from musetalk.pipeline.forecast import Costs, RenderKind
from musetalk.settings import AUTO

_PARSE, _ENHANCE = 26.8, 206.0  # GFLOP a frame
_SHARE_ON_CPU, _SHARE_ON_GPU = 0.55, 0.35  # of the rate of matrix products that networks reach
_GPU_RATE = 3000.0  # GFLOP/s: no processor multiplies as quickly
LENT_GPU_RATE = 60_000.0  # GFLOP/s of what Hugging Face lends; it cannot be measured before it is lent
# Seconds.
_BEGIN, _PLAN, _WARP, _OTHER, _FINISH, _HEAR = 3.0, 0.008, 0.004, 0.02, 0.5, 0.03
_LOOK_EVERY = 12.0  # frames between looks of a detector that is heavy; faces are followed between
# What renders should cost beside the work of their networks.
BESIDE_NETWORKS = Costs(begin=_BEGIN, plan=_PLAN, parse=0.0, speech=0.0, paint=0.0, other=_OTHER, finish=_FINISH)


def guessed_costs(kind: RenderKind, rate: Callable[[], float]) -> Costs:
    """Return what renders of a kind should cost.

    Args:
        kind: Of the render.
        rate: The machine's GFLOP/s in large matrix products; asked only where a network runs.
    """
    work = kind.work
    enhanced = _ENHANCE if kind.enhancer != "none" else 0.0
    seconds = _seconds_a_gflop(rate()) if work is not None or enhanced else 0.0
    look = _look_gflop(kind.detector) if work is not None else 0.0
    painting = _WARP if work is None else (work.gflop + work.steps * work.step_gflop) * seconds
    return Costs(
        begin=_BEGIN + (0.0 if work is None else work.start_seconds),
        plan=_PLAN + look / _LOOK_EVERY * seconds,
        parse=0.0 if work is None else _PARSE * seconds,
        speech=0.0 if work is None else _HEAR,
        paint=(painting + enhanced * seconds) / kind.loop_steps,
        other=_OTHER,
        finish=_FINISH,
    )


def _look_gflop(detector: str) -> float:
    """Return the work of a look of the detector that settings name; of what "auto" takes where weights are."""
    spec = DetectorRegistry().by_name.get("s3fd" if detector == AUTO else detector)
    return 0.0 if spec is None else spec.gflop


def _seconds_a_gflop(rate: float) -> float:
    return 1 / (max(rate, 1.0) * (_SHARE_ON_GPU if rate > _GPU_RATE else _SHARE_ON_CPU))
