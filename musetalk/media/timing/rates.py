"""Frame rates: those in common use, and the one that a source is played at."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Literal, TypeAlias

WantedRate: TypeAlias = Fraction | Literal["own"] | None  # None: the source's own, if lips can move at it

# Broadcast, cinema, camera and screen-capture rates; fractions as SMPTE ST 12 and 2036 have them.
STANDARD_RATES: tuple[Fraction, ...] = (
    *(Fraction(n) for n in (5, 6, 8, 10, 12)),
    Fraction(25, 2),
    Fraction(15),
    *(Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 120)),
    *(Fraction(n) for n in (20, 24, 25, 30, 48, 50, 60, 72, 90, 100, 120, 144, 240)),
)
DEFAULT_RATE = Fraction(25)  # of pictures, and where nothing can be known
_STATED = (Fraction(1), Fraction(240))  # a rate that a file states beyond these is a time base, or a mistake
_FEWEST = Fraction(23)  # frames a second; with fewer, lips stutter (24 less what slowed-down film may lack)
_LEAST_REPEATED = Fraction(24000, 1001)
_MOST = Fraction(120)  # more than this is a camera's slow motion
_MOST_LEFT = Fraction(60)


def nearest_standard(fps: Fraction) -> Fraction:
    """Return the standard rate nearest to a rate."""
    return min(STANDARD_RATES, key=lambda rate: abs(rate / fps - 1))


def believable(stated: Fraction | None) -> Fraction | None:
    """Return a rate that a file states, if it can be one."""
    return stated if stated is not None and _STATED[0] <= stated <= _STATED[1] else None


def played_at(own: Fraction, wanted: WantedRate) -> Fraction:
    """Return the rate at which a source is played whose own one is `own`."""
    if wanted == "own":
        return own
    return suiting_rate(own) if wanted is None else wanted


def suiting_rate(fps: Fraction) -> Fraction:
    """Return the rate that suits a source of `fps` frames a second: its own, wherever lips can move at it.

    A slower one is multiplied, so that every picture is shown equally often: to
    25 where that works out, else to the lowest rate from 24 on. A faster one is divided: to the highest rate up to 60.
    """
    if fps < _FEWEST:
        multiple = DEFAULT_RATE / fps
        return DEFAULT_RATE if multiple.denominator == 1 else fps * ceil(_LEAST_REPEATED / fps)
    if fps > _MOST:
        share = fps / ceil(fps / _MOST_LEFT)
        return next((rate for rate in (*_round_rates(fps), share) if rate <= _MOST_LEFT), share)
    return fps


def _round_rates(fps: Fraction) -> list[Fraction]:
    """Rates from 24 to 60 that players know and that are whole shares of `fps`, the highest first."""
    usable = (rate for rate in STANDARD_RATES if _LEAST_REPEATED <= rate <= _MOST_LEFT)
    return sorted((rate for rate in usable if (fps / rate).denominator == 1), reverse=True)
