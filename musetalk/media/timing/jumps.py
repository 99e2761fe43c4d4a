"""Times among otherwise even ones that cannot be right, though no codec or limit forbids them.

A wrong time of half a second looks like a pause. What gives it away: pictures come back to the grid that they left, as
many as it has room for; or what else the file says leaves no room for a pause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from musetalk.utils.arrays import BoolArray, Float64Array, Int64Array

_OFF = 0.4  # usual distances by which one may differ from the usual one
_ALIKE = 0.02  # of the usual distance: what differs by less counts for how long it is
_TINY = 0.1  # of the usual distance: pictures so near to each other have piled up behind a delay
_FEWEST_PILED, _MOST_PARTIAL, _MOST_WIDE = 3, 4, 3  # such distances, and others among them: too short, too long
_MOST_UNEVEN = 0.15  # of all distances; where there are more, the rate varies
_FEW_UNEVEN, _MANY_UNEVEN = 4, 64  # such distances are few in the shortest file (a stray makes three); and many in any
_GAIN = 0.8  # usual distances by which a moved picture makes all others more even
_REORDERED = 16  # places between those of a picture in the file and in what is shown
_MOST = 0.9  # of all distances or places
_NEAR = 0.15  # usual distances from the grid, within which pictures are back on it
_BACK = 3  # distances after which they stay there
_LONGEST_PILE = 256  # pictures
_JUMP = 3.0  # usual distances; what is longer may be a jump
_MOST_JUMPS = 8  # that are looked into
_AROUND = 48  # pictures on both sides of a jump that have to be even


@dataclass(frozen=True, slots=True)
class Witness:
    """What else a file says of when its pictures are shown.

    Attributes:
        decoded: When they are decoded, in the order of the file; empty: nobody knows.
        ends: When all of it ends, as other parts of the file say.
        tolerance: By how much such an end may differ from that of the pictures. All in ticks.
    """

    decoded: Sequence[int] = ()
    ends: tuple[float, ...] = ()
    tolerance: float = 0.0


@dataclass(slots=True)
class _Grid:
    """Pictures in the order in which they are shown, and how far apart most of them are."""

    places: Int64Array  # in the file
    ticks: Float64Array
    step: float
    slack: float  # usual distances by which rounding to ticks moves one

    def gaps(self) -> Float64Array:
        """Distances between pictures, as multiples of the usual one."""
        return np.diff(self.ticks) / self.step

    def uneven(self) -> BoolArray:
        """Return which of them are not the usual one."""
        return np.asarray(np.abs(self.gaps() - 1) > _OFF + self.slack)

    def is_even(self, gap: float) -> bool:
        """Return whether so many usual distances are one."""
        return abs(gap - 1) <= _OFF + self.slack


def without_jumps(order: Int64Array, ticks: Int64Array, witness: Witness) -> tuple[Int64Array, Int64Array, int]:
    """Put right the times that leave an even grid and come back to it, or that something else contradicts.

    Args:
        order: Places in the file of the pictures, in the order of their times.
        ticks: These times, ascending.
        witness: What else the file says.

    Returns:
        Both, put right, and how many times were wrong.
    """
    grid = _grid(order, ticks)
    if grid is None or not (uneven := grid.uneven()).any():
        return order, ticks, 0
    few = min(max(_FEW_UNEVEN, int(_MOST_UNEVEN * len(uneven))), _MANY_UNEVEN)
    wrong = _move_strays(grid) if uneven.sum() <= few else 0
    wrong += _spread_piles(grid, few)
    if 0 < grid.uneven().sum() <= few:
        wrong += _close_jumps(grid, witness)
    return (grid.places, np.round(grid.ticks).astype(np.int64), wrong) if wrong else (order, ticks, 0)


def _grid(order: Int64Array, ticks: Int64Array) -> _Grid | None:
    gaps = np.diff(ticks)
    if np.quantile(gaps, _MOST) == 0:
        return None
    usual = float(np.median(gaps[gaps > _TINY * np.quantile(gaps, _MOST)]))
    step = float(gaps[np.abs(gaps - usual) <= _ALIKE * usual + 1].mean())
    return _Grid(order.copy(), ticks.astype(np.float64), step, 1 / step if step > 2 else 0.0)


def _move_strays(grid: _Grid) -> int:
    """Move pictures that are one too many to where one is missing, if that is near their places in the file."""
    moved = 0
    for _ in range(_MANY_UNEVEN):
        best = max(_moves(grid), default=None)
        if best is None:
            break
        _, rank, slot, time = best
        place = grid.places[rank]
        grid.places = np.insert(np.delete(grid.places, rank), slot, place)
        grid.ticks = np.insert(np.delete(grid.ticks, rank), slot, time)
        moved += 1
    return moved


def _moves(grid: _Grid) -> Iterator[tuple[float, int, int, float]]:
    """Yield how much more even a move makes the times, the rank that a picture has, its new one, its new time."""
    uneven = np.flatnonzero(grid.uneven())
    gaps = [int(gap) for gap in uneven]
    moved = np.abs(grid.places - np.arange(len(grid.places)))
    usual = float(np.quantile(moved, _MOST))
    for rank in sorted({0, len(moved) - 1}.union(gaps, (gap + 1 for gap in gaps))):
        place, times = int(grid.places[rank]), np.delete(grid.ticks, rank)
        eased = _ease_of_leaving(grid, rank, strange=bool(moved[rank] > 2 * usual + 2))
        if eased is None:
            continue
        for slot, time, gain in _slots(grid, times, [gap - (gap >= rank) for gap in gaps]):
            nearer = abs(slot - place) < abs(rank - place) and abs(slot - place) <= _REORDERED
            if nearer and eased + gain >= _GAIN:
                yield eased + gain, rank, slot, time


def _ease_of_leaving(grid: _Grid, rank: int, *, strange: bool) -> float | None:
    """Return how much more even times are without a picture; None: it is not one too many.

    Args:
        grid: The pictures.
        rank: Which one.
        strange: Whether it is stored further from where it is shown than most.
    """
    gaps = np.diff(grid.ticks[max(0, rank - 1) : rank + 2]) / grid.step
    before = float(np.abs(gaps - 1).sum())
    if len(gaps) == 1:
        return before if strange or gaps[0] > _JUMP else None
    after = float(gaps.sum())
    return before - abs(after - 1) if grid.is_even(after) else None


def _slots(grid: _Grid, times: Float64Array, gaps: Sequence[int]) -> Iterator[tuple[int, float, float]]:
    """Yield ranks at which a picture is missing, when it would be shown, and how much more even times are with it."""
    yield 0, float(times[0] - grid.step), 0.0
    yield len(times), float(times[-1] + grid.step), 0.0
    for gap in gaps:
        if not 0 <= gap < len(times) - 1:
            continue
        wide = float(times[gap + 1] - times[gap]) / grid.step
        if grid.is_even(wide / 2):
            yield gap + 1, float(times[gap] + times[gap + 1]) / 2, abs(wide - 1) - 2 * abs(wide / 2 - 1)
        elif wide > 2:
            yield gap + 1, float(times[gap] + grid.step), 1.0


def _spread_piles(grid: _Grid, few: int) -> int:
    """Spread pictures that piled up behind a delay over the time that they have room in.

    Args:
        grid: The pictures.
        few: So many distances outside of piles may be uneven.
    """
    gaps = grid.gaps()
    piles: list[tuple[int, int]] = []
    uneven = grid.uneven()
    piled = np.concatenate([[0], np.cumsum(gaps < _TINY + grid.slack)])
    starts = np.flatnonzero((gaps > 1 + _OFF + grid.slack) | (gaps < _TINY + grid.slack))
    stops = np.minimum(starts + _LONGEST_PILE, len(gaps))
    for start in starts[piled[stops] - piled[starts] >= _FEWEST_PILED]:
        if (not piles or start >= piles[-1][1]) and (stop := _end_of_pile(grid, gaps, int(start))) is not None:
            piles.append((int(start), stop))
            uneven[start:stop] = False
    if uneven.sum() > few:
        return 0
    count = 0
    for start, stop in piles:
        even = grid.ticks[start] + grid.step * np.arange(stop - start + 1)
        if stop < len(gaps):  # the last one is on the grid again
            even = np.linspace(grid.ticks[start], grid.ticks[stop], stop - start + 1)
        count += int((np.abs(even - grid.ticks[start : stop + 1]) > _OFF * grid.step).sum())
        grid.ticks[start : stop + 1] = even
    return count


def _end_of_pile(grid: _Grid, gaps: Float64Array, start: int) -> int | None:
    """Return the rank at which pictures are back on the grid that they leave behind rank `start`.

    None: there is no pile.

    Those that piled up at the end of a file need not come back.
    """
    off, partial, piled, wide = 0.0, 0, 0, 0
    for at in range(start, min(len(gaps), start + _LONGEST_PILE)):
        gap = float(gaps[at])
        off += gap - 1
        piled += gap < _TINY + grid.slack
        wide += gap > 1 + _OFF + grid.slack
        partial += _TINY + grid.slack <= gap < 1 - _OFF - grid.slack
        if wide > _MOST_WIDE or partial > _MOST_PARTIAL:
            return None
        following = gaps[at + 1 : at + 1 + _BACK]
        back = abs(off) <= _NEAR + grid.slack and all(grid.is_even(float(each)) for each in following)
        if piled >= _FEWEST_PILED and back:
            return at + 1
    ends_piled = start + _LONGEST_PILE >= len(gaps) and 2 * piled >= len(gaps) - start
    return len(gaps) if ends_piled and piled >= _FEWEST_PILED else None


def _close_jumps(grid: _Grid, witness: Witness) -> int:
    """Close the pauses that cannot be, where all is even without them."""
    jumps = np.flatnonzero(grid.gaps() > _JUMP)
    if not 0 < len(jumps) <= _MOST_JUMPS:
        return 0
    closed = 0
    for jump in reversed(jumps):
        closed += _close_misordered(grid, int(jump))
    uneven = np.flatnonzero(grid.uneven())
    gaps = grid.gaps()[uneven]
    if len(uneven) and (gaps > _JUMP).all() and _is_contradicted(grid, uneven, witness):
        for jump, gap in zip(uneven, gaps, strict=True):
            grid.ticks[jump + 1 :] -= (gap - 1) * grid.step
        closed += len(uneven)
    return closed


def _close_misordered(grid: _Grid, jump: int) -> int:
    """Close a jump that tears apart pictures which belong together, because it lies between their places in the file.

    Codecs store pictures in another order than they are shown in; a pause begins and ends among what is shown.
    """
    first, stop = max(0, jump - _AROUND), min(len(grid.ticks), jump + 2 + _AROUND)
    around = _Grid(grid.places[first:stop], grid.ticks[first:stop], grid.step, grid.slack)
    others = around.uneven()
    others[jump - first] = False
    if not others.any():
        return 0
    wide = float(grid.gaps()[jump])
    near = np.arange(max(1, jump + 1 - _REORDERED), min(len(grid.ticks), jump + 2 + _REORDERED))
    for place in near:
        for more in range(-_REORDERED, _REORDERED + 1):
            by = (wide - 1 + more) * grid.step
            late = around.places >= place
            if by <= 0 or not late.any() or late.all():
                continue
            moved = np.sort(around.ticks - by * late)
            if (np.abs(np.diff(moved) / grid.step - 1) <= _OFF + grid.slack).all():
                ticks = grid.ticks - by * (grid.places >= place)
                order = np.argsort(ticks, kind="stable")
                grid.places, grid.ticks = grid.places[order], ticks[order]
                return 1
    return 0


def _is_contradicted(grid: _Grid, jumps: Int64Array, witness: Witness) -> bool:
    """Return whether what else the file says leaves no room for pauses."""
    decoded = np.asarray(witness.decoded, np.int64)
    if len(decoded) == len(grid.ticks) and float(np.diff(decoded).max()) <= _JUMP * grid.step / 2:
        return True
    lost = float((grid.gaps()[jumps] - 1).sum()) * grid.step
    end = float(grid.ticks[-1]) + grid.step - lost
    return lost > 3 * witness.tolerance and any(abs(each - end) <= witness.tolerance for each in witness.ends)
