from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from musetalk.backends.preview.spec import PREVIEW
from musetalk.backends.spec import AnyBackend
from musetalk.webui.downloads import Downloads, weight_sets
from tests.helpers.hub import CONFIG, EARS, LARGE, SMALL, UNET, Hub, on_hub, reading, serving
from tests.helpers.tiny_checkpoints import write_all


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of three files, asked in place of the real one, that is never waited for."""
    with serving() as server:
        server.files = {UNET: LARGE, CONFIG: SMALL, EARS: LARGE[:1_500_000]}
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.setenv("HF_TOKEN", "hf_made_up")
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setattr("musetalk.weights.http.PAUSES", (0.0, 0.0))
        yield server


@pytest.fixture
def backends() -> tuple[AnyBackend, ...]:
    """One that needs nothing, one whose weights the hub has, and one that misses a file of its own there."""
    ears = on_hub(EARS, 1_500_000)
    return (
        PREVIEW,
        reading("mouth", on_hub(CONFIG, len(SMALL)), on_hub(UNET, len(LARGE)), ears),
        reading("other", on_hub("some/net/gone.pth", 7), ears),
    )


@pytest.fixture
def downloads(hub: Hub, backends: tuple[AnyBackend, ...], tmp_path: Path) -> Iterator[Downloads]:
    """The downloads of an app with these backends."""
    made = Downloads(weight_sets(backends), tmp_path)
    yield made
    hub.go_on.set()
    made.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small checkpoints of MuseTalk 1.5's networks, without those that only hear or look."""
    folder = tmp_path_factory.mktemp("models")
    write_all(folder, ("musetalkV15", "sd-vae", "taesd"))
    return folder
