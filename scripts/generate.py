"""`python -m scripts.generate`: an avatar speaks a file, by the flags that MuseTalk's forks have for it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from musetalk.cli.main import run
from musetalk.cli.options import cancel_on_signal
from musetalk.errors import SettingsError
from musetalk.settings import parse_rate

if TYPE_CHECKING:
    from musetalk.avatars.bundle import Avatar
    from musetalk.progress import CancelToken


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end; exit codes as of `python -m musetalk`."""
    run(lambda: _generate(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.generate",
        description="Let an avatar speak a file.",
        epilog="Avatars are made by: python -m musetalk avatar create. More can be chosen by: python -m musetalk speak",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--avatar_id", required=True, help="name or id of the avatar")
    add("--avatar_root", type=Path, help="folder of avatars, of MuseTalk's caches too; unset: the user's")
    add("--audio_path", type=Path, required=True, help="any file with the voice")
    add("--output_path", type=Path, default="./results/output.mp4", help="file to make: .mp4, .mov, .m4v or .mkv")
    add("--fps", type=parse_rate, help="of MuseTalk's caches (unset: 25); of others it has to be theirs")
    add("--batch_size", type=int, default=8, help="frames at once")
    return parser


def _generate(flags: argparse.Namespace) -> None:
    from musetalk.cli.console import describe, shown_progress  # noqa: PLC0415 - so that --help is quick
    from musetalk.lipsync import LipSync  # noqa: PLC0415
    from musetalk.utils.files import temporary_folder  # noqa: PLC0415
    from musetalk.utils.stopping import ends_by  # noqa: PLC0415

    engine = LipSync(own_process=True)
    with (
        cancel_on_signal() as cancel,
        shown_progress() as show,
        temporary_folder(Path(tempfile.gettempdir())) as temporary,
    ):
        with ends_by(cancel.check):
            avatar = open_named(flags, temporary, cancel)
        settings = avatar.settings_with({"network": {"batch_size": flags.batch_size}})
        report = engine.speak(avatar, flags.audio_path, flags.output_path, settings, on_progress=show, cancel=cancel)
    sys.stdout.write(f"{describe(report, engine.registry.get(report.backend).notice)}\n")


def open_named(flags: argparse.Namespace, temporary: Path, cancel: CancelToken) -> Avatar:
    """Open the avatar that flags name: one of this project, or MuseTalk's cache of one, taken over for the moment.

    The one place that knows how avatars lie in a folder of them.

    Args:
        flags: Among them `avatar_root`, `avatar_id` and `fps`.
        temporary: An existing folder, there as long as the avatar is used.
        cancel: Ends it.

    Raises:
        AvatarError: There is none, or it is damaged.
        SettingsError: It has another rate than the flags ask for.
    """
    from musetalk.avatars.bundle import open_avatar  # noqa: PLC0415
    from musetalk.avatars.store import AvatarStore  # noqa: PLC0415
    from musetalk.avatars.upstream.cache import INFO, RATE  # noqa: PLC0415
    from musetalk.avatars.upstream.importing import import_avatar  # noqa: PLC0415
    from musetalk.avatars.upstream.reading import read_upstream_cache  # noqa: PLC0415
    from musetalk.progress import RenderRun  # noqa: PLC0415

    store = AvatarStore(flags.avatar_root)
    cache = store.folder / flags.avatar_id
    if (cache / INFO).is_file():
        fps, run = flags.fps or Fraction(RATE), RenderRun(cancel=cancel)
        return import_avatar(read_upstream_cache(cache), temporary / "avatar", "avatar", fps=fps, run=run)
    avatar = open_avatar(store.find(flags.avatar_id), cancel)
    _check_rate(flags.fps, avatar)
    return avatar


def _check_rate(asked: Fraction | None, avatar: Avatar) -> None:
    """Make sure that the rate is the avatar's: its faces were found, and lie, frame by frame at that.

    Raises:
        SettingsError: It is another one.
    """
    own = Fraction(avatar.manifest.source.fps)
    if asked is not None and asked != own:
        raise SettingsError(
            f"--fps {float(asked):g} is not the rate of the avatar {avatar.name}, which is {float(own):.5g}",
            f"leave it out, or create the avatar again: python -m musetalk avatar create ... --fps {float(asked):g}",
            names=("fps",),
        )


if __name__ == "__main__":
    main()
