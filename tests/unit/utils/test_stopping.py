"""What ends long work from inside, and what is left to itself where it does not look."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from musetalk.enhancers.network_enhancer import placed
from musetalk.errors import Cancelled
from musetalk.faces.detection.s3fd import prepared
from musetalk.progress import CancelToken
from musetalk.runtime.checkpoint import fill
from musetalk.runtime.device import Compute
from musetalk.runtime.stop_points import with_stop_points
from musetalk.utils.stopping import ends_by, left_alone, stop_point
from tests.helpers.filled import CPU
from tests.helpers.programs import HANG_SECONDS

LAYERS = 12


class Layer(nn.Linear):
    """Counts how often it runs; sets a token when it is the first."""

    def __init__(self, token: CancelToken, ran: list[int]) -> None:
        super().__init__(2, 2)
        self.token, self.ran = token, ran

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.ran.append(1)
        self.token.cancel()
        return x


@pytest.mark.parametrize("way", ["Compute.place", "S3FD", "enhancers", "parser, Whisper"])
def test_networks_look_before_each_layer_however_they_were_placed(way: str) -> None:
    token, ran = CancelToken(), list[int]()
    network: nn.Module = nn.Sequential(*(nn.Sequential(Layer(token, ran)) for _ in range(LAYERS)))
    if way == "Compute.place":
        CPU.place(network)
    elif way == "S3FD":
        network = prepared(network, torch.device("cpu"))
    elif way == "enhancers":
        placed(network, CPU)
    else:
        with_stop_points(network)
    network(torch.zeros(1, 2))
    assert len(ran) == LAYERS  # where nobody said what ends it
    ran.clear()
    with ends_by(token.check), pytest.raises(Cancelled):
        network(torch.zeros(1, 2))
    assert ran == []
    fresh = CancelToken()
    for module in network.modules():
        if isinstance(module, Layer):
            module.token = fresh
    with ends_by(fresh.check), pytest.raises(Cancelled):
        network(torch.zeros(1, 2))
    assert len(ran) == 1


def test_a_network_that_is_not_on_the_cpu_does_not_look() -> None:
    network = Compute(torch.device("meta"), torch.float32).place(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    token = CancelToken()
    token.cancel()
    with ends_by(token.check):
        assert network(torch.zeros(1, 2, device="meta")).shape == (1, 2)


def test_a_compiled_network_is_one_graph_all_the_same() -> None:
    network = with_stop_points(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    assert torch.equal(compiled(torch.ones(1, 2)), network(torch.ones(1, 2)))
    torch.compiler.reset()


def test_a_checkpoint_is_left_between_two_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    token, copied = CancelToken(), list[str]()
    module = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    release = "musetalk.runtime.checkpoint.MappedPages.release"

    def copying(_self: object, _tensor: torch.Tensor) -> None:
        copied.append("one")
        token.cancel()

    monkeypatch.setattr(release, copying)
    with ends_by(token.check), pytest.raises(Cancelled):
        fill(module, module.state_dict(), Path("some.pth"))
    assert copied == ["one"]


def test_work_that_does_not_look_is_left_to_itself() -> None:
    token, begun, end, ended = CancelToken(), threading.Event(), threading.Event(), threading.Event()

    def blind() -> None:
        begun.set()
        end.wait(HANG_SECONDS)
        try:
            stop_point()  # it inherits what ends the work
        except Cancelled:
            ended.set()

    def stop() -> None:
        begun.wait(HANG_SECONDS)
        token.cancel()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with ends_by(token.check), pytest.raises(Cancelled):
        left_alone(blind)
    assert not ended.is_set()
    end.set()
    assert ended.wait(HANG_SECONDS)
    stopper.join()


def test_what_it_makes_and_raises_arrives() -> None:
    with ends_by(CancelToken().check):
        assert left_alone(lambda: 7) == 7
        assert left_alone(threading.current_thread) is not threading.current_thread()
        with pytest.raises(KeyError, match="lost"):
            left_alone(lambda: {}["lost"])
    assert left_alone(threading.current_thread) is threading.current_thread()  # nothing could end it


def test_each_thread_ends_by_its_own() -> None:
    token, seen = CancelToken(), list[str]()
    token.cancel()

    def other() -> None:
        stop_point()
        seen.append("went on")

    with ends_by(token.check):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with pytest.raises(Cancelled):
            stop_point()
    stop_point()
    assert seen == ["went on"]
