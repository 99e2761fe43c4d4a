"""What was measured of a render, as plain values; the fields' names are keys of its report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """One number for each measure, over all frames that were measured; None where there is too little to say.

    Attributes:
        sharpness: Mean over frames of the variance of the Laplacian in the mouth region, in squared grey levels.
        jitter: Mean over frames of the mean absolute second difference in time in the mouth region, in grey levels.
        jitter_around: The same around the mouth.
        border_jump: Mean change of the mouth region from frame to frame where two clips meet, divided by that inside
            clips: 1 where borders do not show.
        correlation: Of how far the mouth stands open with how loud the voice is, -1 to 1, at the best lag.
        lag: That lag in frames; positive: the mouth follows the voice.
    """

    sharpness: float | None
    jitter: float | None
    jitter_around: float | None
    border_jump: float | None
    correlation: float | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class Outside:
    """How the frames differ from their source where no mask lets a painted face show; all zeros where they do not.

    Attributes:
        greatest: The largest difference in any color, in levels, 0 to 255.
        pixels: Pixels that differ, over all frames.
        frames: Frames that hold one.
    """

    greatest: int
    pixels: int
    frames: int


@dataclass(frozen=True, slots=True)
class Curves:
    """Measures over time, one value for each bin of frames; None where nothing in it was measured.

    Attributes:
        sharpness, jitter, jitter_around: As in `Figures`.
        opening: How far the mouth stands open, as a fraction of its width.
    """

    sharpness: tuple[float | None, ...]
    jitter: tuple[float | None, ...]
    jitter_around: tuple[float | None, ...]
    opening: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """How the measures run over the output.

    Attributes:
        frames_per_bin: Output frames that one value is the mean of; the last bin may have fewer.
        voice: Openness of the voice, 0 to 1.
        picture: Of the result.
        source: Of the source at the same places.
        borders: Numbers of the bins in which two clips meet.
    """

    frames_per_bin: int
    voice: tuple[float | None, ...]
    picture: Curves
    source: Curves
    borders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured of a render, before it was encoded.

    Attributes:
        frames: Output frames that were looked at.
        face_frames: Of these, frames in which a painted face was measured.
        border_frames: Of these, frames at which the change to the frame before crosses from clip to clip.
        picture: Of the result.
        source: Of the source at the same places, for comparison.
        relative_sharpness: Sharpness of the result divided by that of the source.
        outside: What changed where nothing may.
        series: The same over time.
    """

    frames: int
    face_frames: int
    border_frames: int
    picture: Figures
    source: Figures
    relative_sharpness: float | None
    outside: Outside
    series: Series
