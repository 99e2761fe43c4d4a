"""MuseTalk speaking live, with small checkpoints."""

from __future__ import annotations

import shutil
import threading
import wave
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor
from typer.testing import CliRunner

from musetalk.avatars.bundle import Avatar, open_avatar
from musetalk.backends.latent.frames import FrameLatentGenerator
from musetalk.backends.musetalk.generator import MuseTalkDenoiser
from musetalk.cli.weights import app
from musetalk.errors import NotFiniteError, WeightsError
from musetalk.lipsync import LipSync
from musetalk.pipeline.render import output_frames
from musetalk.progress import RenderRun
from musetalk.settings import RenderSettings
from musetalk.streaming.session import StreamingSession
from musetalk.streaming.shared_generators import SharedGenerators
from musetalk.streaming.types import LiveFrame, LiveOptions
from musetalk.utils.arrays import Int16Array, UInt8Array
from musetalk.weights.lock import LOCK_NAME, read_lock
from tests.helpers.errors import raises_kind
from tests.helpers.film import FACE, FILM, settings, write_film
from tests.helpers.programs import HANG_SECONDS
from tests.helpers.waiting import until

pytestmark = pytest.mark.integration
WHOLE = LiveOptions(lookahead=None)  # nothing is painted before all of a voice is known


@pytest.fixture(autouse=True)
def tidy(no_child_left: None) -> None:
    """Nothing is left running."""


@pytest.fixture(scope="module")
def engine() -> LipSync:
    engine = LipSync()
    engine.shared_generators = SharedGenerators(on_cpu=True)  # what GPUs do, where there is none
    return engine


@pytest.fixture(scope="module")
def avatar(engine: LipSync, film: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return engine.create_avatar(film, tmp_path_factory.mktemp("avatars") / "me", settings(models))


@pytest.fixture(scope="module")
def rendered(
    engine: LipSync, film: Path, words: Path, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[UInt8Array]:
    with engine.preparing(film, words, settings(models), tmp_path_factory.mktemp("plan")) as plan:
        return [frame.picture.data for frame in output_frames(plan, 0, FILM, RenderRun())]


def samples_of(words: Path) -> Int16Array:
    with wave.open(str(words)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def spoken(
    engine: LipSync, avatar: Avatar, models: Path, words: Path, chunk: int, options: LiveOptions
) -> list[LiveFrame]:
    wanted = avatar.settings_with({"models_dir": models})
    with engine.live(avatar, wanted, options) as session:
        voice = samples_of(words)
        for start in range(0, len(voice), chunk):
            session.push(voice[start : start + chunk], timeout=HANG_SECONDS)
        session.flush()
        return list(session.spoken())


def test_live_frames_are_those_of_a_render_where_all_of_the_voice_is_waited_for(
    engine: LipSync, avatar: Avatar, models: Path, words: Path, rendered: list[UInt8Array]
) -> None:
    frames = spoken(engine, avatar, models, words, 1000, LiveOptions(lookahead=None))
    assert len(frames) == FILM
    assert all(np.array_equal(frame.picture.data, picture) for frame, picture in zip(frames, rendered, strict=True))


def test_a_voice_is_painted_while_it_arrives_the_same_however_it_is_cut(
    engine: LipSync, avatar: Avatar, models: Path, words: Path
) -> None:
    found = [spoken(engine, avatar, models, words, chunk, LiveOptions()) for chunk in (160, 1280, 10_240)]
    for frames in found:
        assert len(frames) == FILM
        assert all(
            np.array_equal(*pair)
            for pair in zip((f.picture.data for f in frames), (f.picture.data for f in found[0]), strict=True)
        )
    painted = [
        number for number, frame in enumerate(found[0]) if not np.array_equal(frame.picture.data, frame.source.data)
    ]
    assert painted == list(FACE)


def test_it_speaks_with_the_weights_that_are_exported_for_it_and_nothing_else_does(
    avatar: Avatar, film: Path, words: Path, models: Path, tmp_path: Path, rendered: list[UInt8Array]
) -> None:
    lean, options = tmp_path / "lean", LiveOptions(lookahead=None)
    command = ["export", "--streaming", str(lean), "--dtype", "fp32", "--models-dir", str(models)]
    assert CliRunner().invoke(app, command).exit_code == 0
    places = {str(path.relative_to(lean)) for path in lean.rglob("*") if path.is_file() and path.name[0] != "."}
    recorded = read_lock(lean)
    assert places == {
        "musetalkV15/musetalk.json",
        "musetalkV15/unet.lean.safetensors",
        "sd-vae/config.json",
        "sd-vae/decoder.lean.safetensors",
        "whisper/config.json",
        "whisper/preprocessor_config.json",
        "whisper/model.lean.safetensors",
        LOCK_NAME,
    }
    assert set(recorded) == places - {LOCK_NAME}
    assert all(entry.source.endswith(("MIT", "Apache-2.0")) for entry in recorded.values())
    assert CliRunner().invoke(app, ["verify", "--models-dir", str(lean)]).output.count(": ready") == len(recorded)

    engine = LipSync()
    frames = spoken(engine, avatar, lean, words, 1000, options)
    assert all(np.array_equal(frame.picture.data, picture) for frame, picture in zip(frames, rendered, strict=True))
    with pytest.raises(WeightsError, match=r"sd-vae/diffusion_pytorch_model\.safetensors missing"):
        engine.render(film, words, tmp_path / "out.mp4", settings(lean))
    with raises_kind(WeightsError, path=lean / "sd-vae"):  # its crops lie elsewhere than those that it was made with
        engine.speak(avatar, words, tmp_path / "out.mp4", avatar.settings_with({"models_dir": lean, "bbox_shift": 5}))


def test_it_begins_before_the_voice_has_ended(engine: LipSync, avatar: Avatar, models: Path, words: Path) -> None:
    wanted = avatar.settings_with({"models_dir": models})
    voice = samples_of(words)
    with engine.live(avatar, wanted, LiveOptions(lookahead=Fraction(2, 25))) as session:
        session.push(voice[: len(voice) // 2])
        frame = session.take(HANG_SECONDS)
        assert frame is not None
        assert frame.utterance == 0


def test_sessions_speak_at_the_same_time_with_one_model(
    engine: LipSync, avatar: Avatar, models: Path, words: Path
) -> None:
    wanted, options = avatar.settings_with({"models_dir": models}), LiveOptions(lookahead=None)
    alone = spoken(engine, avatar, models, words, 1000, options)
    with engine.live(avatar, wanted, options) as first, engine.live(avatar, wanted, options) as second:
        for session in (first, second):
            session.push(samples_of(words))
            session.flush()
        found = [list(session.spoken()) for session in (first, second)]
    for frames in found:
        assert len(frames) == len(alone)
        for frame, own in zip(frames, alone, strict=True):
            assert np.array_equal(frame.picture.data, own.picture.data)


class HeldNetwork:
    """Counts the frames of each call of the UNet, and holds the first one until it may go on."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.go = threading.Event()

    def __call__(self, _network: object, given: tuple[Tensor, ...]) -> None:
        self.calls.append(len(given[0]))
        assert self.go.wait(HANG_SECONDS)


@pytest.fixture(scope="module")
def other(
    engine: LipSync, small_portrait: UInt8Array, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Avatar:
    """Another one, who looks the other way."""
    folder = tmp_path_factory.mktemp("other")
    film = write_film(folder, small_portrait[:, ::-1], FILM, FACE)
    return engine.create_avatar(film, folder / "you", settings(models))


@pytest.fixture(scope="module")
def alone(engine: LipSync, avatar: Avatar, other: Avatar, models: Path, words: Path) -> dict[str, list[UInt8Array]]:
    """What each of them shows where nobody else speaks."""
    return {
        each.name: [frame.picture.data for frame in spoken(engine, each, models, words, 1000, WHOLE)]
        for each in (avatar, other)
    }


@pytest.fixture
def network(engine: LipSync, avatar: Avatar, models: Path, tmp_path: Path) -> Iterator[HeldNetwork]:
    held = HeldNetwork()
    with engine.preparing_avatar(avatar, together(avatar, models), tmp_path) as plan:
        generator = plan.session.generator
        assert isinstance(generator, FrameLatentGenerator) and isinstance(generator.denoiser, MuseTalkDenoiser)
        hook = generator.denoiser.network.register_forward_pre_hook(held)
        yield held
        hook.remove()


def together(avatar: Avatar, models: Path) -> RenderSettings:
    """Settings with room in a batch for all that two sessions have to paint."""
    return avatar.settings_with({"models_dir": models, "network": {"batch_size": 2 * len(FACE)}})


class Stage:
    """Sessions that speak the same words at the same time."""

    def __init__(self, engine: LipSync, models: Path, words: Path) -> None:
        self.engine, self.models, self.words, self.opened = engine, models, words, ExitStack()

    def speaks(self, avatar: Avatar) -> StreamingSession:
        """Let one more speak, of whom all that is to be painted waits then, or is being painted."""
        waiting = self.engine.shared_generators.waiting
        session = self.opened.enter_context(self.engine.live(avatar, together(avatar, self.models), WHOLE))
        session.push(samples_of(self.words))
        session.flush()
        until(lambda: self.engine.shared_generators.waiting == waiting + len(FACE))
        return session


@pytest.fixture
def stage(engine: LipSync, models: Path, words: Path, network: HeldNetwork) -> Iterator[Stage]:
    """Where sessions speak; of which nothing is left at the end."""
    one, before = Stage(engine, models, words), threading.active_count()
    with one.opened:
        yield one
        network.go.set()
    until(lambda: threading.active_count() <= before)


@pytest.fixture
def first(stage: Stage, avatar: Avatar, network: HeldNetwork) -> StreamingSession:
    """One that speaks, whose painting is held, so that what others want gathers."""
    session = stage.opened.enter_context(stage.engine.live(avatar, together(avatar, stage.models), WHOLE))
    session.push(samples_of(stage.words))
    session.flush()
    until(lambda: network.calls == [len(FACE)])
    return session


def shown(session: StreamingSession) -> list[UInt8Array]:
    return [frame.picture.data for frame in session.spoken()]


def test_what_sessions_paint_at_the_same_time_is_one_call_and_each_gets_its_own(
    stage: Stage,
    first: StreamingSession,
    network: HeldNetwork,
    avatar: Avatar,
    other: Avatar,
    alone: dict[str, list[UInt8Array]],
) -> None:
    mine, yours = stage.speaks(avatar), stage.speaks(other)
    network.go.set()
    for session, name in ((first, "me"), (mine, "me"), (yours, "you")):
        assert np.array_equal(shown(session), alone[name])
    assert network.calls == [len(FACE), 2 * len(FACE)]
    assert not np.array_equal(alone["me"], alone["you"])


def test_what_sessions_dropped_is_not_painted_and_others_are_not_disturbed(
    stage: Stage,
    first: StreamingSession,
    network: HeldNetwork,
    avatar: Avatar,
    alone: dict[str, list[UInt8Array]],
) -> None:
    closed, interrupted, stays = (stage.speaks(avatar) for _ in range(3))
    closed.close()
    interrupted.interrupt()
    until(lambda: stage.engine.shared_generators.waiting == len(FACE))
    network.go.set()
    for session in (first, stays):
        assert np.array_equal(shown(session), alone["me"])
    assert network.calls == [len(FACE), len(FACE)]
    interrupted.push(samples_of(stage.words))
    interrupted.flush()
    assert len(shown(interrupted)) >= FILM


def test_only_the_session_whose_avatar_is_damaged_ends(
    stage: Stage,
    first: StreamingSession,
    network: HeldNetwork,
    avatar: Avatar,
    other: Avatar,
    tmp_path: Path,
    alone: dict[str, list[UInt8Array]],
) -> None:
    damaged = open_avatar(Path(shutil.copytree(other.folder, tmp_path / "damaged")))
    for path in damaged.folder.glob("**/*.safetensors"):
        stored = path.read_bytes()
        path.write_bytes(stored[:1024] + b"\xff" * (len(stored) - 2048) + stored[-1024:])  # no numbers
    fine, fails = stage.speaks(avatar), stage.speaks(damaged)
    network.go.set()
    assert np.array_equal(shown(fine), alone["me"])
    with pytest.raises(NotFiniteError):
        shown(fails)
    assert np.array_equal(shown(first), alone["me"])
