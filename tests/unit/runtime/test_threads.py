from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import ModuleSpec
from threading import Event, Thread
from types import ModuleType

import cv2
import pytest

from musetalk.runtime import threads
from tests.helpers.programs import HANG_SECONDS


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


class SlowToLoad:
    """Finds and loads torch: as long as `go_on` is not set, it is there and holds nothing."""

    def __init__(self) -> None:
        self.begun, self.go_on = Event(), Event()

    def find_spec(self, name: str, *_others: object) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == "torch" else None

    def create_module(self, _spec: ModuleSpec) -> None:
        return None

    def exec_module(self, _module: ModuleType) -> None:
        self.begun.set()
        self.go_on.wait(HANG_SECONDS)


def test_nobody_fails_or_waits_while_another_thread_imports_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page does so in the moment in which a server's first job may begin."""
    slow = SlowToLoad()
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [slow, *sys.meta_path])
    other = Thread(target=import_module, args=("torch",))
    other.start()
    try:
        assert slow.begun.wait(HANG_SECONDS)
        threads.bound_threads()
    finally:
        slow.go_on.set()
        other.join()
        sys.modules.pop("torch")
