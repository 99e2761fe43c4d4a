"""One render for a node: inputs written down, rendered where nobody looks, and put in its place when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from musetalk.lipsync import LipSync
from musetalk.pipeline.file_uses import debug_files
from musetalk.pipeline.report import RenderReport
from musetalk.progress import CancelToken, ProgressCallback
from musetalk.settings import merge_settings
from musetalk.utils.files import remove_file, temporary_folder

from .host import (
    NodeProgress,
    Place,
    blocked,
    free_models,
    interruptible,
    models_folder,
    page_name,
    video_of,
    work_folder,
)
from .inputs import voice_file
from .outputs import label, report_text
from .reach import checkout_of

_NO_MASKS = "the masks were not written: turn `masks` on in the node that renders"


class Engine:
    """The one `LipSync` of a ComfyUI, for all nodes; made when it is first asked for."""

    @cached_property
    def lipsync(self) -> LipSync:
        """Renders, and keeps what it has loaded."""
        return LipSync()


def with_models(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the folder of weights, unless they say one: the checkout's, or one among ComfyUI's models.

    A relative one would depend on where ComfyUI was started.
    """
    checkout = checkout_of(Path(__file__).parent)
    models = models_folder() if checkout is None else checkout / "models"
    return merge_settings({"models_dir": str(models)}, values)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a node was asked for, besides source and settings.

    Attributes:
        audio, voice_path: The voice.
        masks: Whether masks are written, too.
        free_memory: Whether ComfyUI's models make room for the render, and the render's for them.
        filename_prefix: Of the result in ComfyUI's output folder; empty: it goes to the temporary one.
        node: The node's id.
    """

    audio: Any
    voice_path: str
    masks: bool
    free_memory: bool
    filename_prefix: str
    node: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a render is given.

    Attributes:
        folder: For files that go when it ends.
        voice: The voice.
        out: The file to make.
        debug_dir: Where masks go; None: nobody wants any.
        on_progress, cancel: See `LipSync.render`.
    """

    folder: Path
    voice: Path
    out: Path
    debug_dir: Path | None
    on_progress: ProgressCallback
    cancel: CancelToken

    @property
    def masks(self) -> dict[str, Path]:
        """What settings are given, by their names, so that masks are written, too, where they are wanted."""
        return {} if self.debug_dir is None else {"debug_dir": self.debug_dir}


def render(engine: Engine, asked: Asked, work: Callable[[Inputs], RenderReport]) -> dict[str, Any]:
    """Render for a node, and return what ComfyUI wants of it: outputs, and what is to be seen on the node.

    What is rendered lies in ComfyUI's temporary folder until it is whole. Where it is cancelled, the parts that are
    done stay there, and the same render goes on with them; ComfyUI empties that folder when it starts and ends.

    Args:
        engine: Renders.
        asked: What for.
        work: Renders what it is given.

    Raises:
        MuseTalkError: It cannot be done; ComfyUI shows the text.
        InterruptProcessingException: ComfyUI's own, where it was cancelled.
    """
    place, shared = Place.of(asked.filename_prefix), work_folder()
    name = f"node-{page_name(asked.node)}.mp4"
    with interruptible() as cancel, temporary_folder(shared) as folder, _memory(engine, asked.free_memory):
        progress = NodeProgress(asked.node, cancel)
        voice = voice_file(asked.audio, asked.voice_path, folder, cancel)
        debug_dir = shared / "masks" if asked.masks else None
        report = work(Inputs(folder, voice, shared / name, debug_dir, progress, cancel))
        place.take(shared / name)
        masks = blocked(_NO_MASKS) if debug_dir is None else video_of(_keep_masks(debug_dir, shared / name))
        told = label(report, engine.lipsync.registry.get(report.backend).notice)
        progress.say(told)
    shown = {"images": [place.shown], "animated": (True,), "text": (told,)}
    return {"ui": shown, "result": (video_of(place.path), masks, report_text(report, place.path))}


def _keep_masks(folder: Path, out: Path) -> Path:
    """Give the masks of a render a name that the next one leaves alone; crops, which come with them, go."""
    crops, masks = debug_files(folder, out.stem)
    remove_file(crops)
    place = Place.of("")
    kept = place.path.with_name(f"{place.path.stem}masks.mp4")
    Place(kept, {}).take(masks)
    return kept


@contextmanager
def _memory(engine: Engine, wanted: bool) -> Iterator[None]:
    """Let models make room for each other, for GPUs that do not hold both."""
    if not wanted:
        yield
        return
    free_models()
    try:
        yield
    finally:
        engine.lipsync.release()
