"""What was seen of a network's calls, held against what it was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hybrid.mask import keep_mask, latent_mask
from hybrid.unet3d.config import IN_CHANNELS
from musetalk.backends.latent.positional_encoding import position_table
from musetalk.doctor.findings import Finding, judged, shape_of
from musetalk.doctor.network_hooks import Call
from musetalk.utils.arrays import Float32Array, UInt8Array

_CLOSE = 2e-2  # of values around 1: what half precision leaves of them, twice over
_MUSETALK_CHANNELS = 8


def pictures_line(calls: Sequence[Call], frames: int, size: int, *, latentsync: bool) -> Finding:
    """What the encoder was shown: each frame twice, once with the painted part hidden in this family's own way.

    Args:
        calls: All that were watched.
        frames: In the clip.
        size: Side of its crops.
        latentsync: Whether the mask is LatentSync's, painted pixels grey; else the lower half is black.
    """
    shown = [picture for call in calls if call.network == "encoder" for picture in call.sample]
    if latentsync:
        hidden, value, how = torch.tensor(keep_mask(size) == 0), 0.0, "painted pixels grey (0)"
    else:
        hidden, value, how = torch.zeros(size, size, dtype=torch.bool), -1.0, "lower half black (-1)"
        hidden[size // 2 :] = True
    masked = sum(bool((picture[:, hidden] == value).all()) for picture in shown if picture.shape[-1] == size)
    wrong = (len(shown), masked) != (2 * frames, frames)
    problems = [f"expected {frames} of each kind"] if wrong else []
    return judged("encoded", f"{masked} crops with the {how}, {len(shown) - masked} whole", problems)


def latentsync_lines(calls: Sequence[Call], size: int, speech: Float32Array, steps: int) -> list[Finding]:
    """What LatentSync's network was given, line by line.

    Args:
        calls: All that were watched.
        size: Side of the crops.
        speech: float32 [f, 50, 384], what the clip was to be spoken with.
        steps: Of the loop.
    """
    own = [call for call in calls if call.network == "unet3d"]
    if not own or own[0].audio is None:
        return [Finding("sample", "the network was never called", failed=True)]
    sample, audio = own[0].sample, own[0].audio
    times = list(dict.fromkeys(call.timestep for call in own))
    reach = f"{times[0]} ... {times[-1]}" if len(times) > 1 else str(times[0])
    counted = [] if len(times) == steps else [f"{len(times)} timesteps instead of {steps}"]
    return [
        judged(
            "sample",
            f"{shape_of(sample)} = noise 4 + mask 1 + masked image 4 + reference 4, {_counted(len(own), 'call')}",
            _sample_problems(own, size),
        ),
        judged("timesteps", f"{reach} ({_counted(len(times), 'step')})", counted),
        judged("audio", f"{shape_of(audio)}: silence | voice", _guided_audio_problems(audio, speech)),
    ]


def musetalk_lines(calls: Sequence[Call], speech: Float32Array) -> list[Finding]:
    """What MuseTalk's network was given, line by line.

    Args:
        calls: All that were watched.
        speech: float32 [N, 50, 384], what the clip was to be spoken with.
    """
    own = [call for call in calls if call.network == "unet"]
    samples, heard = [call.sample for call in own], [call.audio for call in own if call.audio is not None]
    if not samples or not heard:
        return [Finding("sample", "the network was never called", failed=True)]
    sample, audio = torch.cat(samples), torch.cat(heard)
    times = {call.timestep for call in own}
    channels = sample.shape[1] == _MUSETALK_CHANNELS
    problems = [] if channels else [f"it takes {_MUSETALK_CHANNELS} channels"]
    if channels and torch.equal(sample[:, :4], sample[:, 4:]):
        problems.append("nothing was hidden from it")
    told = torch.tensor(speech) + position_table(*speech.shape[1:])
    return [
        judged("sample", f"{shape_of(sample)} = lower half black 4 + crop 4, in {len(own)} calls", problems),
        judged("timestep", ", ".join(map(str, times)), [] if times == {0} else ["it was trained on 0 alone"]),
        judged("audio", f"{shape_of(audio)}: voice + positions", _unlike(audio, told, "voice with its positions")),
    ]


def finite_line(calls: Sequence[Call], result: UInt8Array) -> Finding:
    """Whether networks returned numbers; pixels are, once they are."""
    if not calls:
        return Finding("finite", "pixels are whole numbers, and no network was called")
    bad = [call.network for call in calls if not call.finite]
    called = [f"{network} did not" for network in dict.fromkeys(bad)]
    flat = [] if result.min() < result.max() else ["all pixels are the same"]
    return judged("finite", f"{len(calls) - len(bad)} of {len(calls)} calls returned numbers alone", [*called, *flat])


def _sample_problems(calls: Sequence[Call], size: int) -> list[str]:
    first = calls[0].sample
    if first.ndim != 5 or first.shape[1] != IN_CHANNELS:
        return [f"it takes [b, {IN_CHANNELS}, f, h, w]"]
    problems = []
    if not torch.equal(first[:, :4], first[:1, :4, :1].expand_as(first[:, :4])):
        problems.append("frames do not begin with one frame's noise")
    mask = torch.tensor(latent_mask(size))
    if first.shape[-2:] != mask.shape or not torch.allclose(first[:, 4], mask.expand_as(first[:, 4]), atol=_CLOSE):
        problems.append("the fifth channel is not the mask")
    if torch.equal(first[:, 5:9], first[:, 9:]):
        problems.append("nothing was hidden from it")
    alike = [call.sample for call in calls if call.sample.shape == first.shape]
    if not all(torch.equal(sample[:, 4:], first[:, 4:]) for sample in alike):
        problems.append("what it is told of the clip changed on the way")
    return problems


def _guided_audio_problems(audio: torch.Tensor, speech: Float32Array) -> list[str]:
    voice = torch.tensor(speech)
    if audio.shape != (2 * len(voice), *voice.shape[1:]):
        return [f"expected {[2 * len(voice), *voice.shape[1:]]}"]
    silence, heard = audio.chunk(2)
    problems = [] if not silence.any() else ["its first half is not silent"]
    return problems + _unlike(heard, voice, "voice")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _unlike(heard: torch.Tensor, wanted: torch.Tensor, what: str) -> list[str]:
    if heard.shape == wanted.shape and torch.allclose(heard, wanted, rtol=_CLOSE, atol=_CLOSE):
        return []
    return [f"it is not the {what}"]
