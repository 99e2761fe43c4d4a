"""What renders should cost where none was made yet: the work of published networks, by the speed of this machine.

The work is counted, and seconds are measured, by the programs in benchmarks/ (networks.md, hybrid.md, stages.md).
"""

from __future__ import annotations

from collections.abc import Callable

from musetalk.pipeline.forecast import Costs, RenderKind

# GFLOP a frame, at 256 pixels.
_UNET, _ENCODE, _DECODE = 177.8, 545.4, {"sd": 622.2, "tiny": 21.5}
_STEP = 253.1  # of LatentSync's network, without guidance
_PARSE, _DETECT, _RESTORE = 26.8, 42.6, 206.0
_LARGE, _LARGE_STEP = 4.0, 4.35  # times as much at 512 pixels
_SHARE_ON_CPU, _SHARE_ON_GPU = 0.55, 0.35  # of the rate of matrix products that networks reach
_GPU_RATE = 3000.0  # GFLOP/s: no processor multiplies as quickly
LENT_GPU_RATE = 60_000.0  # GFLOP/s of what Hugging Face lends; it cannot be measured before it is lent
# Seconds.
_BEGIN, _LOAD_MUSETALK, _LOAD_LATENTSYNC = 3.0, 12.0, 25.0
_PLAN, _WARP, _OTHER, _FINISH, _HEAR = 0.008, 0.004, 0.02, 0.5, 0.03
_LOOK_EVERY = 12.0  # frames between looks of a detector that is heavy; faces are followed between
# What renders should cost beside the work of their networks.
BESIDE_NETWORKS = Costs(begin=_BEGIN, plan=_PLAN, parse=0.0, speech=0.0, paint=0.0, other=_OTHER, finish=_FINISH)


def guessed_costs(kind: RenderKind, rate: Callable[[], float]) -> Costs:
    """Return what renders of a kind should cost.

    Args:
        kind: Of the render.
        rate: The machine's GFLOP/s in large matrix products; asked only where a network runs.
    """
    backend = kind.backend
    neural = backend != "preview"
    restored = _RESTORE if kind.restorer != "none" else 0.0
    heavy = kind.detector in ("auto", "s3fd") and neural
    seconds = _seconds_a_gflop(rate()) if neural or restored else 0.0
    latentsync = backend.startswith("latentsync-")
    load = _LOAD_LATENTSYNC if latentsync else _LOAD_MUSETALK if neural else 0.0
    painting = _painting(kind) * seconds if neural else _WARP
    return Costs(
        begin=_BEGIN + load,
        plan=_PLAN + (_DETECT / _LOOK_EVERY * seconds if heavy else 0.0),
        parse=_PARSE * seconds if neural else 0.0,
        speech=_HEAR if neural else 0.0,
        paint=painting / kind.loop_steps + restored * seconds / kind.loop_steps,
        other=_OTHER,
        finish=_FINISH,
    )


def _seconds_a_gflop(rate: float) -> float:
    return 1 / (max(rate, 1.0) * (_SHARE_ON_GPU if rate > _GPU_RATE else _SHARE_ON_CPU))


def _painting(kind: RenderKind) -> float:
    """GFLOP of painting one frame."""
    decode = _DECODE[kind.decoder]
    if not kind.backend.startswith("latentsync-"):
        return _UNET + _ENCODE + decode
    large = kind.backend.endswith("1.6")
    pictures = (2 * _ENCODE + decode) * (_LARGE if large else 1.0)
    return kind.loop_steps * _STEP * (_LARGE_STEP if large else 1.0) + pictures
