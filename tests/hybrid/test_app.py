"""Networks through the served app: its endpoint renders, counts, and says whose result it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file

from tests.film import FACE, FILM
from tests.media import decode
from tests.served import served

pytestmark = pytest.mark.integration
QUICK = {"steps": 1, "guidance": 1.0}


@pytest.fixture(scope="module")
def client(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The app, with all weights but LatentSync 1.6's and those that find and parse faces."""
    folder = tmp_path_factory.mktemp("app")
    left_out = shutil.ignore_patterns("latentsync-1.6", "face-parse*", "s3fd")
    shutil.copytree(models, folder / "models", copy_function=os.link, ignore=left_out)
    with served(folder / "jobs", "--models-dir", str(folder / "models")) as server:
        made = Client(server.address, verbose=False)
        try:
            yield made
        finally:
            made.close()


def rendered(client: Client, film: Path, words: Path, **settings: object) -> tuple[Path, dict[str, Any]]:
    result, report = client.predict(
        video=handle_file(film),
        voice=handle_file(words),
        settings={"detector": {"name": "haar"}, "latentsync": QUICK, **settings},
        api_name="/render",
    )
    return Path(result["video"] if isinstance(result, dict) else result), report


def test_latentsync_renders_and_the_report_counts(client: Client, film: Path, words: Path) -> None:
    path, report = rendered(client, film, words, backend="latentsync-1.5")
    assert (report["backend"], report["frames"]) == ("latentsync-1.5", FILM)
    assert (report["face_frames"], report["passthrough_frames"]) == (len(FACE), FILM - len(FACE))
    assert (report["fallback_frames"], report["fallbacks"]) == (0, [])
    assert not any("painted" in warning for warning in report["warnings"])
    changed = np.abs(decode(path).astype(int) - decode(film)).mean(axis=(1, 2, 3))
    assert (changed[FACE.start : FACE.stop] > 0.5).all()
    assert (np.delete(changed, FACE) < 0.5).all()


def test_without_its_weights_the_result_is_musetalks_and_says_so_in_one_line(
    client: Client, film: Path, words: Path
) -> None:
    path, report = rendered(client, film, words, backend="latentsync-1.6")
    assert report["fallback_frames"] == report["face_frames"] == len(FACE)
    [fallback] = report["fallbacks"]
    assert (fallback["start"], fallback["stop"], fallback["backend"]) == (FACE.start, FACE.stop, "musetalk-v15")
    assert "latentsync_unet.pt" in fallback["reason"]
    [said] = [warning for warning in report["warnings"] if "latentsync" in warning]
    assert said.startswith("this result is musetalk-v15's: latentsync-1.6 painted nothing of it (")
    assert "\n" not in said
    assert len(decode(path)) == FILM


@pytest.mark.parametrize(
    ("backend", "network"), [("musetalk-v15", {"decoder": "tiny"}), ("musetalk-v1", {"batch_size": 2})]
)
def test_both_versions_of_musetalk_speak(
    client: Client, film: Path, words: Path, backend: str, network: dict[str, object]
) -> None:
    path, report = rendered(client, film, words, backend=backend, network=network)
    assert len(decode(path)) == FILM
    assert (report["backend"], report["face_frames"]) == (backend, len(FACE))
    assert report["settings"]["network"]["device"] == "auto"
