from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest

from musetalk.runtime import threads


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    count = cv2.getNumThreads()
    yield
    cv2.setNumThreads(count)


@pytest.mark.parametrize(("cores", "expected"), [(2, 1), (4, 1), (16, 4)])
def test_opencv_leaves_cores_to_the_stages_beside_it(
    monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: cores)
    threads.bound_threads()
    assert cv2.getNumThreads() == expected


def test_torch_takes_no_more_than_its_container_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    try:
        threads.bound_threads()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
