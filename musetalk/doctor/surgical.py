"""The surgical check as a whole: `python -m musetalk doctor --surgical`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from musetalk.backends.registry import BackendRegistry
from musetalk.doctor.findings import Finding, Findings
from musetalk.doctor.packages import check_imports
from musetalk.settings import RenderSettings

# Of LatentSync's loop: enough to see it go on; the published 20 take a CPU half an hour. The loop of 1.6 is the same,
# and at 512 pixels each step takes four times as long.
_STEPS, _STEPS_OF_LARGE = 2, 1


def surgical_check(models_dir: Path, backends: Sequence[str] = ()) -> Iterator[Findings]:
    """Look at imports, parts and backends, a table at a time, as each is done.

    Args:
        models_dir: Where weights are; small networks stand in for those that are not there.
        backends: Names of those to run the clip through, and nothing but that; none: all, and the imports first.

    Raises:
        BackendError: There is no such backend.
    """
    registry = BackendRegistry()
    chosen = [registry.get(name) for name in backends] or list(registry)
    if not backends:
        yield check_imports()
    try:
        from musetalk.doctor.backends import check_backend  # noqa: PLC0415 - they are slow, and may be what is broken
        from musetalk.doctor.components import check_components  # noqa: PLC0415
        from musetalk.doctor.naive_handover import check_naive_handover  # noqa: PLC0415
        from musetalk.doctor.sample_clip import make_scene  # noqa: PLC0415
    except ImportError as error:
        yield Findings("Components", (Finding("imports", f"nothing more can be run: {error}", failed=True),))
        return
    scene = make_scene()
    with tempfile.TemporaryDirectory(prefix="musetalk-") as folder:
        yield check_components(scene, Path(folder))
    for backend in chosen:
        steps = _STEPS_OF_LARGE if backend.name == "latentsync-1.6" else _STEPS
        values = {"backend": backend.name, "models_dir": models_dir, "latentsync": {"steps": steps}}
        yield check_backend(backend, RenderSettings.parse(values), scene)
    yield check_naive_handover()
