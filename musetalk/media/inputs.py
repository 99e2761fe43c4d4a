"""A source and a voice, opened side by side: for each of them one mostly waits for programs that one has started."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from musetalk.errors import about
from musetalk.media.probe import probe_wanted
from musetalk.media.sound.voice import Voice
from musetalk.media.types import Source
from musetalk.progress import CancelToken
from musetalk.settings import SourceSettings
from musetalk.utils.job_log import carried


def open_inputs(
    video: Path, wanted: SourceSettings, open_voice: Callable[[CancelToken], Voice], cancel: CancelToken
) -> tuple[Source, Voice]:
    """Return what a source is, and the voice that `open_voice` opens meanwhile.

    Where the source cannot be used, that is told, whatever the voice is, and the voice's opening ends.

    Args:
        video: The source.
        wanted: How it is to be read.
        open_voice: Opens the voice; given what ends it.
        cancel: Ends both.

    Raises:
        MediaError: An input cannot be used (see its subclasses); told as of the source, or of the voice.
        Cancelled: Through `cancel`.
    """
    opening = CancelToken(cancel)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice") as pool:
        opened = pool.submit(carried(open_voice), opening)
        try:
            with about("source"):
                source = probe_wanted(video, wanted, cancel)
        except BaseException:
            opening.cancel()
            raise
        with about("voice"):
            return source, opened.result()
