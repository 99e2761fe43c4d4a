"""A comparison that is looked at in a browser: results that can be stepped through, and the source beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from musetalk.comparison.compare import compare
from musetalk.comparison.types import SOURCE_IN_STEP, Comparison
from musetalk.pipeline.engine import Engine
from musetalk.pipeline.request import RenderRequest
from musetalk.progress import CancelToken, ProgressCallback

_KEYFRAME_SECONDS = 0.4  # a browser decodes from a key frame on, whatever frame it is asked for
_STEM_LENGTH = 40  # characters of a file's name within another one


def compare_for_viewing(
    engine: Engine,
    request: RenderRequest,
    folder: Path,
    backends: Sequence[str],
    *,
    on_progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    named: Callable[[str], str] = str,
) -> Comparison:
    """Compare as `compare` does, for a browser that steps from frame to frame and shows the source beside them.

    `named` says what backends are called there.

    Raises:
        MuseTalkError: As `compare` does.
    """
    settings, encoder = request.settings, request.settings.encoder
    if encoder.keyframe_seconds is None:
        encoder = encoder.model_copy(update={"keyframe_seconds": _KEYFRAME_SECONDS})
    return compare(
        engine,
        replace(request, settings=settings.model_copy(update={"encoder": encoder})),
        folder,
        backends,
        on_progress=on_progress,
        cancel=cancel,
        side_by_side=telling_name(request.video, request.voice, [named(backend) for backend in backends]),
        named=named,
        source_in_step=SOURCE_IN_STEP,
    )


def telling_name(video: Path, voice: Path, backends: Sequence[str]) -> str:
    """Return what the video that shows all results is called, for whoever finds it among downloads."""
    inputs = "_".join(re.sub(r"[^\w.-]+", "_", path.stem)[:_STEM_LENGTH].strip("._-") for path in (video, voice))
    return f"{inputs.strip('_') or 'comparison'}_{'_beside_'.join(backends)}.mp4"
