"""Cuts a run of frames into clips of the length that the network was trained on, and joins what it made of them.

At rates far above those that it was trained at, a clip holds every n-th frame: the frames in between are clips of their
own, phases of the same run.
"""

from __future__ import annotations

import torch


def plan_clips(frame_count: int, clip_length: int, overlap: int) -> tuple[range, ...]:
    """Cut frames into clips of one length that overlap, as few as there can be, and as evenly as they can lie.

    No clip is shorter than the others: where the frames do not divide, all clips overlap a little more.

    Args:
        frame_count: Frames to cover.
        clip_length: Frames in a clip, at most `frame_count`.
        overlap: Frames that a clip at least shares with the one before.

    Returns:
        The frames of each clip, in order.

    Raises:
        ValueError: No clips can be cut like that.
    """
    if not 0 <= overlap < clip_length <= frame_count:
        raise ValueError(f"no clips of {clip_length} frames that share {overlap} can be cut from {frame_count}")
    stride = clip_length - overlap
    borders = -(-(frame_count - clip_length) // stride)  # rounded up
    room = frame_count - clip_length
    starts = [room * clip // max(1, borders) for clip in range(borders + 1)]
    return tuple(range(start, start + clip_length) for start in starts)


def phases(frame_count: int, stride: int) -> tuple[range, ...]:
    """Split frames into runs of every `stride`-th frame, the first of which begin one after the other.

    Args:
        frame_count: Frames there are.
        stride: From one frame of a run to the next, 1 or more.

    Returns:
        The frames of each run; no run is empty, so that fewer frames than `stride` are as many runs.
    """
    return tuple(range(first, frame_count, stride) for first in range(min(stride, frame_count)))


def shared_frames(frame_count: int, clip_length: int, overlap: int, stride: int = 1) -> tuple[int, ...]:
    """Frames k such that k - 1 and k are not of one clip alone, or of clips in the same place of their phases.

    Args:
        frame_count: Frames there are; where they are too few for a clip, they are mirrored to fill one.
        clip_length: Of `plan_clips`.
        overlap: Of `plan_clips`.
        stride: Of `phases`.
    """
    clips_of: dict[int, tuple[int, ...]] = {}
    for phase in phases(frame_count, stride):
        clips = plan_clips(max(len(phase), clip_length), clip_length, overlap)
        for place, frame in enumerate(phase):
            clips_of[frame] = tuple(number for number, clip in enumerate(clips) if place in clip)
    return tuple(k for k in range(1, frame_count) if len(clips_of[k]) > 1 or clips_of[k] != clips_of[k - 1])


def clip_weights(clips: tuple[range, ...]) -> tuple[torch.Tensor, ...]:
    """Return how much each frame of each clip counts where clips overlap.

    From one clip to the next weights run in a straight line; over all clips a frame's weights add up to 1.

    Args:
        clips: As `plan_clips` cuts them.

    Returns:
        For each clip float32 [f], above 0.
    """
    raw = [torch.ones(len(clip)) for clip in clips]
    for index in range(1, len(clips)):
        shared = clips[index - 1].stop - clips[index].start
        if shared > 0:
            ramp = torch.arange(1, shared + 1) / (shared + 1)
            raw[index][:shared] *= ramp
            raw[index - 1][len(clips[index - 1]) - shared :] *= ramp.flip(0)
    total = torch.zeros(clips[-1].stop)
    for clip, weight in zip(clips, raw, strict=True):
        total[clip.start : clip.stop] += weight
    return tuple(weight / total[clip.start : clip.stop] for clip, weight in zip(clips, raw, strict=True))


def mirrored(frame_count: int, clip_length: int) -> list[int]:
    """Frames in the order in which they fill a clip: to and fro where there are too few, none twice in a row.

    Args:
        frame_count: Frames there are, 1 or more.
        clip_length: Frames wanted at least.

    Returns:
        `max(frame_count, clip_length)` frame numbers that begin with 0, 1, ..., `frame_count - 1`.
    """
    there_and_back = [*range(frame_count), *range(frame_count - 2, 0, -1)]
    return [there_and_back[place % len(there_and_back)] for place in range(max(frame_count, clip_length))]


def as_clip(frames: torch.Tensor) -> torch.Tensor:
    """Frames as a clip: [f, c, h, w] to [1, c, f, h, w]."""
    return frames.transpose(0, 1)[None]


def as_frames(clip: torch.Tensor) -> torch.Tensor:
    """Return a clip as frames: [1, c, f, h, w] to [f, c, h, w]."""
    return clip[0].transpose(0, 1)
