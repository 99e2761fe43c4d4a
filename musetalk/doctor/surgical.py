"""The surgical check as a whole: `python -m musetalk doctor --surgical`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from musetalk.backends.check import Finding
from musetalk.backends.registry import BackendRegistry
from musetalk.doctor.findings import Findings
from musetalk.doctor.packages import check_imports
from musetalk.settings import RenderSettings


def surgical_check(models_dir: Path, backends: Sequence[str] = ()) -> Iterator[Findings]:
    """Look at imports and backends, a table at a time, as each is done.

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
        yield from (
            Findings(broken.name, (Finding(broken.place, broken.why, failed=True),)) for broken in registry.broken
        )
    try:
        from musetalk.doctor.backends import check_backend  # noqa: PLC0415 - they are slow, and may be what is broken
        from musetalk.doctor.sample_clip import make_scene  # noqa: PLC0415
    except ImportError as error:
        yield Findings("Backends", (Finding("imports", f"nothing more can be run: {error}", failed=True),))
        return
    scene = make_scene()
    for backend in chosen:
        quick = {} if backend.check is None else backend.check().settings
        values = {"backend": backend.name, "models_dir": models_dir, **quick}
        settings = RenderSettings.parse(values)
        yield check_backend(backend.configured(settings), scene, settings.network, settings.crop, settings.mask)
