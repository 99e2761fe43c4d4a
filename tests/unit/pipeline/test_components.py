"""What is loaded for a render, and when it is loaded anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetalk.backends.preview.generator import PreviewGenerator
from musetalk.backends.registry import BackendRegistry
from musetalk.backends.spec import BackendSpec
from musetalk.enhancers.types import FaceEnhancer
from musetalk.pipeline.components import ComponentLoader
from musetalk.settings import RenderSettings
from tests.helpers.everywhere import EverywhereAFace
from tests.helpers.tiny_checkpoints import DOUBLE_NAME, write_all


@pytest.mark.slow
def test_an_enhancer_is_loaded_anew_for_another_file_or_device_and_for_nothing_else(tmp_path: Path) -> None:
    write_all(tmp_path, ["gfpgan"])
    loader, usual = ComponentLoader(BackendRegistry()), {"device": "cpu"}

    def enhancer(model: str = DOUBLE_NAME, **network: object) -> FaceEnhancer | None:
        values = {"models_dir": tmp_path, "detector": {"name": "haar"}, "enhance": {"model": model, "strength": 0.5}}
        settings = RenderSettings.parse({"backend": "preview", **values, "network": {**usual, **network}})
        with loader.lease(loader.check(settings)) as components:
            return components.enhancer

    first = enhancer()
    assert first is not None
    assert enhancer(compile=True, decoder="tiny", seed=3) is first
    seen = [first, enhancer(dtype="bf16"), enhancer(batch_size=2), enhancer(model="gfpgan"), enhancer()]
    assert len(set(map(id, seen))) == len(seen)


def test_who_tunes_libraries_is_called_once_a_render_has_loaded_them() -> None:
    done: list[str] = []

    def load(_options: object) -> PreviewGenerator:
        done.append("loaded")
        return PreviewGenerator()

    registry = BackendRegistry((BackendSpec("heavy", "for tests", load),))
    loader = ComponentLoader(registry, EverywhereAFace(), lambda: done.append("tuned"))
    with loader.lease(loader.check(RenderSettings.parse({"backend": "heavy"}))):
        assert done == ["loaded", "tuned"]
