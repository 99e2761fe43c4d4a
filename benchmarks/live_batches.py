"""Live sessions that paint with one network: frames a second of all together, in shared batches and each by itself."""

from __future__ import annotations

import tempfile
import threading
import time
import wave
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from benchmarks.common import make_clip, make_voice
from benchmarks.full_size import claim_models, write_network
from musetalk.avatars.bundle import Avatar
from musetalk.backends.latent.tiny import VAE
from musetalk.backends.musetalk.generator import MuseTalkDenoiser
from musetalk.backends.musetalk.tiny import UNET
from musetalk.backends.types import FaceGenerator
from musetalk.lipsync import LipSync
from musetalk.pipeline.prepare import RenderPlan
from musetalk.progress import RenderRun
from musetalk.settings import CHUNK_SECONDS, RenderSettings
from musetalk.streaming.opening import open_session
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.shared_generators import SharedGenerators
from musetalk.streaming.types import LiveOptions
from musetalk.utils.arrays import Int16Array

# A fifth and an eighth as wide as published, of as many levels; Whisper-tiny with a window of 3 s.
_UNET = {**UNET, "block_out_channels": [64, 128, 256, 256]}
_VAE = {**VAE, "block_out_channels": [16, 32, 64, 64], "norm_num_groups": 16}
_WINDOW = 150
SIZE = (854, 480)


@dataclass(frozen=True, slots=True)
class Rate:
    """What sessions painted together.

    Attributes:
        fps: Frames a second, of all.
        calls: Calls of the UNet.
        painted: Frames in them, those that fill them up included.
        first_ms: From a session's first sound until its first frame, the longest of them.
        cpu: Seconds that the process computed for a frame.
    """

    fps: float
    calls: int
    painted: int
    first_ms: float
    cpu: float


class Unshared(SharedGenerators):
    """Lets each session call its generator by itself."""

    @contextmanager
    def joined(self, generator: FaceGenerator) -> Iterator[FaceGenerator]:
        """Give a generator as it is."""
        yield generator


class Counting:
    """Counts the calls of a network, and the frames in them."""

    def __init__(self, network: nn.Module) -> None:
        self.calls = self.frames = 0
        self._hook = network.register_forward_pre_hook(self._count)

    def _count(self, _network: nn.Module, given: tuple[Tensor, ...]) -> None:
        self.calls, self.frames = self.calls + 1, self.frames + len(given[0])

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def write_small_models(folder: Path) -> None:
    """Write what MuseTalk 1.5 reads, small enough for a CPU, with random values.

    Args:
        folder: Where to; becomes a folder of models.
    """
    unet, vae = dict(_UNET), dict(_VAE)
    write_network(
        folder / "musetalkV15" / "unet.pth", lambda: UNet2DConditionModel.from_config(unet), ("musetalk.json", unet)
    )
    weights = folder / "sd-vae" / "diffusion_pytorch_model.bin"
    write_network(weights, lambda: AutoencoderKL.from_config(vae), ("config.json", vae))
    hearing = WhisperConfig(max_source_positions=_WINDOW)
    write_network(folder / "whisper" / "pytorch_model.bin", lambda: WhisperEncoder(hearing), prefix="model.encoder.")
    hearing.save_pretrained(folder / "whisper")
    WhisperFeatureExtractor(chunk_length=_WINDOW // 50).save_pretrained(folder / "whisper")
    claim_models(folder)


@contextmanager
def small_stage(source: Path) -> Iterator[Stage]:
    """A stage on the CPU, with small networks, for a clip of a source."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_small_models(folder / "models")
        network = {"device": "cpu", "dtype": "fp32"}
        yield make_stage(folder, folder / "models", network, source, seconds=0.64)


def make_stage(folder: Path, models: Path, network: Mapping[str, Any], source: Path, *, seconds: float) -> Stage:
    """Make an avatar of a clip, with a voice.

    Args:
        folder: For files.
        models: Where weights lie.
        network: Settings of the network.
        source: A video or a picture with a face.
        seconds: How long the clip is.
    """
    clip = make_clip(folder / "clip.mp4", seconds=seconds, fps="25", size=SIZE, picture=source)
    with wave.open(str(make_voice(folder / "voice.wav", seconds=20))) as file:
        rate, voice = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
    base = {"backend": "musetalk-v15", "models_dir": models, "network": network, "detector": {"name": "haar"}}
    engine = LipSync(own_process=True)
    avatar = engine.create_avatar(clip, folder / "avatar", RenderSettings.parse(base))
    settings = avatar.settings_with({"models_dir": models, "network": network})
    return Stage(engine, avatar, settings, voice, rate, folder)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where sessions speak.

    Attributes:
        engine: Loads what they share.
        avatar: Who speaks.
        settings: How it is painted.
        voice: What they say, over and over; each begins elsewhere.
        rate: Its samples a second.
        folder: For what they need.
    """

    engine: LipSync
    avatar: Avatar
    settings: RenderSettings
    voice: Int16Array
    rate: int
    folder: Path

    def measure(self, sessions: int, seconds: float, *, shared: bool) -> Rate:
        """Let so many speak as quickly as they are painted: the next chunk comes when the last one was shown.

        Args:
            sessions: How many.
            seconds: How long, from when all have begun.
            shared: Whether what they paint at the same time is one batch.
        """
        generators = SharedGenerators(on_cpu=True) if shared else Unshared()
        with ExitStack() as opened:
            plans = [
                opened.enter_context(self.engine.preparing_avatar(self.avatar, self.settings, self.folder))
                for _ in range(sessions)
            ]
            speaking = [
                opened.enter_context(
                    open_session(
                        plan, self.settings.speech, self.settings.silence, LiveOptions(), RenderRun(), generators
                    )
                )
                for plan in plans
            ]
            began, ends = threading.Barrier(sessions + 1), threading.Event()
            talkers = [_Talker(each, self, place, began, ends) for place, each in enumerate(speaking)]
            for talker in talkers:
                talker.start()
            began.wait()
            with Counting(_unet_of(plans[0])) as counted:
                start, computed = time.monotonic(), time.process_time()
                ends.wait(seconds)
                passed, computed = time.monotonic() - start, time.process_time() - computed
                painted = sum(talker.painted for talker in talkers)
                found = counted.calls, counted.frames
            ends.set()
            for talker in talkers:
                talker.join()
            first = max(each.metrics.first_frame_cold_ms or 0.0 for each in speaking)
        return Rate(painted / passed, *found, first, computed / max(1, painted))


class _Talker(threading.Thread):
    """Speaks in one session."""

    def __init__(
        self, session: StreamingSession, stage: Stage, place: int, began: threading.Barrier, ends: threading.Event
    ) -> None:
        super().__init__(name=f"talker {place}")
        self.painted = 0
        self._session, self._voice, self._rate = session, np.roll(stage.voice, place * 4111), stage.rate
        self._began, self._ends = began, ends

    def run(self) -> None:
        size, waits = round(CHUNK_SECONDS * self._rate), True
        for start in count(0, size):
            if self._ends.is_set():
                break
            self._session.push(np.take(self._voice, range(start, start + size), mode="wrap"), self._rate)
            shown = sum(1 for frame in self._session.spoken() if frame.picture is not frame.source)
            if waits and shown:
                self._began.wait()
            waits, self.painted = waits and not shown, self.painted + (0 if waits else shown)


def _unet_of(plan: RenderPlan) -> nn.Module:
    denoiser = getattr(plan.session.generator, "denoiser", None)
    if not isinstance(denoiser, MuseTalkDenoiser):
        raise TypeError("the avatar is not painted by MuseTalk")
    network: nn.Module = denoiser.network
    return network


def compared(
    stage: Stage, counts: tuple[int, ...], seconds: float, rounds: int
) -> Mapping[tuple[int, bool], list[Rate]]:
    """Measure all numbers of sessions in both ways, in turns, so that other work on the machine disturbs all alike."""
    found: dict[tuple[int, bool], list[Rate]] = {}
    for _ in range(rounds):
        for sessions in counts:
            for shared in (False, True):
                found.setdefault((sessions, shared), []).append(stage.measure(sessions, seconds, shared=shared))
    return found


HEAD = (
    "sessions",
    "batches",
    "frames/s, all",
    "frames/s, each",
    "frames in a call",
    "first frame, ms",
    "CPU s a frame",
)


def rows_of(found: Mapping[tuple[int, bool], list[Rate]]) -> list[list[str]]:
    """Return what was found, medians of the rounds, for a table of `HEAD`."""
    return [
        [
            str(sessions),
            "shared" if shared else "each its own",
            f"{np.median([rate.fps for rate in rates]):.2f}",
            f"{np.median([rate.fps for rate in rates]) / sessions:.2f}",
            f"{sum(rate.painted for rate in rates) / max(1, sum(rate.calls for rate in rates)):.1f}",
            f"{np.median([rate.first_ms for rate in rates]):.0f}",
            f"{np.median([rate.cpu for rate in rates]):.3f}",
        ]
        for (sessions, shared), rates in sorted(found.items())
    ]
