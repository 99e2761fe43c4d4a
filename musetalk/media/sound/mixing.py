"""Downmix to mono for speech features: no channel cancels another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from musetalk.utils.arrays import Float32Array, Float64Array

_CANCELLED = 1 / 8  # left plus right against the louder of them, in power: unrelated sounds give at least 1/4
_QUIET = 1e-9  # mean square: nothing can be told of such a block
_CENTRE, _BASS = 10.0, 0.1  # how much more than its power counts of a channel where films speak, and where they rumble

# ffmpeg's names of what a file's channels are, in its order.
_LAYOUTS = {
    "2.1": "FL FR LFE",
    "3.0": "FL FR FC",
    "3.0(back)": "FL FR BC",
    "3.1": "FL FR FC LFE",
    "4.0": "FL FR FC BC",
    "quad": "FL FR BL BR",
    "quad(side)": "FL FR SL SR",
    "4.1": "FL FR FC LFE BC",
    "5.0": "FL FR FC BL BR",
    "5.0(side)": "FL FR FC SL SR",
    "5.1": "FL FR FC LFE BL BR",
    "5.1(side)": "FL FR FC LFE SL SR",
    "6.0": "FL FR FC BC SL SR",
    "hexagonal": "FL FR FC BL BR BC",
    "6.1": "FL FR FC LFE BC SL SR",
    "6.1(back)": "FL FR FC LFE BL BR BC",
    "7.0": "FL FR FC BL BR SL SR",
    "7.1": "FL FR FC LFE BL BR SL SR",
    "7.1(wide-side)": "FL FR FC LFE FLC FRC SL SR",
    "7.1(wide)": "FL FR FC LFE BL BR FLC FRC",
}


def channel_names(layout: str, channels: int) -> tuple[str, ...]:
    """Return what the channels of a layout are, "FL" (front left), "LFE" (bass) and so on; "" where nobody knows."""
    names = tuple(_LAYOUTS.get(layout, "").split())
    return names if len(names) == channels else ("",) * channels


class Mixer:
    """Decides, block by block, how much of each channel is listened to.

    Mono and stereo are their mean. Where left and right are opposite in phase, one of them is turned. Of more channels
    each counts by its power, a film's centre more and its bass less, all of them turned to agree with the loudest.

    Args:
        names: Of the channels, see `channel_names`.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._bias = np.array([{"FC": _CENTRE, "LFE": _BASS}.get(name, 1.0) for name in names])
        self._gains: Float64Array = np.full(len(names), 1 / len(names))

    def gains(self, block: Float32Array) -> Float32Array:
        """Return how much of each channel of the next block is heard: float32 [channels].

        Args:
            block: float32 [n, channels], n > 1.
        """
        if block.shape[1] == 2:
            self._gains = self._stereo(block)
        elif block.shape[1] > 2:
            self._gains = self._surround(block)
        return self._gains.astype(np.float32)

    def _stereo(self, block: Float32Array) -> Float64Array:
        power = _products(block)
        louder = max(power[0, 0], power[1, 1])
        if louder < _QUIET:
            return self._gains
        return np.array([0.5, -0.5 if power.sum() / 4 < _CANCELLED * louder else 0.5])

    def _surround(self, block: Float32Array) -> Float64Array:
        together = _products(np.diff(block, axis=0))  # of the steps: speech counts more than rumble
        power = together.diagonal() * self._bias
        if _products(block).diagonal().max() < _QUIET or not power.any():
            return self._gains
        turned = np.where(together[int(power.argmax())] < 0, -1.0, 1.0)
        gains: Float64Array = turned * power / power.sum()
        return -gains if gains @ self._gains < 0 else gains


def _products(block: Float32Array) -> Float64Array:
    """Mean products of each two channels: [channels, channels]; their powers on the diagonal."""
    channels = np.ascontiguousarray(block.T)
    return np.asarray(channels @ channels.T, np.float64) / len(block)


def is_plain_mean(gains: Float32Array) -> bool:
    """Whether that is heard (`Mixer.gains` [blocks, channels]) is no more than the mean of one or two channels."""
    return gains.shape[1] <= 2 and bool((gains == gains[:1, :1]).all())


def mix(blocks: Iterator[Float32Array], gains: Float32Array) -> Iterator[Float32Array]:
    """Yield blocks float32 [n, channels] as mono, float32 [n].

    The gains of a block (float32 [blocks, channels]) hold in its middle, and pass into its neighbours' in between.
    """
    padded = np.concatenate([gains[:1], gains, gains[-1:]])
    edges = (padded[:-1] + padded[1:]) / 2
    for block, start, middle, stop in zip(blocks, edges[:-1], gains, edges[1:], strict=True):
        half = len(block) // 2
        rising = np.linspace(start, middle, half, endpoint=False, dtype=np.float32)
        falling = np.linspace(middle, stop, len(block) - half, endpoint=False, dtype=np.float32)
        yield np.einsum("nc,nc->n", block, np.concatenate([rising, falling])).astype(np.float32)


def stereo_gains(names: tuple[str, ...]) -> Float32Array:
    """Return how much of each channel is heard left and right, no channel left out: float32 [channels, 2]."""
    gains = np.full((len(names), 2), np.sqrt(0.5), np.float32)
    for channel, name in enumerate(names):
        if "L" in name and name != "LFE":
            gains[channel] = 1.0, 0.0
        elif "R" in name:
            gains[channel] = 0.0, 1.0
    return gains
