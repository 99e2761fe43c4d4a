"""What was decided before the first frame: parts of one video rest on the same decisions."""

from __future__ import annotations

import hashlib

from musetalk.media.ffmpeg_commands import rate_text
from musetalk.pipeline.prepare import RenderPlan


def decided_in(plan: RenderPlan) -> dict[str, str | int]:
    """Return what decides a render's frames beside its inputs and settings, as plain values."""
    faces, digest = plan.face_plan, hashlib.sha256()
    for values in (faces.shots, faces.frame, faces.track, faces.boxes, faces.mouths):
        digest.update(values.tobytes())
    for each in plan.segments:
        digest.update(repr((each.start, each.stop, each.tracks, each.lead, each.joined)).encode())
    return {
        "faces": digest.hexdigest(),
        "fps": rate_text(plan.source.fps),
        "backend": plan.session.backend,
        "device": plan.session.generator.device.partition(":")[0],
        "detector": plan.components.detector.fingerprint,
    }
