"""What is asked of a lent GPU follows from the settings."""

from __future__ import annotations

import pytest

import hybrid.spec
from musetalk.backends.musetalk.spec import V15
from musetalk.settings import RenderSettings


@pytest.mark.parametrize(
    ("wanted", "share"),
    [
        ({}, 1),
        ({"steps": 100}, 5),
        ({"preset": "fast"}, 0.4),
        ({"guidance": 1}, 0.5),
        ({"overlap": 10}, 2),
        ({"overlap": 0, "steps": 10}, 0.375),
        ({"cache": 2}, 0.685),
        ({"cache": 3, "steps": 1}, 0.05),
    ],
)
def test_latentsync_takes_as_long_as_its_loop(wanted: dict[str, float], share: float) -> None:
    settings = RenderSettings.parse({"latentsync": wanted})
    for backend in (hybrid.spec.V15, hybrid.spec.V16):
        assert backend.gpu is not None
        cost = backend.configured(settings).gpu
        assert cost.seconds_per_frame == pytest.approx(share * backend.gpu.seconds_per_frame)
        assert cost.start_seconds == backend.gpu.start_seconds
    assert V15.gpu is not None
    assert V15.configured(settings).gpu.seconds_per_frame == V15.gpu.seconds_per_frame
