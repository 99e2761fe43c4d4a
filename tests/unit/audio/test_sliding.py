"""Where the encoder's window lies while a voice goes on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetalk.audio.sliding import SlidingWindow
from musetalk.utils.arrays import Float32Array


def loud_at(start: int, stop: int) -> Float32Array:
    """Speech that never pauses: no step is as quiet as one before."""
    return np.arange(start, stop, dtype=np.float32)


@given(hop=st.integers(1, 60), lookahead=st.integers(0, 40), pause=st.integers(0, 3000))
def test_there_is_context_before_and_room_for_what_is_known(hop: int, lookahead: int, pause: int) -> None:
    window = SlidingWindow(1500, hop, lookahead)

    def loudness(start: int, stop: int) -> Float32Array:
        steps = np.arange(start, stop)
        return np.where(steps // 100 == pause // 100, -1, steps).astype(np.float32)

    moves = []
    for first in range(0, 6000, hop):
        stop = first + hop
        window.settle(first, loudness)
        assert stop + lookahead <= window.start + 1500
        assert first - window.start >= min(first, 500)
        if window.following is not None:
            assert first - window.following >= 500
            assert ((window.shares(first, stop) > 0) & (window.shares(first, stop) <= 1)).all()
        start = window.start
        window.took(stop)
        if window.start != start:
            moves.append(window.start - start)
            assert stop - hop < window.start + 500 + 10 <= stop
    assert 4 <= len(moves) <= 7
    assert min(moves) >= 750


def test_the_passage_is_even_whatever_the_hop() -> None:
    for hop in (1, 3, 4, 10, 40):
        window = SlidingWindow(1500, hop, 8)
        shares: list[float] = []
        for first in range(0, 2000, hop):
            window.settle(first, loud_at)
            following = window.following is not None
            shares.extend(window.shares(first, first + hop) if following else np.zeros(hop) + (window.start > 0))
            window.took(first + hop)
        passing = [share for share in shares if 0 < share < 1]
        assert passing == pytest.approx([step / 11 for step in range(1, 11)])
        assert shares == sorted(shares)


def test_it_moves_on_in_a_pause() -> None:
    window = SlidingWindow(1500, 4, 8)
    pause = range(1300, 1320)
    for first in range(0, 1320, 4):
        steps = np.arange(first - 250, first + 10)
        loudness = np.where(np.isin(steps, pause), 0, steps).astype(np.float32)
        window.settle(first, lambda start, stop, found=loudness: found)
        if window.following is not None:
            break
        window.took(first + 4)
    assert first in pause
    assert first + 10 <= pause.stop
    assert window.following == first - 500
