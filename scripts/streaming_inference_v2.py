"""`python -m scripts.streaming_inference_v2`: an avatar speaks a file as if it arrived live, by the flags of forks."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from musetalk.cli.main import run
from musetalk.cli.options import cancel_on_signal
from musetalk.errors import OutputError, SettingsError
from musetalk.settings import CHUNK_SECONDS, LOOKAHEAD_CHUNKS, parse_rate
from scripts.generate import open_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from musetalk.avatars.bundle import Avatar
    from musetalk.media.live.fragments import Fragment
    from musetalk.media.sound.voice import Voice
    from musetalk.progress import CancelToken
    from musetalk.settings import RenderSettings
    from musetalk.streaming.session import StreamingSession
    from musetalk.streaming.types import LiveFrame
    from musetalk.utils.arrays import Float32Array

_BACKENDS = {"v15": "musetalk-v15", "v1": "musetalk-v1"}
_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end; exit codes as of `python -m musetalk`."""
    run(lambda: _stream(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.streaming_inference_v2",
        description="Let an avatar speak a file as if it arrived live, play its sound, and keep the video.",
        epilog="Avatars are made by: python -m musetalk avatar create. Live voices: docs/live.md",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--audio_path", type=Path, required=True, help="any file with the voice")
    add("--output_path", type=Path, default=Path("results/streaming.mp4"), help="file to make: .mp4")
    add("--version", choices=sorted(_BACKENDS), help="of MuseTalk; unset: what the avatar was prepared for first")
    add("--batch_size", type=int, default=8, help="frames at once")
    add("--avatar_id", required=True, help="name or id of the avatar")
    add("--avatar_root", type=Path, help="folder of avatars, of MuseTalk's caches too; unset: the user's")
    add(
        "--lookahead_chunks",
        type=int,
        default=LOOKAHEAD_CHUNKS,
        help="chunks of 80 ms that are known before speech begins",
    )
    add("--fps", type=parse_rate, help="of MuseTalk's caches (unset: 25); of others it has to be theirs")
    add("--no_audio_playback", action="store_true", help="play nothing, and do not wait for what is played")
    return parser


def _stream(flags: argparse.Namespace) -> None:
    from musetalk.lipsync import LipSync  # noqa: PLC0415 - so that --help is quick
    from musetalk.media.sound.voice import extract_voice  # noqa: PLC0415
    from musetalk.streaming.types import LiveOptions  # noqa: PLC0415
    from musetalk.utils.files import make_room_for, temporary_folder, whole_file  # noqa: PLC0415
    from musetalk.utils.stopping import ends_by  # noqa: PLC0415

    if flags.output_path.suffix.lower() != ".mp4":
        raise SettingsError(f"--output_path {flags.output_path} is no .mp4", "name one", names=("output_path",))
    with cancel_on_signal() as cancel, temporary_folder(Path(tempfile.gettempdir())) as folder:
        with ends_by(cancel.check):
            avatar = open_named(flags, folder, cancel)
        settings = _settings(avatar, flags)
        voice = extract_voice(flags.audio_path, folder, settings.limits, cancel)
        options = LiveOptions(voice.rate, flags.lookahead_chunks * CHUNK_SECONDS)
        make_room_for(flags.output_path)
        with (
            _player(voice.rate, wanted=not flags.no_audio_playback) as play,
            LipSync(own_process=True).live(avatar, settings, options, cancel=cancel) as session,
            whole_file(flags.output_path) as out,
        ):
            _speak(session, voice, out, play, cancel)
            metrics = session.metrics
    sys.stdout.write(f"{flags.output_path}\n{metrics.model_dump_json(indent=2)}\n")


def _settings(avatar: Avatar, flags: argparse.Namespace) -> RenderSettings:
    backend = {} if flags.version is None else {"backend": _BACKENDS[flags.version]}
    return avatar.settings_with({**backend, "network": {"batch_size": flags.batch_size}})


def _speak(
    session: StreamingSession,
    voice: Voice,
    out: Path,
    play: Callable[[Float32Array], None] | None,
    cancel: CancelToken,
) -> None:
    """Push a voice, in real time where it is played, and write what comes."""
    from musetalk.streaming.encoder import LiveEncoder  # noqa: PLC0415 - so that --help is quick
    from musetalk.streaming.pacing import paced  # noqa: PLC0415

    with out.open("wb") as file, ThreadPoolExecutor(1) as pusher:

        def keep(fragment: Fragment) -> None:
            file.write(fragment.data)

        with LiveEncoder(session.layout, session.fps, session.options.rate, keep) as encoder:
            pushed = pusher.submit(_push, session, voice, cancel)
            try:
                for frame in _taken(session) if play is None else paced(session):
                    cancel.check()
                    encoder.push(frame.picture, frame.sound)
                    if play is not None:
                        play(frame.sound)
                    if frame.last:
                        break
                encoder.finish()
            finally:
                session.close()
            pushed.result()


def _push(session: StreamingSession, voice: Voice, cancel: CancelToken) -> None:
    from musetalk.media.sound.wav import read_wav  # noqa: PLC0415 - so that --help is quick

    for block in read_wav(voice.speech).blocks(round(CHUNK_SECONDS * voice.rate), cancel):
        session.push(block, voice.rate)
    session.flush()


def _taken(session: StreamingSession) -> Iterator[LiveFrame]:
    """Yield frames as soon as they are made."""
    while (frame := session.take()) is not None:
        yield frame


@contextmanager
def _player(rate: int, *, wanted: bool) -> Iterator[Callable[[Float32Array], None] | None]:
    """Give what plays sound as it comes, where that is wanted and can be; None: nothing does.

    Raises:
        OutputError: There is no device that plays.
    """
    if not wanted:
        yield None
        return
    if importlib.util.find_spec("sounddevice") is None:
        _log.warning("nothing is played: install sounddevice, or say --no_audio_playback")
        yield None
        return
    try:
        import sounddevice  # noqa: PLC0415 - optional, and looks for the system's library

        stream = sounddevice.OutputStream(samplerate=rate, channels=1, dtype="float32")
    except Exception as error:
        raise OutputError(f"no sound can be played ({error})", "say --no_audio_playback") from error
    with stream:
        yield stream.write


if __name__ == "__main__":
    main()
